"""Length and the cap: what longer thinking buys, and what the lengths of answers cannot show.

`by_hand`, `budgets` and `paradox` are exact, of a searcher that tries candidates: each is right
with the same probability and costs the same number of tokens.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from r1repro.config import Config, lab
from r1repro.evaluation import metrics, statistics
from r1repro.evaluation.checkpoints import about
from r1repro.evaluation.statistics import Estimate
from r1repro.lab import arms, figures
from r1repro.lab.arms import Trained
from r1repro.reports.drawing import Drawing
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.reports.tables import worded
from r1repro.tasks.problem import GENERAL

MODELS = ("base", "r1_zero")
ENOUGH = 5
"""Completions below which a mean length is not shown."""
ALL, QUESTION = "nothing", "the question"
UNFINISHED = "the question, without answers that the cap cut off"
HELD: dict[str, tuple[str, ...]] = {
    ALL: (),
    "the level": ("level",),
    "the task and the level": ("task", "level"),
    QUESTION: ("problem_id", "language"),
}
"""What is held fixed when lengths are compared, as columns of the evaluation."""


def by_hand(p: float, cost: int, tries: int) -> pd.DataFrame:
    """A searcher that stops at the first right candidate: a row per most candidates it may try.

    p: probability that a candidate is right; cost: its tokens. Columns: the budget in tokens,
    pass@1, and the mean tokens of right and of wrong answers.
    """
    rows, found, spent = {}, 0.0, 0.0
    for k in range(1, tries + 1):
        chance = (1 - p) ** (k - 1) * p
        found, spent = found + chance, spent + chance * k * cost
        rows[k] = {
            "budget": k * cost, "pass@1": found, "tokens of right answers": spent / found,
            "tokens of wrong answers": float(k * cost),
        }  # fmt: skip
    return pd.DataFrame(rows).T.rename_axis("candidates")


def budgets(chances: Mapping[str, float], cost: int, most: int) -> pd.DataFrame:
    """pass@1 of the searcher over the cap on tokens, up to `most`, by question."""
    caps = pd.RangeIndex(0, most + 1, name="cap")
    return pd.DataFrame({name: 1 - (1 - p) ** (caps // cost) for name, p in chances.items()}, caps)


def paradox(chances: Mapping[str, float], long: Mapping[str, float]) -> pd.DataFrame:
    """Share of right answers, short and long, by kind of question and over all (Simpson's paradox).

    Short answers try one candidate and long ones two; long: the share of each kind's answers that
    is long. The kinds are equally many. Columns `short`, `long`, and the `difference`.
    """
    found = pd.DataFrame({how: {name: 1 - (1 - p) ** k for name, p in chances.items()}
                          for k, how in enumerate(("short", "long"), start=1)})  # fmt: skip
    given = pd.DataFrame({"short": {name: 1 - share for name, share in long.items()}, "long": long})
    found.loc["all"] = (given * found).sum() / given.sum()
    return found.assign(difference=found["long"] - found["short"])


@dataclass(frozen=True)
class Measured:
    """The lengths of a run.

    evaluations: reasoning rows of evaluation.parquet by checkpoint. training: R1-Zero's metrics;
    kept: completions over its training with their step; both None if it was not trained.
    snapshots: whether these are answers to the validation problems. cap: most tokens of an
    evaluated completion; low: of the arms with a lower cap.
    """

    evaluations: Mapping[str, pd.DataFrame]
    training: pd.DataFrame | None
    kept: pd.DataFrame | None
    snapshots: bool
    cap: int
    low: int


def of_run(config: Config) -> Measured:
    """What the sequence with these settings has built; nothing is built here."""
    space = arms.main(config)
    found = {name: space.load(f"evaluate_{name}") for name in MODELS}
    trained = space.load("r1_zero")
    curve = space.load("r1_zero_curve") if "r1_zero_curve" in space.stages else None
    kept = curve.table("curve") if curve else trained.completions() if trained else None
    return Measured(
        {name: reasoning(result.evaluation()) for name, result in found.items() if result},
        trained.metrics() if trained else None,
        None if kept is None else reasoning(kept),
        curve is not None,
        config.evaluation.max_completion_tokens,
        lab.settings(config.stage.r1_zero, lab.arms()["cap_low"]).max_completion_tokens,
    )


def reasoning(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on problems with verifiable answers."""
    return rows[~rows["task"].isin(GENERAL)]


def how(found: Measured) -> Html | None:
    """What the run lacks, and how to build it; None if it lacks nothing."""
    lacking = [about(name).label for name in MODELS if name not in found.evaluations]
    if not lacking:
        return None
    return paragraphs(
        f"Not built with these settings: the evaluation of {' and of '.join(lacking)}. "
        "`r1repro run --until r1_zero` with the same settings builds what is missing; then execute "
        "this notebook again."
    )


def source(found: Measured) -> Html | None:
    """Where lengths by difficulty over training come from, and how to get more of them."""
    if found.kept is None:
        return None
    where, more = "answers of its snapshots to the validation problems", ""
    if not found.snapshots:
        where = "completions that were kept during training, one a question"
        more = (
            "`evaluation.curve_samples=16` evaluates R1-Zero's snapshots on the far more numerous "
            "validation problems; once that has run, those answers are used here."
        )
    return paragraphs(f"By difficulty: {len(found.kept):,} {where}.", more)


def answered_by(rows: pd.DataFrame, caps: Sequence[int]) -> pd.Series:
    """Share of completions that are right and have at most so many tokens, by cap."""
    right = np.sort(rows["tokens"][rows["correct"]].to_numpy())
    return pd.Series(np.searchsorted(right, caps, side="right") / max(1, len(rows)), index=caps)


def by_cap(answers: Mapping[str, pd.DataFrame], most: int) -> pd.DataFrame:
    """`answered_by` with every cap from 1 to `most`, a column for each of the answers."""
    caps = range(1, most + 1)
    return pd.DataFrame({name: answered_by(rows, caps) for name, rows in answers.items()})


def by_length(rows: pd.DataFrame, parts: int = 5) -> pd.DataFrame:
    """Share of right answers by fifth of length: over all, and on easy and on hard questions.

    Rows: the fifths, as their mean tokens. NaN below ENOUGH completions.
    """
    fifth = pd.qcut(rows["tokens"], parts, labels=False, duplicates="drop")
    kinds = difficulty(rows)
    shares = {}
    for name in ("all", "easy", "hard"):
        right = rows["correct"][(kinds == name) | (name == "all")].astype(float).groupby(fifth)
        shares[name] = right.mean().where(right.size() >= ENOUGH)
    tokens = rows["tokens"].groupby(fifth).mean().rename("tokens")
    return pd.DataFrame(shares).set_index(tokens)


def difficulty(rows: pd.DataFrame) -> pd.Series:
    """Easy for levels up to the median level, hard for those above; all easy with one level."""
    return (rows["level"] > rows["level"].median()).map({False: "easy", True: "hard"})


def beyond(rows: pd.DataFrame, cap: int) -> float:
    """Share of the right answers that have more than `cap` tokens."""
    return float((rows["tokens"][rows["correct"]] > cap).mean())


def gap(rows: pd.DataFrame, held: Sequence[str]) -> Estimate:
    """Mean tokens of right less wrong answers among rows that agree in the columns `held`.

    The coefficient of `correct` in a regression of tokens on it with an intercept for each group;
    groups without both kinds do not count. 95 % bootstrap over problems, with the groups' means
    held fixed. n: problems that count. NaN if no group has both.
    """
    both = rows[["tokens", "correct"]].astype(float)
    groups = [rows[name] for name in held] if held else np.zeros(len(rows))
    away = both - both.groupby(groups).transform("mean")
    sums = pd.DataFrame({"top": away["tokens"] * away["correct"], "bottom": away["correct"] ** 2})
    each = sums.groupby([rows["problem_id"], rows["language"]]).sum()
    top, bottom = each[["top"]].to_numpy(), each[["bottom"]].to_numpy()
    ends = statistics.interval(statistics.resampled_ratios(top, bottom))
    value, low, high = (float(of[0]) for of in (statistics.ratio_of_sums(top, bottom), *ends))
    return Estimate(value, low, high, int((bottom > 0).sum()))


def gaps(rows: pd.DataFrame) -> dict[str, Estimate]:
    """`gap` by what is held fixed, and without the answers that the cap cut off."""
    found = {name: gap(rows, held) for name, held in HELD.items()}
    return found | {UNFINISHED: gap(rows[rows["finished"]], HELD[QUESTION])}


def gaps_table(found: Measured) -> Shown | None:
    """Tokens of right less wrong answers: a row per thing held fixed, a column per checkpoint."""
    if not found.evaluations:
        return None
    by = {name: gaps(rows) for name, rows in found.evaluations.items()}
    rows = [
        Row(held, tuple(metrics.shown(of[held], "length", signed=True) for of in by.values()))
        for held in (*HELD, UNFINISHED)
    ]
    return Table(tuple(about(name).label for name in by), tuple(rows), "Held fixed")


def levels(found: Measured) -> Shown | None:
    """A row per checkpoint and level: pass@1, tokens of right and wrong answers, and what fits."""
    if not found.evaluations:
        return None
    columns = ("pass@1", "Right: tokens, mean", "Right: tokens, nine in ten have at most",
               "Wrong: tokens, mean", f"Right within {found.low:,} tokens")  # fmt: skip
    rows = []
    for name, answers in found.evaluations.items():
        rows.append(Row(about(name).label))
        for level, part in answers.groupby("level"):
            right, wrong = (part["tokens"][part["correct"] == kind] for kind in (True, False))
            tokens = (right, right.mean()), (right, right.quantile(0.9)), (wrong, wrong.mean())
            cells = (
                f"{part['correct'].mean():.1%}",
                *("–" if len(of) < ENOUGH else f"{value:.0f}" for of, value in tokens),
                f"{answered_by(part, [found.low]).iloc[0]:.1%}",
            )
            rows.append(Row(f"level {level}", cells))
    return Table(columns, tuple(rows), "Level")


def thirds(kept: pd.DataFrame) -> pd.DataFrame:
    """Mean tokens over the thirds of training, by difficulty and correctness.

    kept: completions with their step. Rows: the third, as its range of steps; columns: (easy or
    hard, right or wrong), NaN below ENOUGH completions.
    """
    part = np.minimum(2, 3 * (kept["step"] - 1).clip(lower=0) // kept["step"].max())
    steps = kept.groupby(part)["step"].agg(["min", "max"])
    names = {i: f"steps {low:,} to {high:,}" for i, (low, high) in steps.iterrows()}
    groups = kept.assign(
        third=part.map(names),
        difficulty=difficulty(kept),
        answer=np.where(kept["correct"], "right", "wrong"),
    ).groupby(["third", "difficulty", "answer"], sort=False)["tokens"]
    found = groups.mean().where(groups.size() >= ENOUGH).unstack(["difficulty", "answer"])
    return found.reindex(names.values()).sort_index(axis=1)


def within(before: pd.DataFrame, after: pd.DataFrame, cap: int) -> Estimate:
    """Paired change of the share right within `cap` tokens, with its interval over problems."""
    first, second = (
        (rows["correct"] & (rows["tokens"] <= cap))
        .groupby([rows["problem_id"], rows["language"]])
        .mean()
        for rows in (before, after)
    )
    change_N = (second - first).to_numpy()
    draws = statistics.resampled_ratios(change_N[:, None], np.ones((len(change_N), 1)))
    (low,), (high,) = statistics.interval(draws)
    value = float(change_N.mean())
    return Estimate(value, *statistics.change_interval(low, high, value, change_N), len(change_N))


def held_to(found: Trained, cap: int) -> Shown | None:
    """A row per arm: how much is right within `cap` tokens, and length and cut-offs in training."""
    if not found.evaluations:
        return None
    ends = ("first quarter", "last quarter")
    columns = (
        "pass@1", f"Right within {cap:,} tokens", "The same less GRPO’s, paired",
        *(f"Length in training, {end}" for end in ends), *(f"Cut off, {end}" for end in ends),
    )  # fmt: skip
    rows = []
    for name, answers in found.evaluations.items():
        curve = found.curves[name]
        size = max(1, len(curve) // 4)
        quarters = curve.iloc[:size], curve.iloc[-size:]
        cells = (
            f"{answers['correct'].mean():.1%}", f"{answered_by(answers, [cap]).iloc[0]:.1%}",
            metrics.shown(_against(found, name, cap), arms.PASS, signed=True),
            *(f"{part['length'].mean():.1f}" for part in quarters),
            *(f"{part['clipped'].mean():.1%}" for part in quarters),
        )  # fmt: skip
        rows.append(Row(arms.label(name, found.notebook), cells))
    return Table(columns, tuple(rows), "Arm")


def _against(found: Trained, name: str, cap: int) -> Estimate | None:
    """`within` of an arm against GRPO; None for GRPO itself, or if it was not run."""
    grpo = found.evaluations.get(lab.REFERENCE)
    if grpo is None or name == lab.REFERENCE:
        return None
    return within(grpo, found.evaluations[name], cap)


def pictures(found: Measured) -> Drawing | None:
    """Accuracy by length of each checkpoint, and by cap; None without an evaluation."""
    if not found.evaluations:
        return None
    labelled = {about(name).label: rows for name, rows in found.evaluations.items()}
    lengths = {name: by_length(rows) for name, rows in labelled.items()}
    return figures.by_length(lengths, by_cap(labelled, found.cap), found.low)


def through_training(found: Measured) -> Drawing | None:
    """Lengths over R1-Zero's training, and by difficulty; None without it."""
    if found.training is None or found.kept is None:
        return None
    return figures.through_training(found.training, thirds(found.kept))


def of_arms(found: Trained, most: int, low: int) -> Drawing | None:
    """What each arm answers rightly within how many tokens; None without an arm."""
    if not found.evaluations:
        return None
    labelled = {arms.label(n, found.notebook): rows for n, rows in found.evaluations.items()}
    return figures.by_cap(by_cap(labelled, most), low)


def findings(
    hand: pd.DataFrame, by_kind: pd.DataFrame, found: Measured, trained: Trained
) -> Html | None:
    """Of notebook length_and_cap; hand: by_hand, by_kind: paradox."""
    last, kinds = hand.iloc[-1], by_kind.drop("all")
    apart = " and ".join(
        f"by {100 * row.difference:+.0f} points on {name} questions"
        for name, row in kinds.iterrows()
    )
    return paragraphs(
        f"By hand: the searcher finds {hand['pass@1'].iloc[0]:.0%} with one candidate and "
        f"{last['pass@1']:.0%} with up to {hand.index[-1]:.0f}, so more tokens never hurt it. "
        f"Yet its right answers have {last['tokens of right answers']:.1f} tokens on average and "
        f"its wrong ones {last['tokens of wrong answers']:.0f}, because it stops once it has "
        f"succeeded. A second candidate helps {apart}; overall, answers with two are right "
        f"{100 * abs(by_kind.difference['all']):.0f} points "
        f"{'less' if by_kind.difference['all'] < 0 else 'more'} often than those with one.",
        *(_measured(name, found) for name in found.evaluations),
        _trained(found),
        _arms(trained, found.low),
    )


def _measured(name: str, found: Measured) -> str:
    rows, label = found.evaluations[name], about(name).label
    by = gaps(rows)
    if any(math.isnan(one.value) for one in by.values()):
        return f"{label} has no question with both right and wrong answers to compare."
    whole, asked, ended = (
        metrics.shown(by[held], "length", signed=True) for held in (ALL, QUESTION, UNFINISHED)
    )
    words = worded(by[QUESTION], "longer than", "shorter than", "not told apart in length from")
    return (
        f"{label}: its right answers are {words} its wrong ones to the same question ({asked} "
        f"tokens; {ended} among answers that were not cut off). Over all questions together the "
        f"difference is {whole} tokens. {beyond(rows, found.low):.0%} of its right answers have "
        f"more than {found.low:,} tokens, and {beyond(rows, found.cap // 2):.1%} more than half of "
        f"the {found.cap:,} allowed."
    )


def _trained(found: Measured) -> str:
    rows = found.training
    if rows is None:
        return ""
    size = max(1, len(rows) // 10)
    first, last = rows["length"].iloc[:size].mean(), rows["length"].iloc[-size:].mean()
    smooth = rows["length"].rolling(size, min_periods=1).mean()
    return (
        f"Over R1-Zero's {len(rows):,} steps the mean length of a completion went from "
        f"{first:.0f} tokens in the first tenth to {last:.0f} in the last; the highest mean over a "
        f"tenth was {smooth.max():.0f}, at step {rows['step'].loc[smooth.idxmax()]:,}. At most "
        f"{rows['clipped'].max():.0%} of the completions of a step were cut off."
    )


def _arms(trained: Trained, low: int) -> str:
    said = "; ".join(
        f"{arms.label(name, trained.notebook)}, "
        f"{arms.versus(change, 'GRPO', 'more than', 'less than')}"
        for name in trained.evaluations
        if (change := _against(trained, name, low)) is not None
    )
    return f"Right within {low:,} tokens: {said}." if said else ""
