"""Why RL where SFT is at hand: an example by hand, and what stage why_rl measured."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from r1repro.evaluation.statistics import interval, resampled_ratios
from r1repro.reports.markup import Html, paragraphs
from r1repro.stages.why_rl import BOTH, NEGATED
from r1repro.tasks import negation_pairs

BEFORE = "base"
"""The arm of the table before training."""
SIGNED = "GRPO"
"""The arm that learns from right and wrong answers."""
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


def by_hand() -> pd.DataFrame:
    """P(cat) after "I do not like" and after "I like", before and after one update of each kind.

    The policy has one weight a word, and P(cat) is the sigmoid of the sum over the words before
    it; all weights start at 0. The other answer is "fish". "I do not like" wants "cat", "I like"
    wants "fish". RL draws both answers to both questions once, with advantages of +1 for the right
    and -1 for the wrong one, and takes the mean over each group.
    """
    both = ((_A, 0.5), (_B, -0.5))
    updates = {
        "before": (),
        "SFT on “I do not like cat”": both[:1],
        "SFT on that and on “I like fish”": both,
        "RL on both questions": both,
    }
    rows = {}
    for name, pulls in updates.items():
        weights = dict.fromkeys(_A, 0.0)
        for words, pull in pulls:
            for word in words:
                weights[word] += pull
        rows[name] = {
            f"P(cat | {' '.join(words)})": 1 / (1 + np.exp(-sum(weights[word] for word in words)))
            for words in (_A, _B)
        } | {f"w({word})": weight for word, weight in weights.items()}
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
    """`changes` for the shown words of both FORMS, and for their difference to the other words.

    logps: negations.parquet of the stage. Intervals are over the shown words: the pairs of a word
    and of its translation are averaged.
    """
    pairs, found = negation_pairs.sample(), []
    for form, rows in logps.groupby("form", sort=False):
        words = [negation_pairs.word_of(pair) for pair in pairs if pair.asked.task == form]
        for arm, change in _changes(rows.assign(pair=rows["pair"].map(words.__getitem__))):
            names = {"": WITH, ", without": WITHOUT, ", greeting": GREETING}
            columns = {f"shown, {label}": change[f"shown{name}"] for name, label in names.items()}
            for name, label in names.items():
                columns[f"shown − other, {label}"] = change[f"shown{name}"] - change[f"other{name}"]
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
    told = found.assign(told=[_told(row) for row in found.itertuples()])
    wide = told.pivot(index="change of log P", columns="arm", values="told")
    return wide.loc[found["change of log P"].unique(), found["arm"].unique()]


def negated(found: pd.DataFrame) -> pd.DataFrame:
    """`negations` with a row an answer and a column an arm."""
    made = {FORMS[form]: table(rows) for form, rows in found.groupby("form", sort=False)}
    return pd.concat(made, names=["form"])


def _told(row: Any) -> str:
    return f"{row.value:+.2f} [{row.low:+.2f}, {row.high:+.2f}]"


def findings(found: pd.DataFrame) -> Html | None:
    """Of notebook why_rl; found: `changes`."""
    by = found.set_index(["change of log P", "arm"])
    arms = [*found["arm"].unique()]
    right, wrong, guess, crossed = (SIDES[side] for side in ("right", "wrong", "guess", "crossed"))

    def told(label: str) -> str:
        return ", ".join(f"{arm} {_told(by.loc[(label, arm)])}" for arm in arms)

    def under(arms: Iterable[str]) -> str:
        return " and ".join(arms) or "none of them"

    def likelier(label: str) -> str:
        return f"likelier under {under(arm for arm in arms if by.low[label, arm] > 0)}"

    def moved(label: str) -> str:
        less = under(arm for arm in arms if by.high[label, arm] < 0)
        return f"{told(label)}; {likelier(label)}, less likely under {less}"

    def ratios(label: str) -> str:
        gain = {arm: by.value[right, arm] for arm in arms}
        return ", ".join(
            f"{arm} {by.value[label, arm] / gain[arm]:+.2f}" for arm in arms if gain[arm] > 0
        )

    each = ratios(wrong)
    return paragraphs(
        f"{SIGNED}, the arm with both signs, {_signed(by.loc[(wrong, SIGNED)])}.",
        f"For every nat that the right answer gained, that wrong answer gained {each}, and the "
        f"right answer after the twin question, where it is wrong, {ratios(crossed)}."
        if each
        else "",
        f"The right answer to the question trained on, in nats: {told(right)}. A wrong one with "
        f"work: {moved(wrong)}. A wrong guess without work: {moved(guess)}.",
        f"The same answer after the twin question, where it is wrong: {told(crossed)}; "
        f"{likelier(crossed)}. The margin shows whether the two sides are separated: "
        f"{told('margin, question trained on')} on the question trained on, and "
        f"{told('margin, twin question')} on its twin, on which no arm was trained. The intervals "
        "cover pairs from one run with one seed.",
    )


def _signed(change: pd.Series) -> str:
    """What the arm with both signs did to the wrong answer with work."""
    if change.high < 0:
        return "pushed the wrong answer with work down, as the argument has it"
    if change.low > 0:
        return "raised the wrong answer with work too, against the argument above"
    return "did not clearly move the wrong answer with work"


def findings_of_negations(found: pd.DataFrame) -> Html | None:
    """Of notebook why_rl; found: `negations`."""
    said = [_negated(FORMS[form], rows) for form, rows in found.groupby("form", sort=False)]
    last = "One run with one seed; the intervals cover words, each with its translation."
    return paragraphs(*said, last)


def _negated(form: str, found: pd.DataFrame) -> str:
    rows = found.set_index(["arm", "change of log P"])

    def told(name: str, arm: str = NEGATED) -> str:
        return _told(rows.loc[(arm, name)])

    verdict = f"The two sides were not told apart (difference {told(APART)})."
    if rows.low[NEGATED, APART] > 0:
        verdict = f"With “not” they gained {told(APART)} more than without."
    by = f"Without “not” the gain is not told apart from the greeting’s ({told(LIKENESS)})."
    if rows.low[NEGATED, LIKENESS] > 0:
        by = f"Of the gain without “not”, {told(LIKENESS)} is due to likeness."
    elif rows.high[NEGATED, LIKENESS] < 0:
        by = f"Without “not” they gained less than after the greeting ({told(LIKENESS)})."
    return (
        f"{form}: by fine-tuning on the former alone the shown words gained on the others "
        f"{told(KEPT)} nats with “not”, {told(CARRIED)} without it, where they are wrong, and "
        f"{told(ELSEWHERE)} after a greeting, which shares no word with either. {verdict} {by} By "
        f"fine-tuning on both they gained {told(KEPT, BOTH)} with and {told(CARRIED, BOTH)} "
        "without."
    )
