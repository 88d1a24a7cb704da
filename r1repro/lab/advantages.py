"""Advantages: what a group's mean and deviation, the length and the steps of an answer decide.

Everything is exact. The policy is a table (r1repro/lab/tree.py) whose first token decides whether
the answer is right, and whose other tokens decide how long it is: length is worth nothing, and what
an objective does to it is the objective's doing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb

import pandas as pd
import torch

from r1repro.lab.tree import Tree, expectation, mean_length
from r1repro.text.soundness import read_work
from r1repro.training import objective, process

RIGHT, WRONG, MORE, END = "r", "w", "-", "."
OBJECTIVES: dict[str, tuple[str, str]] = {
    "GRPO": ("group", "completion"),
    "GRPO without 1/|o|": ("group", "cap"),
    "GRPO without the deviation": ("centred", "completion"),
    "Dr. GRPO": ("centred", "cap"),
}
"""Name: advantage and normalization, as ObjectiveConfig calls them."""


def expected_advantages(p: float, group_size: int, kind: str) -> tuple[float, float]:
    """Mean advantage of a wrong and of a right answer, over what the rest of its group may be.

    Of the other G - 1 answers a binomial number is right, each with probability p. Rewards are 0
    and 1.
    """
    others = range(group_size)
    chances = [comb(group_size - 1, k) * p**k * (1 - p) ** (group_size - 1 - k) for k in others]
    found = []
    for own in (0.0, 1.0):
        total = 0.0
        for k, chance in zip(others, chances, strict=True):
            rewards = torch.zeros(group_size, dtype=torch.float64)
            rewards[0], rewards[1 : k + 1] = own, 1.0
            total += chance * float(objective.advantages_of(rewards, group_size, kind)[0])
        found.append(total)
    return found[0], found[1]


def group_by_hand(rewards: Sequence[float], lengths: Sequence[int]) -> pd.DataFrame:
    """A row per answer: its advantage with and without the deviation, and the weight of a token."""
    rewards_B = torch.tensor(rewards, dtype=torch.float64)
    rows = pd.DataFrame({"reward": rewards, "tokens": lengths})
    for name, kind in (("(r − mean) / std", "group"), ("r − mean", "centred")):
        rows[name] = objective.advantages_of(rewards_B, len(rewards), kind).numpy()
    rows["a token, by 1/|o|"] = rows["(r − mean) / std"] / rows["tokens"]
    rows["a token, by the cap"] = rows["(r − mean) / std"] / max(lengths)
    return rows.rename_axis("answer")


def answers(cap: int) -> Tree:
    """A first token, right or wrong, then any number of others up to `cap` tokens in all."""
    ends = [MORE * n + END for n in range(cap - 1)] + [MORE * (cap - 1)]
    return Tree(tuple(first + rest for first in (RIGHT, WRONG) for rest in ends))


@dataclass(frozen=True)
class Lengths:
    """Mean lengths and accuracy over exact updates, by objective."""

    curves: Mapping[str, pd.DataFrame]

    def change(self, name: str, column: str) -> float:
        """Last value minus first."""
        values = self.curves[name][column]
        return float(values.iloc[-1] - values.iloc[0])


def lengths(
    p: float = 0.2, stop: float = 0.1, cap: int = 16, group_size: int = 16, updates: int = 150
) -> Lengths:  # fmt: skip
    """Follow the expected update of each objective, from the same policy.

    p: share of right answers at the start; stop: probability of the end at every token. The loss is
    objective.grpo_loss, its mean an exact expectation over groups of `group_size` answers. Losses
    by the cap are multiplied by cap / mean length at the start, so that steps are of one size.
    """
    tree = answers(cap)
    right_S = torch.tensor([text[0] == RIGHT for text in tree.completions])
    start = tree.logits(lambda context: {RIGHT: p} if context == "" else {END: stop})
    scale = cap / float(mean_length(tree, start))
    found = {}
    for name, (kind, normalization) in OBJECTIVES.items():
        logits, rows = start.clone(), []
        for update in range(updates + 1):
            logits = logits.detach().requires_grad_()
            logps_S_T, fixed = tree.logps(logits), logits.detach()
            p_S = logps_S_T.detach().sum(1).exp()
            accuracy = float(p_S[right_S].sum())
            rows.append(
                {
                    "update": update,
                    "accuracy": accuracy,
                    "all": float(mean_length(tree, fixed)),
                    "right": float(mean_length(tree, fixed, right_S)),
                    "wrong": float(mean_length(tree, fixed, ~right_S)),
                }
            )
            both = expected_advantages(accuracy, group_size, kind)
            advantages_S = torch.tensor(both, dtype=torch.float64)[right_S.long()]
            loss = objective.grpo_loss(
                logps_S_T, logps_S_T.detach(), None, advantages_S, tree.mask_S_T, 0.2, 0.0,
                mean=expectation(tree, p_S, normalization),
            )  # fmt: skip
            (gradient,) = torch.autograd.grad(loss.value, logits)
            logits = logits - (scale if normalization == "cap" else 1.0) * gradient
        found[name] = pd.DataFrame(rows)
    return Lengths(found)


def ends(found: Lengths) -> pd.DataFrame:
    """Accuracy and mean lengths before the first and after the last update, a row each."""
    first = next(iter(found.curves.values())).iloc[0]
    rows = {"before": first, **{name: rows.iloc[-1] for name, rows in found.curves.items()}}
    return pd.DataFrame(rows).T.drop(columns="update")


def by_difficulty(shares: Sequence[float], group_size: int) -> pd.DataFrame:
    """How fast accuracy rises on a question of difficulty 1 - p: d log-odds / d step, relative.

    A question whose right answer has probability p and one token. Each column is divided by its
    largest value.
    """
    rows = []
    for p in shares:
        row = {"p": p}
        for name, kind in (("with the deviation", "group"), ("without", "centred")):
            low, high = expected_advantages(p, group_size, kind)
            # The expected gradient with respect to the logit of the right answer.
            row[name] = p * (1 - p) * (high - low)
        rows.append(row)
    found = pd.DataFrame(rows).set_index("p")
    return found / found.max()


def steps_by_hand(texts: Sequence[str], right: Sequence[bool]) -> pd.DataFrame:
    """Outcome and process supervision of a group of answers, a row per step.

    Each line of a text is a step; its reward is 1 if every equation on it holds, as the parser of
    r1repro/text/soundness.py reads it. A step's advantage under process supervision is the sum of
    the normalized rewards from it on (DeepSeekMath 4.1.3).
    """
    lines = [text.split("\n") for text in texts]
    most = max(map(len, lines))
    rewards_B_S = torch.zeros(len(texts), most, dtype=torch.float64)
    ends_B_S = torch.full((len(texts), most), -1)
    for i, steps in enumerate(lines):
        for j, step in enumerate(steps):
            rewards_B_S[i, j], ends_B_S[i, j] = float(read_work(step).true), j
    outcome_B = objective.advantages_of(
        torch.tensor(right, dtype=torch.float64), len(texts), "group"
    )
    normalized_B_S = process.normalized_steps(rewards_B_S, ends_B_S, len(texts))
    by_step_B_S = process.process_advantages(rewards_B_S, ends_B_S, len(texts), most)
    return pd.DataFrame(
        [
            {
                "answer": i + 1,
                "step": step,
                "reward of the step": rewards_B_S[i, j].item(),
                "normalized": normalized_B_S[i, j].item(),
                "process: sum from here on": by_step_B_S[i, j].item(),
                "outcome": outcome_B[i].item(),
            }
            for i, steps in enumerate(lines)
            for j, step in enumerate(steps)
        ]
    ).set_index(["answer", "step"])
