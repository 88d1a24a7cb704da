"""Length and the cap: what longer thinking buys, and what lengths of answers cannot tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from r1repro.config import Config, lab
from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import about
from r1repro.evaluation.statistics import Estimate, interval, ratio_of_sums, resampled_ratios
from r1repro.lab import arms
from r1repro.lab.arms import Trained
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.tasks.problem import GENERAL

MODELS = ("base", "r1_zero")
ENOUGH = 5
"""Completions below which a mean length is not shown."""
ALL, UNFINISHED = "nothing", "the question, without answers that the cap cut off"
HELD: dict[str, tuple[str, ...]] = {
    ALL: (),
    "the level": ("level",),
    "the task and the level": ("task", "level"),
    "the question": ("problem_id", "language"),
}
"""What is held fixed when lengths are compared, as columns of the evaluation."""


def by_hand(p: float, cost: int, tries: int) -> pd.DataFrame:
    """A searcher who stops at the first right candidate: a row per most candidates that it may try.

    Each candidate is right with probability p and costs `cost` tokens. Columns: the budget in
    tokens, pass@1, and the mean tokens of right and of wrong answers.
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
    return pd.DataFrame(
        {name: 1 - (1 - p) ** (caps.to_numpy() // cost) for name, p in chances.items()}, index=caps
    )


def paradox(
    chances: Mapping[str, float], long: Mapping[str, float], tries: tuple[int, int] = (1, 2)
) -> pd.DataFrame:
    """Share of right answers, short and long, by kind of question and over all (Simpson's paradox).

    Short and long answers try `tries` candidates; long: the share of each kind's answers that is.
    The kinds are equally many. Columns `short`, `long`, and the `difference`.
    """
    rows = {
        name: {how: 1 - (1 - p) ** k for how, k in zip(("short", "long"), tries, strict=True)}
        for name, p in chances.items()
    }
    shares = {how: {n: s if how == "long" else 1 - s for n, s in long.items()} for how in
              ("short", "long")}  # fmt: skip
    rows["all"] = {
        how: sum(share * rows[name][how] for name, share in of.items()) / sum(of.values())
        for how, of in shares.items()
    }
    found = pd.DataFrame(rows).T
    return found.assign(difference=found["long"] - found["short"])


@dataclass(frozen=True)
class Measured:
    """What a run has of lengths.

    evaluations: reasoning rows of evaluation.parquet by checkpoint. training: R1-Zero's metrics;
    kept: completions over its training with their step, and where they come from; None without.
    cap: most tokens of an evaluated completion, low: of the arms that are held to fewer.
    """

    evaluations: Mapping[str, pd.DataFrame]
    training: pd.DataFrame | None
    kept: pd.DataFrame | None
    source: str
    cap: int
    low: int


def of_run(config: Config) -> Measured:
    """What the sequence with these settings has built; nothing is built here."""
    space = arms.main(config)
    found = {name: space.load(f"evaluate_{name}") for name in MODELS}
    trained = space.load("r1_zero")
    curve = space.load("r1_zero_curve") if "r1_zero_curve" in space.stages else None
    kept, source = None, ""
    if curve is not None:
        kept, source = curve.table("curve"), "answers of its snapshots to the validation problems"
    elif trained is not None:
        kept, source = trained.completions(), "completions kept during training, one a question"
    start = config.stage.r1_zero
    return Measured(
        {name: reasoning(result.evaluation()) for name, result in found.items() if result},
        None if trained is None else trained.metrics(),
        None if kept is None else reasoning(kept),
        source,
        config.evaluation.max_completion_tokens,
        lab.settings(start, lab.arms()["cap_low"]).max_completion_tokens,
    )


def reasoning(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows on problems with verifiable answers."""
    return rows[~rows["task"].isin(GENERAL)]


def how(found: Measured) -> Html | None:
    """What the run lacks, and how to build it; None if it lacks nothing."""
    lacking = [about(name).label for name in MODELS if name not in found.evaluations]
    first = (
        f"This run has no evaluation of {' and '.join(lacking)} with these settings: `r1repro run "
        "--until r1_zero` with the same settings builds what is missing. Then execute this "
        "notebook again."
    )
    curve = (
        "Few completions are kept during training. `evaluation.curve_samples=16` also asks the "
        "snapshots the validation problems, which are then read here instead."
    )
    few = found.training is not None and "kept" in found.source
    return paragraphs(first if lacking else "", curve if few else "")


def answered_by(rows: pd.DataFrame, caps: Sequence[int]) -> pd.Series:
    """Share of completions that are right and have at most so many tokens, by cap."""
    right = np.sort(rows["tokens"][rows["correct"]].to_numpy())
    return pd.Series(np.searchsorted(right, caps, side="right") / max(1, len(rows)), index=caps)


def beyond(rows: pd.DataFrame, cap: int) -> float:
    """Share of the right answers that have more than `cap` tokens."""
    return float((rows["tokens"][rows["correct"]] > cap).mean())


def gap(rows: pd.DataFrame, held: Sequence[str]) -> Estimate:
    """Mean tokens of right less wrong answers among rows that agree in the columns `held`.

    The coefficient of `correct` in a regression of tokens on it with an intercept for each group;
    groups without both kinds say nothing. 95 % bootstrap over problems, with the groups' means as
    they are. n: problems. NaN if no group has both.
    """
    columns = ["tokens", "correct"]
    values = rows[columns].astype(float)
    groups = [rows[name] for name in held] if held else np.zeros(len(rows))
    away = values - values.groupby(groups).transform("mean")
    sums = pd.DataFrame({"top": away["tokens"] * away["correct"], "bottom": away["correct"] ** 2})
    each = sums.groupby([rows["problem_id"], rows["language"]]).sum()
    top, bottom = each[["top"]].to_numpy(), each[["bottom"]].to_numpy()
    low, high = interval(resampled_ratios(top, bottom))
    both = int((each["bottom"] > 0).sum())
    return Estimate(float(ratio_of_sums(top, bottom)[0]), float(low[0]), float(high[0]), both)


def gaps(rows: pd.DataFrame) -> dict[str, Estimate]:
    """`gap` by what is held fixed, and without the answers that the cap cut off."""
    found = {name: gap(rows, held) for name, held in HELD.items()}
    return found | {UNFINISHED: gap(rows[rows["finished"]], HELD["the question"])}


def gaps_table(found: Measured) -> Shown | None:
    """A row per thing held fixed, a column per checkpoint: tokens of right less wrong answers."""
    if not found.evaluations:
        return how(found)
    by = {name: gaps(rows) for name, rows in found.evaluations.items()}
    rows = [
        Row(held, tuple(metrics.shown(of[held], "length", signed=True) for of in by.values()))
        for held in (*HELD, UNFINISHED)
    ]
    return Table(tuple(about(name).label for name in by), tuple(rows), "Held fixed")


def levels(found: Measured) -> Shown | None:
    """A row per checkpoint and level: pass@1, tokens of right and wrong answers, and what fits."""
    if not found.evaluations:
        return how(found)
    columns = ("pass@1", "right: mean tokens", "nine in ten", "wrong: mean tokens",
               f"right within {found.low:,} tokens")  # fmt: skip
    rows = []
    for name, answers in found.evaluations.items():
        rows.append(Row(about(name).label))
        for level, part in answers.groupby("level"):
            right = part["tokens"][part["correct"]]
            wrong = part["tokens"][~part["correct"]]
            cells = (
                f"{part['correct'].mean():.1%}", _mean(right),
                _mean(right, right.quantile(0.9)), _mean(wrong),
                f"{answered_by(part, [found.low]).iloc[0]:.1%}",
            )  # fmt: skip
            rows.append(Row(f"level {level}", cells))
    return Table(columns, tuple(rows), "Level")


def _mean(tokens: pd.Series, value: float | None = None) -> str:
    if len(tokens) < ENOUGH:
        return "–"
    return f"{tokens.mean() if value is None else value:.0f}"


def thirds(kept: pd.DataFrame) -> pd.DataFrame:
    """Mean tokens over the thirds of training, by difficulty and by right and wrong.

    kept: completions with their step. Easy are levels up to the median level, hard those above;
    with one level all are easy. Rows: the third, as the steps that it has; columns: (easy or hard,
    right or wrong), NaN below ENOUGH completions.
    """
    part = np.minimum(2, 3 * (kept["step"] - 1).clip(lower=0) // kept["step"].max())
    steps = kept.groupby(part)["step"].agg(["min", "max"])
    names = {i: f"steps {low:,} to {high:,}" for i, (low, high) in steps.iterrows()}
    groups = kept.assign(
        third=part.map(names),
        difficulty=np.where(kept["level"] > kept["level"].median(), "hard", "easy"),
        answer=np.where(kept["correct"], "right", "wrong"),
    ).groupby(["third", "difficulty", "answer"], sort=False)["tokens"]
    found = groups.mean().where(groups.size() >= ENOUGH).unstack(["difficulty", "answer"])
    return found.reindex(names.values()).sort_index(axis=1)


def held_to(found: Trained, cap: int) -> Shown | None:
    """A row per arm: pass@1 with all tokens and with at most `cap`, and lengths over training."""
    if not found.evaluations:
        return paragraphs(arms.how(found))
    columns = ("pass@1", f"right within {cap:,} tokens", "length, first quarter", "last quarter",
               "cut off, first quarter", "last quarter")  # fmt: skip
    rows = []
    for name, answers in found.evaluations.items():
        curve = found.curves[name]
        size = max(1, len(curve) // 4)
        ends = curve.iloc[:size], curve.iloc[-size:]
        cells = (
            f"{answers['correct'].mean():.1%}", f"{answered_by(answers, [cap]).iloc[0]:.1%}",
            *(f"{end['length'].mean():.1f}" for end in ends),
            *(f"{end['clipped'].mean():.1%}" for end in ends),
        )  # fmt: skip
        rows.append(Row(arms.label(name, found.notebook), cells))
    return Table(columns, tuple(rows), "Arm")
