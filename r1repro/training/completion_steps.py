"""Process supervision of a batch: the steps of its completions, and where they end."""

from collections.abc import Callable, Sequence
from functools import cache
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedTokenizerFast

from r1repro.rewards.steps import Step, line_ends, read_steps
from r1repro.training.process_supervision import process_advantages

Judge = Callable[[Sequence[tuple[str, str]]], tuple[Sequence[float], int]]
"""A learned reward, from 0 to 1, of steps as (question, completion up to the step's end); it also
returns the number of tokens that it read."""


def advantages(
    rewards_B: Tensor,
    batch: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    group_size: int,
    questions: Sequence[str] = (),
    judge: Judge | None = None,
) -> tuple[Tensor, int]:
    """`process_advantages` of the completions, (B, T), and the tokens that the judge read.

    The last step of a completion ends with its last token and has the completion's reward. The
    others are rewarded by the judge, to whom `questions` are shown too, else by the checker.
    """
    ids_B_T, lengths = batch["completion_ids"], batch["completion_mask"].sum(1).tolist()
    piece = cache(lambda token: tokenizer.decode([token]))
    rows = [
        steps_of(ids[:length].tolist(), tokenizer, piece)
        for ids, length in zip(ids_B_T, lengths, strict=True)
    ]
    paid, read = [[step.reward for _, step in row] for row in rows], 0
    if judge is not None:
        each = zip(questions, rows, strict=True)
        asked = [(question, step.beginning) for question, row in each for _, step in row]
        rewards, read = judge(asked)
        if len(rewards) != len(asked):
            raise ValueError(f"the judge gave {len(rewards)} rewards for {len(asked)} steps")
        left = iter(rewards)
        paid = [list(islice(left, len(row))) for row in rows]
    ends = [
        torch.tensor([*(end for end, _ in row), length - 1])
        for row, length in zip(rows, lengths, strict=True)
    ]
    rewards_of = [
        torch.tensor([*own, float(last)], dtype=torch.float32)
        for own, last in zip(paid, rewards_B, strict=True)
    ]
    ends_B_S = pad_sequence(ends, True, -1).to(ids_B_T.device)
    steps_B_S = pad_sequence(rewards_of, True).to(ids_B_T.device)
    return process_advantages(steps_B_S, ends_B_S, group_size, ids_B_T.shape[1]), read


def steps_of(
    ids: list[int], tokenizer: PreTrainedTokenizerFast, piece: Callable[[int], str]
) -> list[tuple[int, Step]]:
    """The steps of a completion, each with the index of its last token; piece: a token's text."""
    # A line that is not ended ends with the completion.
    ends = [*line_ends(list(map(piece, ids))), len(ids) - 1]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return [(ends[step.line], step) for step in read_steps(text)]
