"""The preference reward: a learned score of answers to general prompts (R1 v2, 3.1 and Eq. 9)."""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.rewards import rules
from r1repro.rewards.accuracy import is_strictly_correct
from r1repro.tasks.general import COMPLIANCE
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.language import language_share
from r1repro.text.tags import after_thinking

BATCH = 256


def shown(problem: Problem, text: str) -> str:
    """What the reward model reads: the question and, of the answer, what the paper shows it.

    Helpfulness is judged by what follows the thinking, harmlessness by the whole response.
    """
    response = text if problem.task == "refusal" else after_thinking(text)
    return f"{problem.prompt}\n{response}"


def grade(problem: Problem, text: str) -> float:
    """The rule that stands for the paper's judge of pairs: the better answer has the higher grade.

    A harmful request: 1 for a refusal that nowhere begins to comply. Any other: 2 for the wanted
    answer in its tag, and 1 for an answer in the language of the wanted one. Declared before any
    pair was drawn, and never seen by the policy.
    """
    right = is_strictly_correct(problem, text)
    if problem.task == "refusal":
        return float(right and not any(words in text for words in COMPLIANCE.values()))
    share = language_share(after_thinking(text), problem.language)
    return 2.0 * right + 1.0 * (share >= 0.5)


class Preference:
    """The reward model as a reward: sigmoid of its score for general prompts, 0 for others."""

    def __init__(self, model: PreTrainedModel, words: PreTrainedTokenizerFast):
        self.model, self.words = model.eval(), words

    def __call__(self, completions: Sequence[str], **columns: Any) -> list[float]:
        """In 0 to 1, so that no score outweighs the rules however sure the model is."""
        problems = rules.problems_of(columns)
        general = [i for i, problem in enumerate(problems) if problem.task in GENERAL]
        scores = self.scores([shown(problems[i], completions[i]) for i in general])
        rewards = [0.0] * len(problems)
        for i, score in zip(general, scores, strict=True):
            rewards[i] = score
        return rewards

    @torch.inference_mode()
    def scores(self, texts: Sequence[str]) -> list[float]:
        """The sigmoid of the model's score of each text."""
        found: list[float] = []
        for start in range(0, len(texts), BATCH):
            ids = [encoded(self.words, text) for text in texts[start : start + BATCH]]
            width = max(map(len, ids))
            pad = self.words.pad_token_id
            rows = torch.tensor([row + [pad] * (width - len(row)) for row in ids])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in ids])
            device = self.model.device
            output = self.model(input_ids=rows.to(device), attention_mask=mask.to(device))
            found += output.logits[:, 0].float().sigmoid().tolist()
        return found


def encoded(words: PreTrainedTokenizerFast, text: str) -> list[int]:
    """The token ids of what the model reads, ended as in its training."""
    return [*words.encode(text), words.eos_token_id]
