"""How much computation a stage took, estimated from what it read and wrote.

A matrix of N parameters takes 2 N operations a token: once forward, y = x W, and back once for the
gradient of what it read, dx = dy W^T, and once for its own, dW = x^T dy (Kaplan et al. 2020,
arXiv 2001.08361, 2.1). A frozen one needs no dW.
"""

import pandas as pd

EQUAL_FLOPS = "equal_flops"
"""The folder in an RL stage's result with the policy as it was when a given budget was spent."""
PASS = 2
"""Floating-point operations a parameter and token of each of the three."""


def forward(parameters: int, tokens: float) -> float:
    """FLOPs to read or write `tokens` tokens; attention itself is left out, as in the source."""
    return PASS * float(parameters) * tokens


def trained(parameters: int, moved: int, tokens: float) -> float:
    """FLOPs to learn from `tokens` tokens with `moved` of the parameters, the others frozen.

    That is 6 N where all move, and 4 N + 2 A with A parameters of adapters among the N. What
    gradient checkpointing computes a second time is not counted (Chowdhery et al. 2022,
    arXiv 2204.02311, B).
    """
    return PASS * (2 * float(parameters) + float(moved)) * tokens


def equal_flops_row(rl: pd.DataFrame, budget: float) -> int:
    """Which row of RL's metrics is the first that has spent the budget; else the last."""
    spent = rl["flops"].to_numpy(dtype=float) >= budget
    return int(spent.argmax()) if spent.any() else len(rl) - 1
