"""Advantages: the effect of a group's mean and deviation, and of an answer's length and steps.

All but the process model is exact. The policy is a table (r1repro/lab/tree.py) whose first token
decides whether the answer is right, and whose other tokens decide only how long it is. Length is
not rewarded, so any change of length is due to the objective.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import comb

import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence

from r1repro.config import Config, lab
from r1repro.lab.rounds import ranked_right
from r1repro.lab.tree import NOTHING, Tree, expectation, mean_length
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.rewards.steps import TRUE, read_steps
from r1repro.runner.workspace import Workspace
from r1repro.text.soundness import read_work
from r1repro.training import objective, process_supervision

RIGHT, WRONG, MORE, END = "r", "w", "-", "."
OBJECTIVES: dict[str, tuple[str, str]] = {
    "GRPO": ("group", "completion"),
    "GRPO without 1/|o|": ("group", "cap"),
    "GRPO without the deviation": ("centred", "completion"),
    "Dr. GRPO": ("centred", "cap"),
}
"""Advantage and normalization by name, as ObjectiveConfig calls them."""
NOTEBOOK, LATE = "advantages", 3
"""The notebook that shows the process model, and the step from which on all are one row."""


def expected_advantages(p: float, group_size: int, kind: str) -> tuple[float, float]:
    """Mean advantage of a wrong and of a right answer, over all that its group may contain.

    Rewards are 0 and 1. Each of the other G - 1 answers is right with probability p, independently.
    """
    others, found = group_size - 1, []
    for own in (0.0, 1.0):
        total = 0.0
        for k in range(group_size):
            chance = comb(others, k) * p**k * (1 - p) ** (others - k)
            rewards = torch.tensor([own] + [1.0] * k + [0.0] * (others - k), dtype=torch.float64)
            total += chance * float(objective.advantages_of(rewards, group_size, kind)[0])
        found.append(total)
    return found[0], found[1]


def group_by_hand(rewards: Sequence[float], lengths: Sequence[int]) -> pd.DataFrame:
    """A row per answer: its advantage with and without the deviation, and each token's weight."""
    rewards_B = torch.tensor(rewards, dtype=torch.float64)
    rows = pd.DataFrame({"reward": rewards, "tokens": lengths})
    for name, kind in (("(r − mean) / std", "group"), ("r − mean", "centred")):
        rows[name] = objective.advantages_of(rewards_B, len(rewards), kind).numpy()
    rows["a token, by 1/|o|"] = rows["(r − mean) / std"] / rows["tokens"]
    rows["a token, by the cap"] = rows["(r − mean) / std"] / max(lengths)
    return rows.rename_axis("answer")


def lengths(p: float = 0.2, stop: float = 0.1, updates: int = 150) -> dict[str, pd.DataFrame]:
    """Mean lengths and accuracy over exact updates, by objective, all from the same policy.

    An answer is a first token, at the start right with probability p, then any number of others, up
    to a cap of 16 tokens in all; at the start the end has probability `stop` at each of them. The
    loss is objective.grpo_loss, its mean an exact expectation over groups of 16 answers. Losses by
    the cap are multiplied by cap / mean length at the start, so that all steps are of the same
    size.
    """
    cap = group_size = 16
    rests = [MORE * n + END for n in range(cap - 1)] + [MORE * (cap - 1)]
    tree = Tree(tuple(first + rest for first in (RIGHT, WRONG) for rest in rests))
    right_S = torch.tensor([text[0] == RIGHT for text in tree.completions])
    kinds = {"all": 1.0, "right": right_S, "wrong": ~right_S}
    start = tree.logits(lambda context: {RIGHT: p} if context == "" else {END: stop})
    scale = cap / float(mean_length(tree, start))
    found = {}
    for name, (kind, normalization) in OBJECTIVES.items():
        logits, rows = start, []
        for _ in range(updates + 1):
            logits = logits.detach().requires_grad_()
            logps_S_T, fixed = tree.logps(logits), logits.detach()
            p_S = logps_S_T.detach().sum(1).exp()
            accuracy = float(p_S[right_S].sum())
            means = {kind: float(mean_length(tree, fixed, among)) for kind, among in kinds.items()}
            rows.append({"accuracy": accuracy, **means})
            both = expected_advantages(accuracy, group_size, kind)
            advantages_S = torch.tensor(both, dtype=torch.float64)[right_S.long()]
            loss = objective.grpo_loss(
                logps_S_T, logps_S_T.detach(), None, advantages_S, tree.mask_S_T, 0.2, 0.0,
                mean=expectation(tree, p_S, normalization),
            )  # fmt: skip
            (gradient,) = torch.autograd.grad(loss.value, logits)
            logits = logits - (scale if normalization == "cap" else 1.0) * gradient
        found[name] = pd.DataFrame(rows).rename_axis("update")
    return found


def ends(found: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """`lengths` before the first update and, by objective, after the last."""
    first = next(iter(found.values())).iloc[0]
    return pd.DataFrame({"before": first, **{n: rows.iloc[-1] for n, rows in found.items()}}).T


def by_difficulty(shares: Sequence[float], group_size: int) -> pd.DataFrame:
    """How fast the log-odds of a question rise, relative to the largest value of each column.

    The question's right answer has one token, of probability p.
    """
    found = pd.DataFrame(index=pd.Index(shares, name="p"))
    for name, kind in (("with the deviation", "group"), ("without", "centred")):
        both = [expected_advantages(p, group_size, kind) for p in shares]
        # The expected gradient with respect to the logit of the right answer.
        found[name] = [
            p * (1 - p) * (high - low) for p, (low, high) in zip(shares, both, strict=True)
        ]
    return found / found.max()


def steps_by_hand(texts: Sequence[str], right: Sequence[bool]) -> pd.DataFrame:
    """Outcome and process supervision of a group of answers, a row per step.

    Each line of a text is a step; its reward is 1 if every equation on it holds, as
    r1repro/text/soundness.py parses it. A step's advantage under process supervision is the sum of
    the normalized rewards from it on (DeepSeekMath 4.1.3).
    """
    steps = [text.split("\n") for text in texts]
    each = [[float(read_work(step).true) for step in lines] for lines in steps]
    rewards_B_S = pad_sequence([torch.tensor(row, dtype=torch.float64) for row in each], True)
    ends_B_S = pad_sequence([torch.arange(len(row)) for row in each], True, -1)
    size, most = rewards_B_S.shape
    right_B = torch.tensor(right, dtype=torch.float64)
    outcome_B = objective.advantages_of(right_B, size, "group")
    rows = {
        "reward of the step": rewards_B_S,
        "normalized": process_supervision.normalized_steps(rewards_B_S, ends_B_S, size),
        "process: sum from here on": process_supervision.process_advantages(
            rewards_B_S, ends_B_S, size, most
        ),
        "outcome": outcome_B[:, None].expand_as(rewards_B_S),
    }
    named = [(i, step) for i, lines in enumerate(steps, start=1) for step in lines]
    index = pd.MultiIndex.from_tuples(named, names=["answer", "step"])
    return pd.DataFrame({n: values[ends_B_S >= 0].numpy() for n, values in rows.items()}, index)


def judged(config: Config) -> Shown | None:
    """Held-out pairs of beginnings that the process model ranks right, by step, if it was trained.

    A beginning of a right answer against one of a wrong answer to the same question. In some, all
    steps of both hold, so the checker cannot tell them apart. Intervals over questions.
    """
    if (pairs := _held_out(config)) is None:
        return paragraphs(
            f"The model has not been trained with these settings: `r1repro run lab={NOTEBOOK}` "
            "with the same settings trains it."
        )
    rows = [Row(name, (ranked_right(part), str(len(part)))) for name, part in by_step(pairs)]
    return Table(("Ranked right", "Pairs"), tuple(rows), "Beginnings that end with")


def by_step(pairs: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The pairs by the number of the step, and those that the checker cannot tell apart."""
    for number, part in pairs.groupby(pairs["step"].clip(upper=LATE)):
        yield f"step {number}{' or a later one' if number == LATE else ''}", part
    true = pairs[["chosen", "rejected"]].map(
        lambda text: all(step.reward == TRUE for step in read_steps(text))
    )
    yield "any step, every step of both being true", pairs[true.all(axis=1)]


def told(config: Config) -> Html | None:
    """How good the process model is, over all held-out pairs; None if it was not trained."""
    if (pairs := _held_out(config)) is None:
        return None
    return paragraphs(
        f"The learned model scores the right side higher in {ranked_right(pairs)} of {len(pairs)} "
        "held-out pairs of beginnings, where chance is 50 %: how the arm that it pays ended is a "
        "finding about a model that good, and says little about a better one."
    )


def _held_out(config: Config) -> pd.DataFrame | None:
    """The pairs that the model was not trained on; None if it was not trained."""
    space = Workspace(replace(config, lab=NOTEBOOK))
    if not space.is_done(lab.PROCESS):
        return None
    pairs = pd.read_parquet(space.place(lab.PROCESS) / "pairs.parquet")
    return pairs[pairs["split"] == "held out"]


def findings(
    found: Mapping[str, pd.DataFrame], weights: pd.DataFrame, steps: pd.DataFrame
) -> Html | None:
    """Of notebook advantages: of `lengths`, `by_difficulty` and `steps_by_hand`."""
    after = ends(found)
    change = (after - after.loc["before"]).drop("before")[["wrong", "right"]]
    moved = (change.abs() >= NOTHING).any(axis=1)
    still = " and ".join(change.index[~moved]) or "none of them"
    told = "; ".join(
        f"with {name}, wrong answers change by {row.wrong:+.1f} tokens and right ones by "
        f"{row.right:+.1f}"
        for name, row in change[moved].iterrows()
    )
    rarest, ratio = weights.index[0], weights.iloc[0]
    by_step, outcome = steps["process: sum from here on"], steps["outcome"]
    other = (by_step * outcome < 0).sum()
    return paragraphs(
        f"Length is worth nothing to this policy. With {still} neither the right nor the wrong "
        f"answers change their length at all; {told}.",
        "Relative to the strongest pull of any question, one that is answered right with "
        f"probability {rarest:.0%} pulls {ratio['with the deviation']:.0%} as hard if advantages "
        f"are divided by the deviation, and {ratio['without']:.0%} if not.",
        f"In the group of {steps.index.get_level_values(0).nunique()} answers, process supervision "
        f"gives {other} of {len(steps)} steps the opposite sign to outcome supervision. Its "
        f"advantages range from {by_step.min():+.2f} to {by_step.max():+.2f}; those of the outcome "
        f"are {outcome.min():+.2f} and {outcome.max():+.2f}.",
    )
