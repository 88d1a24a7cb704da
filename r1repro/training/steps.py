"""Process supervision of a batch: the steps of its completions, and where they end."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from r1repro.rewards.steps import line_ends, step_prefixes, step_rewards
from r1repro.training.process import process_advantages

Judge = Callable[[Sequence[tuple[str, str]]], Sequence[float]]
"""A learned reward of steps: of (question, completion up to the step's end), in 0 to 1."""


def advantages(
    rewards_B: Tensor,
    batch: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    group_size: int,
    questions: Sequence[str] = (),
    judge: Judge | None = None,
) -> Tensor:
    """process.process_advantages of the completions, (B, T).

    The last step of a completion ends with its last token, and its reward is the completion's. The
    others are rewarded by `judge`, which reads the completion's question too, or by the checker.
    """
    ids_B_T, mask_B_T = batch["completion_ids"], batch["completion_mask"]
    piece = cache(lambda token: tokenizer.decode([token]))
    rows = [
        steps_of(ids[:length].tolist(), reward, tokenizer, piece)
        for ids, length, reward in zip(
            ids_B_T, mask_B_T.sum(1).tolist(), rewards_B.tolist(), strict=True
        )
    ]
    if judge is not None:
        rows = _judged(
            rows, [*zip(questions, _texts(ids_B_T, mask_B_T, tokenizer), strict=True)], judge
        )
    most = max(map(len, rows))
    ends_B_S = torch.full((len(rows), most), -1)
    steps_B_S = torch.zeros(len(rows), most)
    for i, row in enumerate(rows):
        for j, (end, reward) in enumerate(row):
            ends_B_S[i, j], steps_B_S[i, j] = end, reward
    device = ids_B_T.device
    return process_advantages(
        steps_B_S.to(device), ends_B_S.to(device), group_size, ids_B_T.shape[1]
    )


def _texts(ids_B_T: Tensor, mask_B_T: Tensor, tokenizer: PreTrainedTokenizerFast) -> list[str]:
    real = [ids[:n] for ids, n in zip(ids_B_T, mask_B_T.sum(1).tolist(), strict=True)]
    return [tokenizer.decode(ids.tolist(), skip_special_tokens=True) for ids in real]


def _judged(
    rows: list[list[tuple[int, float]]], asked: list[tuple[str, str]], judge: Judge
) -> list[list[tuple[int, float]]]:
    """`rows` with the judge's rewards for all steps but the outcome."""
    read = [(question, prefix) for question, text in asked for prefix in step_prefixes(text)]
    paid = iter(judge(read))
    return [[*((end, next(paid)) for end, _ in row[:-1]), row[-1]] for row in rows]


def steps_of(
    ids: list[int],
    reward: float,
    tokenizer: PreTrainedTokenizerFast,
    piece: Callable[[int], str],
) -> list[tuple[int, float]]:
    """(index of the last token, reward) of each step of a completion, the outcome's last.

    piece: the text of a token.
    """
    # A line that is not ended ends with the completion.
    ends = [*line_ends(list(map(piece, ids))), len(ids) - 1]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return [*((ends[line], paid) for line, paid in step_rewards(text)), (len(ids) - 1, reward)]
