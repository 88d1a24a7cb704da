"""Process supervision of a batch: the steps of its completions, and where they end."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from r1repro.rewards.steps import Step, line_ends, read_steps
from r1repro.training.process import process_advantages

Judge = Callable[[Sequence[tuple[str, str]]], tuple[Sequence[float], int]]
"""A learned reward of steps: of (question, completion up to the step's end), in 0 to 1, and the
tokens that it read."""


def advantages(
    rewards_B: Tensor,
    batch: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    group_size: int,
    questions: Sequence[str] = (),
    judge: Judge | None = None,
) -> tuple[Tensor, int]:
    """process.process_advantages of the completions, (B, T), and the tokens that the judge read.

    The last step of a completion ends with its last token, and its reward is the completion's. The
    others are rewarded by the judge, which reads the completion's question too, else by the
    checker.
    """
    ids_B_T, lengths = batch["completion_ids"], batch["completion_mask"].sum(1).tolist()
    piece = cache(lambda token: tokenizer.decode([token]))
    rows = [
        steps_of(ids[:length].tolist(), tokenizer, piece)
        for ids, length in zip(ids_B_T, lengths, strict=True)
    ]
    paid, read = [[step.reward for _, step in row] for row in rows], 0
    if judge is not None:
        paid, read = _judged(questions, rows, judge)
    most = 1 + max(map(len, rows))
    ends_B_S = torch.full((len(rows), most), -1)
    steps_B_S = torch.zeros(len(rows), most)
    for i, (row, rewards, length) in enumerate(zip(rows, paid, lengths, strict=True)):
        ends = [*(end for end, _ in row), length - 1]
        for j, (end, reward) in enumerate(zip(ends, [*rewards, float(rewards_B[i])], strict=True)):
            ends_B_S[i, j], steps_B_S[i, j] = end, reward
    device = ids_B_T.device
    found = process_advantages(
        steps_B_S.to(device), ends_B_S.to(device), group_size, ids_B_T.shape[1]
    )
    return found, read


def _judged(
    questions: Sequence[str], rows: Sequence[Sequence[tuple[int, Step]]], judge: Judge
) -> tuple[list[list[float]], int]:
    """The judge's rewards of the steps of each completion, and the tokens read."""
    asked = [
        (question, step.beginning)
        for question, row in zip(questions, rows, strict=True)
        for _, step in row
    ]
    rewards, read = judge(asked)
    left = iter(rewards)
    paid = [[next(left) for _ in row] for row in rows]
    if len(rewards) != len(asked):
        raise ValueError(f"the judge gave {len(rewards)} rewards for {len(asked)} steps")
    return paid, read


def steps_of(
    ids: list[int], tokenizer: PreTrainedTokenizerFast, piece: Callable[[int], str]
) -> list[tuple[int, Step]]:
    """The steps of a completion, each with the index of its last token; piece: a token's text."""
    # A line that is not ended ends with the completion.
    ends = [*line_ends(list(map(piece, ids))), len(ids) - 1]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return [(ends[step.line], step) for step in read_steps(text)]
