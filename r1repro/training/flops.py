"""FLOPs of a stage, estimated from the tokens it reads and writes.

A matrix of N parameters takes 2 N FLOPs per token in the forward pass (y = x W), 2 N for the input
gradient (dx = dy W^T) and, unless it is frozen, 2 N for the weight gradient (dW = x^T dy) (Kaplan
et al. 2020, arXiv 2001.08361, 2.1).
"""

import pandas as pd

EQUAL_FLOPS = "equal_flops"
"""Folder in an RL stage's result with the policy at the point where a FLOPs budget was spent."""
PASS = 2
"""FLOPs per parameter and token in each of the three passes."""


def forward(parameters: int, tokens: float) -> float:
    """FLOPs to read or write `tokens` tokens, without attention, as in the source."""
    return PASS * float(parameters) * tokens


def trained(parameters: int, moved: int, tokens: float) -> float:
    """FLOPs to train on `tokens` tokens with `moved` of the parameters trainable.

    6 N per token if all are trainable, 4 N + 2 A with A adapter parameters among the N.
    Recomputation under gradient checkpointing is not counted (Chowdhery et al. 2022, arXiv
    2204.02311, B).
    """
    return PASS * (2 * float(parameters) + float(moved)) * tokens


def equal_flops_row(rl: pd.DataFrame, budget: float) -> int:
    """Index of the first row of RL's metrics that has spent the budget; else of the last."""
    spent = rl["flops"].to_numpy(dtype=float) >= budget
    return int(spent.argmax()) if spent.any() else len(rl) - 1
