"""Iterative RL with a learned reward, exactly: four answers, two habits, and how they are paid.

The policy has two habits, to work a question and to sound sure, and decides on each by itself, with
one logit. An answer is right if it has exactly one of them. The reward model scores the habits and
their combination; it was fitted to few pairs, so it knows little about rare answers. Every
expectation is a sum over the four answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from r1repro.config.lab import REPLAY
from r1repro.training.objective import STD_FLOOR, group_advantages

Array = NDArray[np.float64]
RULE = "paid by the rule"
FIRST = "first round, learned reward"
KEPT = "second round, the same reward model"
REFRESHED = "second round, reward model refreshed"
ANSWERS = {
    "A": "4+7=11, 11-3=8. It is 8.",
    "B": "4+7=11, 11+3=14. Surely 14.",
    "C": "Surely 8.",
    "D": "It is 14.",
}
"""To 4 + 7 - 3."""
GROUP = ("A", "B", "D", "D")
"""The group that is worked by hand."""
START = (0.2, 0.15)
"""How often the base works a question, and how often it sounds sure."""
PAIRS, RATE = 30, 0.5
"""Pairs that a reward model is fitted to, and the rate of the updates."""
_HABITS_4_2 = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]])
_FEATURES_4_3 = np.column_stack([_HABITS_4_2, _HABITS_4_2.prod(1)])
_RIGHT_4 = np.array([1.0, 0.0, 1.0, 0.0])
_BASE_2 = np.log(np.array(START) / (1 - np.array(START)))
_RIGHT, _WRONG = np.flatnonzero(_RIGHT_4 == 1), np.flatnonzero(_RIGHT_4 == 0)
_DIFFERENCES_4_3 = (_FEATURES_4_3[_RIGHT][:, None] - _FEATURES_4_3[_WRONG]).reshape(4, 3)


def policy(logits_2: Array) -> Array:
    """Probabilities of the four answers."""
    works, sure = 1 / (1 + np.exp(-logits_2))
    return np.array([works * (1 - sure), works * sure, (1 - works) * sure,
                     (1 - works) * (1 - sure)])  # fmt: skip


def pairs_of(policy_4: Array) -> Array:
    """Shares of the four pairs of a right and a wrong answer among the policy's samples."""
    shares_4 = np.outer(policy_4[_RIGHT], policy_4[_WRONG]).ravel()
    return shares_4 / shares_4.sum()


def fitted(shares_4: Array, pairs: int = PAIRS) -> Array:
    """The reward model's three weights by Bradley-Terry: by Newton's method, the maximum of

    pairs * sum(shares * log sigmoid(score of the right - score of the wrong)) - |weights|^2 / 2,
    whose last term keeps weights near zero that the pairs hardly determine.
    """
    weights_3, counts_4 = np.zeros(3), pairs * shares_4
    for _ in range(100):
        beaten_4 = 1 / (1 + np.exp(_DIFFERENCES_4_3 @ weights_3))
        slope_3 = _DIFFERENCES_4_3.T @ (counts_4 * beaten_4) - weights_3
        curved_4 = counts_4 * beaten_4 * (1 - beaten_4)
        bend_3_3 = (_DIFFERENCES_4_3.T * curved_4) @ _DIFFERENCES_4_3 + np.eye(3)
        weights_3 = weights_3 + np.linalg.solve(bend_3_3, slope_3)
    return weights_3


def paid(weights_3: Array) -> Array:
    """The learned rewards of the four answers: the sigmoid of the score, as in the training."""
    return 1 / (1 + np.exp(-_FEATURES_4_3 @ weights_3))


def ranked(shares_4: Array, weights_3: Array) -> float:
    """Share of pairs in which the right answer is paid more; ties count half."""
    return float(shares_4 @ (1 + np.sign(_DIFFERENCES_4_3 @ weights_3)) / 2)


@dataclass(frozen=True)
class Exact:
    """What exact updates do.

    answers: what each of the four is paid, and how often it is given.
    curves: by RULE, FIRST, KEPT and REFRESHED, columns x (updates), learned, accuracy and best, the
        share of the answer that the first reward model pays most.
    ranks: share of pairs ranked right, by (reward model, policy whose answers it ranks).
    """

    answers: pd.DataFrame

    curves: Mapping[str, pd.DataFrame]
    ranks: Mapping[tuple[str, str], float]


def exact(updates: int = 30, pairs: int = PAIRS) -> Exact:
    """Two rounds of `updates` expected updates each, from the base.

    The reward models learn from `pairs` pairs, of answers of the base and, for the refreshed one,
    mainly of the policy after the first round.
    """
    seen_4, old_3 = pairs_of(policy(_BASE_2)), fitted(pairs_of(policy(_BASE_2)), pairs)
    best = int(paid(old_3).argmax())
    first, middle_2 = _round(_BASE_2, paid(old_3), updates, best)
    new_4 = pairs_of(policy(middle_2))
    new_3 = fitted((1 - REPLAY) * new_4 + REPLAY * seen_4, pairs)
    kept, _ = _round(middle_2, paid(old_3), updates, best)
    refreshed, _ = _round(middle_2, paid(new_3), updates, best)
    rule, _ = _round(_BASE_2, _RIGHT_4, 2 * updates, best)
    later = {KEPT: kept, REFRESHED: refreshed}
    answers = {
        "answer": ANSWERS.values(), "right": _RIGHT_4.astype(bool),
        "share, base": policy(_BASE_2), "paid by the first reward model": paid(old_3),
        "share, after its round": policy(middle_2), "paid by the refreshed one": paid(new_3),
    }  # fmt: skip
    return Exact(
        pd.DataFrame(answers, index=pd.Index(ANSWERS)),
        {RULE: rule.drop(columns="learned"), FIRST: first,
         **{name: rows.assign(x=rows["x"] + updates) for name, rows in later.items()}},
        {("first", "base"): ranked(seen_4, old_3), ("first", "first round"): ranked(new_4, old_3),
         ("refreshed", "first round"): ranked(new_4, new_3)},
    )  # fmt: skip


def _round(
    logits_2: Array, rewards_4: Array, updates: int, best: int
) -> tuple[pd.DataFrame, Array]:
    """(a row before each update and after the last, the logits then)."""
    rows = []
    for update in range(updates + 1):
        policy_4 = policy(logits_2)
        mean = policy_4 @ rewards_4
        rows.append((update, mean, policy_4 @ _RIGHT_4, policy_4[best]))
        deviation = np.sqrt(policy_4 @ (rewards_4 - mean) ** 2)
        advantages_4 = (rewards_4 - mean) / (deviation + STD_FLOOR)
        if update < updates:
            # The gradient of a logit of a habit: the habit less its probability.
            pull_2 = (policy_4 * advantages_4) @ (_HABITS_4_2 - policy_4 @ _HABITS_4_2)
            logits_2 = logits_2 + RATE * pull_2
    return pd.DataFrame(rows, columns=["x", "learned", "accuracy", "best"]), logits_2


def by_hand(group: Sequence[str] = GROUP) -> pd.DataFrame:
    """A row per answer of a group: its rewards by the rule and by the base's reward model, and its
    advantages by each."""
    rewards, answers = _rewards(group), [ANSWERS[name] for name in group]
    advantages = {f"advantage, {name}": _advantages(each_K) for name, each_K in rewards.items()}
    return pd.DataFrame({"answer": answers, **rewards, **advantages}, index=pd.Index(group))


def pushes(group: Sequence[str] = GROUP) -> pd.DataFrame:
    """How hard GRPO pushes each choice: the sum of A / (K |o|) over the K answers that have it.

    An answer is two tokens here: whether it works the question, and how sure it sounds.
    """
    works_K, sure_K = _HABITS_4_2[_places(group)].T
    choices = {"works": works_K, "guesses": 1 - works_K, "“surely”": sure_K, "“it is”": 1 - sure_K}
    found = {}
    for name, rewards_K in _rewards(group).items():
        push_K = _advantages(rewards_K) / (2 * len(group))
        found[name] = {choice: float(has_K @ push_K) for choice, has_K in choices.items()}
    return pd.DataFrame(found)


def _rewards(group: Sequence[str]) -> dict[str, Array]:
    """By the rule, and by the reward model of the base's pairs."""
    learned_4 = paid(fitted(pairs_of(policy(_BASE_2))))
    return {"rule": _RIGHT_4[_places(group)], "learned": learned_4[_places(group)]}


def _places(group: Sequence[str]) -> list[int]:
    return [list(ANSWERS).index(name) for name in group]


def _advantages(rewards_K: Array) -> Array:
    found: Array = group_advantages(torch.from_numpy(rewards_K), len(rewards_K)).numpy()
    return found
