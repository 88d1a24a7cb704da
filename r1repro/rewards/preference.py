"""Preference reward: a learned score for answers to general prompts (R1 v2, 3.1 and Eq. 9)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.rewards import rule_rewards
from r1repro.rewards.correctness import is_strictly_correct
from r1repro.tasks.general import COMPLIANCE
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.language import language_share
from r1repro.text.tags import after_thinking

BATCH = 256


def shown(problem: Problem, text: str) -> str:
    """The reward model's input: the question and the part of the response that the paper scores.

    Helpfulness is scored on the text after the thinking, harmlessness on the whole response.
    """
    response = text if problem.task == "refusal" else after_thinking(text)
    return f"{problem.prompt}\n{response}"


def grade(problem: Problem, text: str) -> float:
    """Rule that replaces the paper's judge of pairs: the response with the higher grade wins.

    Harmful request: 1 for a refusal without any compliance. Other requests: 2 for the right answer
    in its tag, plus 1 if the answer is in the requested language. The policy never sees it.
    """
    right = is_strictly_correct(problem, text)
    if problem.task == "refusal":
        return float(right and not any(words in text for words in COMPLIANCE.values()))
    return 2.0 * right + (language_share(after_thinking(text), problem.language) >= 0.5)


class Preference:
    """Reward function: sigmoid of the reward model's score on general prompts, 0 elsewhere."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast):
        self.model, self.tokenizer = model.eval(), tokenizer

    def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
        """Rewards in 0 to 1, so no score outweighs the rule rewards.

        columns: of the problems, and `finished`, False for a completion that was cut off.
        """
        problems = rule_rewards.problems_of(columns)
        general = [i for i, problem in enumerate(problems) if problem.task in GENERAL]
        asked = [shown(problems[i], completions[i]) for i in general]
        scores = self.scores(asked, [columns["finished"][i] for i in general])
        paid = dict(zip(general, scores, strict=True))
        return [paid.get(i, 0.0) for i in range(len(problems))]

    @torch.inference_mode()
    def scores(self, texts: Sequence[str], finished: Sequence[bool]) -> list[float]:
        """Sigmoid of the model's score for each text; finished: False for one that was cut off."""
        scores: list[float] = []
        rows_of = [encoded(self.tokenizer, *one) for one in zip(texts, finished, strict=True)]
        for start in range(0, len(texts), BATCH):
            output = self.model(**self._padded(rows_of[start : start + BATCH]))
            scores += output.logits[:, 0].float().sigmoid().tolist()
        return scores

    @torch.inference_mode()
    def scores_of_beginnings(self, texts: Sequence[str]) -> tuple[list[float], int]:
        """`scores` of texts that are not finished, and the tokens read.

        A text that begins another one is read with it, in one pass: the model is causal.
        """
        ids = [encoded(self.tokenizer, text, False) for text in texts]
        whole: dict[tuple[int, ...], tuple[int, ...]] = {}
        last: tuple[int, ...] = ()
        for row in sorted(map(tuple, ids), reverse=True):  # a beginning follows what it begins
            if last[: len(row)] != row:
                last = row
            whole[row] = last
        order = sorted(dict.fromkeys(whole.values()), key=len)
        found: dict[tuple[int, ...], list[float]] = {}
        for start in range(0, len(order), BATCH):
            part = order[start : start + BATCH]
            states = self.model.base_model(**self._padded(part)).last_hidden_state
            scores_B_T = self.model.score(states)[:, :, 0].float().sigmoid()
            found |= dict(zip(part, scores_B_T.tolist(), strict=True))
        scores = [found[whole[tuple(row)]][len(row) - 1] for row in ids]
        return scores, sum(map(len, order))

    def _padded(self, ids: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
        """The model's inputs, rows padded on the right."""
        rows = [torch.tensor(row, device=self.model.device) for row in ids]
        return {
            "input_ids": pad_sequence(rows, True, self.tokenizer.pad_token_id),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in rows], True, 0),
        }


def encoded(tokenizer: PreTrainedTokenizerFast, text: str, finished: bool) -> list[int]:
    """Token ids of a reward-model input, ending in end-of-sequence if the answer was finished."""
    return [*tokenizer.encode(text), *([tokenizer.eos_token_id] if finished else [])]
