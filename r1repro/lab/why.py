"""Why RL where SFT is at hand: an example for the pencil, and what stage why_rl measured."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from r1repro.evaluation.statistics import interval, resampled_ratios
from r1repro.tasks import negation_pairs

BEFORE = "base"
"""The arm of the table that is before training."""
SIGNED = "GRPO"
"""The arm that learns from right and from wrong answers."""
SIDES = {
    "right": "right answer, question trained on",
    "wrong": "wrong answer with work, question trained on",
    "guess": "wrong answer without work, question trained on",
    "twin_right": "right answer, twin question",
    "crossed": "the question’s answer, twin question (wrong there)",
}
FORMS = {
    negation_pairs.LIKING: "“I do not like” and “I like”",
    negation_pairs.KIND: "“Which is not an animal?” and “Which is an animal?”",
}
WITH, WITHOUT, GREETING = "with “not”", "without “not”", "after a greeting"
KEPT, CARRIED, ELSEWHERE = (f"shown − other, {where}" for where in (WITH, WITHOUT, GREETING))
APART = f"{WITH} − {WITHOUT}"
LIKENESS = f"{WITHOUT} − {GREETING}"

_A, _B = ("I", "do", "not", "like"), ("I", "like")


def by_hand(rate: float = 1.0) -> pd.DataFrame:
    """P(cat) after "I do not like" and after "I like", before and after one update of each kind.

    The policy has one weight a word, and P(cat) is the sigmoid of the sum over the words before
    it; all weights start at 0. The other answer is "fish". "I do not like" wants "cat", "I like"
    wants "fish". RL draws both answers to both questions once, with advantages of +1 for the right
    and -1 for the wrong one, and takes the mean over each group.
    """
    updates: dict[str, Sequence[tuple[tuple[str, ...], float]]] = {
        "before": (),
        "SFT on “I do not like cat”": ((_A, 0.5),),
        "SFT on that and on “I like fish”": ((_A, 0.5), (_B, -0.5)),
        "RL on both questions": ((_A, 0.5), (_B, -0.5)),
    }
    rows = {}
    for name, pulls in updates.items():
        weights = dict.fromkeys(_A, 0.0)
        for words, pull in pulls:
            for word in words:
                weights[word] += rate * pull
        rows[name] = {
            "P(cat | I do not like)": _sigmoid(sum(weights[word] for word in _A)),
            "P(cat | I like)": _sigmoid(sum(weights[word] for word in _B)),
            **{f"w({word})": weight for word, weight in weights.items()},
        }
    return pd.DataFrame(rows).T


def changes(logps: pd.DataFrame) -> pd.DataFrame:
    """Change of each answer's log-probability by arm, in nats, with 95 % intervals over pairs.

    logps: logps.parquet of stage why_rl. The margins are differences: of the right answer over the
    wrong one, and of the twin's right answer over the crossed one.
    """
    found = []
    for arm, change in _changes(logps):
        columns = {label: change[side] for side, label in SIDES.items()}
        columns["margin, question trained on"] = change["right"] - change["wrong"]
        columns["margin, twin question"] = change["twin_right"] - change["crossed"]
        found.append(_means(columns).assign(arm=arm))
    return pd.concat(found, ignore_index=True)


def negations(logps: pd.DataFrame) -> pd.DataFrame:
    """The same of the shown words of both FORMS, and of their difference to the other words.

    logps: negations.parquet of the stage. Intervals over the words that were shown, each with its
    translation: those of a word's pairs are averaged.
    """
    pairs, found = negation_pairs.sample(), []
    for form, rows in logps.groupby("form", sort=False):
        words = [negation_pairs.word_of(pair) for pair in pairs if pair.asked.task == form]
        for arm, change in _changes(rows.assign(pair=rows["pair"].map(words.__getitem__))):
            names = {"": WITH, ", without": WITHOUT, ", greeting": GREETING}
            columns = {f"shown, {label}": change[f"shown{name}"] for name, label in names.items()}
            for name, label in zip(names, (KEPT, CARRIED, ELSEWHERE), strict=True):
                columns[label] = change[f"shown{name}"] - change[f"other{name}"]
            columns[APART] = columns[KEPT] - columns[CARRIED]
            columns[LIKENESS] = columns[CARRIED] - columns[ELSEWHERE]
            found.append(_means(columns).assign(arm=arm, form=form))
    return pd.concat(found, ignore_index=True)


def _changes(logps: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """By arm, the change of every answer (a column each) of every pair."""
    wide = logps.pivot_table(index="pair", columns=["arm", "answer"], values="logp")
    for arm in logps["arm"].unique():
        if arm != BEFORE:
            yield arm, wide[arm] - wide[BEFORE]


def _means(columns: Mapping[str, pd.Series]) -> pd.DataFrame:
    values_N_M = pd.DataFrame(columns).to_numpy()
    lows, highs = interval(resampled_ratios(values_N_M, np.ones_like(values_N_M)))
    means = {"value": values_N_M.mean(0), "low": lows, "high": highs}
    return pd.DataFrame({"change of log P": [*columns], **means})


def table(found: pd.DataFrame) -> pd.DataFrame:
    """`changes` with a row an answer and a column an arm."""
    told = [f"{v:+.2f} [{low:+.2f}, {high:+.2f}]" for v, low, high in
            zip(found["value"], found["low"], found["high"], strict=True)]  # fmt: skip
    wide = found.assign(told=told).pivot(index="change of log P", columns="arm", values="told")
    return wide.loc[found["change of log P"].unique(), found["arm"].unique()]


def negated(found: pd.DataFrame) -> pd.DataFrame:
    """`negations` with a row an answer and a column an arm."""
    made = {FORMS[form]: table(rows) for form, rows in found.groupby("form", sort=False)}
    return pd.concat(made, names=["form"])


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
