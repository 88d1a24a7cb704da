"""What stage iterative_grpo measured: the learned reward beside the rule, in figures and words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from r1repro.config import Config, lab
from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import BLUE, GREEN, GREY, VERMILION
from r1repro.evaluation.statistics import interval, resampled_ratios
from r1repro.lab import arms
from r1repro.lab.arms import PASS
from r1repro.lab.iterative import FIRST, KEPT, REFRESHED, RULE, Exact
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.runner.workspace import Workspace

STAGE = lab.ITERATIVE
"""The stage and the notebook."""
LABELS = {"first": FIRST, "kept": KEPT, "refreshed": REFRESHED}
_STYLES = {RULE: (GREEN, ":"), FIRST: (GREY, "-"), KEPT: (VERMILION, "--"), REFRESHED: (BLUE, "-")}
_PANELS = {
    "learned": ("Learned reward", "mean over completions"),
    "accuracy": ("Rule accuracy", "share right"),
    "gap": ("Rise of reward minus accuracy’s", "since the reward model’s first use"),
    "preference_ranks": ("Pairs of a group ranked right", "share of pairs"),
}
_COLUMNS = {"samples": "x", "pass_at_1": "accuracy", "reward_preference": "learned"}


@dataclass(frozen=True)
class Rounds:
    """The rounds that were trained, if they were.

    arms: those of conf/lab.yaml that the notebook shows, and what is missing; tables: of the stage,
    by name; curves: by label, with columns x (completions sampled) and accuracy, and with learned
    and gap where the reward is learned.
    """

    arms: arms.Trained
    tables: Mapping[str, pd.DataFrame]
    curves: Mapping[str, pd.DataFrame]


def trained(config: Config) -> Rounds:
    """What was run with these settings; nothing is run here."""
    found = arms.trained(config, STAGE)
    space = Workspace(replace(config, lab=STAGE))
    rule = found.curves.get(lab.REFERENCE)
    curves = {} if rule is None else {RULE: rule.rename(columns=_COLUMNS)}
    if not space.is_done(STAGE):
        missing = {STAGE: space.stages[STAGE].seconds(config), **found.missing}
        return Rounds(replace(found, missing=missing), {}, curves)
    names = ("rounds", "samples", "pairs", "validation")
    tables = {name: pd.read_parquet(space.place(STAGE) / f"{name}.parquet") for name in names}
    settings = lab.of_round(config.stage.r1_zero)
    each = settings.questions * settings.generations / settings.objective.passes
    rows = tables["rounds"].assign(samples=tables["rounds"]["step"] * each)
    rows = rows.rename(columns=_COLUMNS)
    return Rounds(found, tables, curves | with_gap(dict(iter(rows.groupby("arm")))))


def with_gap(rounds: Mapping[object, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rounds by label, with `gap`: how much more the learned reward rose than accuracy.

    Both since the start of the round in which the reward model first paid, as a reward model's
    scores can be compared only with its own.
    """
    found = {}
    for arm, label in LABELS.items():
        rows, first = rounds[arm], ends(rounds["first" if arm == "kept" else arm])[0]
        risen = {column: rows[column] - first[column] for column in ("learned", "accuracy")}
        found[label] = rows.assign(gap=risen["learned"] - risen["accuracy"])
    return found


def ends(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Means of the columns of _PANELS over the first and the last fifth of a round."""
    first, last = (part.reindex(columns=[*_PANELS]).mean() for part in _fifths(rows))
    return first, last


def _fifths(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first and the last fifth of a round's steps."""
    fifth = max(1, len(rows) // 5)
    return rows.head(fifth), rows.tail(fifth)


@described
def picture(exact: Exact, found: Rounds) -> Drawing:
    """Learned reward and rule accuracy, exactly over updates and, if trained, over samples."""
    wholes = [("exactly", "update", exact.curves)]
    wholes += [("trained", "completions sampled", found.curves)] if found.tables else []
    figure = drawing.empty(4.2 * 2 * len(wholes) ** 0.6, 3.4)
    panels = figure.subplots(1, 2 * len(wholes))
    for place, (how, xlabel, curves) in enumerate(wholes):
        for panel, column in zip(panels[2 * place :], ("learned", "accuracy"), strict=False):
            _draw(panel, curves, column, how == "exactly")
            panel.set(title=f"{_PANELS[column][0]}, {how}", xlabel=xlabel, ylim=(0, 1.02))
        drawing.percent(panels[2 * place + 1])
    named = panels[1].get_legend_handles_labels()
    figure.legend(*named, loc="outside lower center", ncols=2 * len(wholes))
    return figure


def gaps(found: Rounds) -> Drawing | None:
    """`_gaps` of trained rounds."""
    return _gaps(found) if found.tables else None


@described
def _gaps(found: Rounds) -> Drawing:
    """Over the completions sampled, how much more the learned reward rose than rule accuracy, and
    how often it ranks a right answer of a group above a wrong one."""
    # Without a right answer nothing is ranked.
    there = {
        column: middle
        for column, middle in (("gap", 0.0), ("preference_ranks", 0.5))
        if any(drawing.has(rows, column) for rows in found.curves.values())
    }
    figure = drawing.empty(4.4 * len(there), 3.2)
    panels = figure.subplots(1, len(there), squeeze=False)[0]
    for panel, (column, middle) in zip(panels, there.items(), strict=True):
        _draw(panel, found.curves, column, False)
        title, unit = _PANELS[column]
        panel.set(title=title, ylabel=unit, xlabel="completions sampled")
        panel.axhline(middle, color=GREY, linewidth=0.8)
    panels[0].legend()
    return figure


def _draw(
    panel: drawing.Axes, curves: Mapping[str, pd.DataFrame], column: str, smooth: bool
) -> None:
    for label, rows in curves.items():
        if not drawing.has(rows, column):
            continue
        colour, dash = _STYLES[label]
        there = rows.dropna(subset=[column])
        if smooth:
            panel.plot(there["x"], there[column], dash, color=colour, label=label)
        else:
            drawing.noisy(panel, there["x"], there[column], colour, label, dash)


def rises(found: Rounds) -> Shown | None:
    """A row per round: from its first fifth to its last, of the training's own samples."""
    if not found.tables:
        return paragraphs(arms.how(found.arms))
    rows = []
    for label in LABELS.values():
        start, end = ends(found.curves[label])
        ranks = start["preference_ranks"], end["preference_ranks"]
        cells = (
            f"{start['learned']:.2f} → {end['learned']:.2f}",
            f"{start['accuracy']:.0%} → {end['accuracy']:.0%}",
            f"{end['gap']:+.2f}",
            "no pair" if np.isnan(ranks).any() else f"{ranks[0]:.0%} → {ranks[1]:.0%}",
        )
        rows.append(Row(label, cells))
    columns = ("Learned reward", "Rule accuracy", "Gap", "Pairs ranked right")
    return Table(columns, tuple(rows), "Round")


def judged(found: Rounds) -> Shown | None:
    """Held-out pairs that each reward model ranks right, with 95 % intervals over questions."""
    if not found.tables:
        return None
    rows = [
        Row(f"{judge} reward model, answers of {whose}", (right, str(count)))
        for judge, whose, right, count in _held_out(found)
    ]
    return Table(("Ranked right", "Pairs"), tuple(rows), "Held-out pairs")


def _held_out(found: Rounds) -> Iterator[tuple[str, str, str, int]]:
    """(reward model, whose answers, share of their held-out pairs ranked right, pairs)."""
    every = found.tables["pairs"]
    held = every[every["split"] == "held out"]
    for judge, whose, model, column in (
        ("first", "the base", "reward", "score"),
        ("first", "the policy after the first round", "reward_refreshed", "before"),
        ("refreshed", "the policy after the first round", "reward_refreshed", "score"),
    ):
        own = held[held["model"] == model]
        yield judge, whose, ranked_right(own, column), len(own)


def ranked_right(pairs: pd.DataFrame, column: str = "score") -> str:
    """The share of pairs whose right side scores higher, with its interval; "–" of one question."""
    right = (1 + np.sign(pairs[f"{column}_chosen"] - pairs[f"{column}_rejected"])) / 2
    by = right.groupby(pairs["problem_id"]).agg(["sum", "size"]).astype(float)
    if len(by) < 2:
        return "–"
    low, high = interval(resampled_ratios(by[["sum"]].to_numpy(), by[["size"]].to_numpy()))
    return f"{right.mean():.0%} [{low[0]:.0%}, {high[0]:.0%}]"


def examples(found: Rounds) -> Shown | None:
    """The wrong answers that the first reward model paid most at the end of the second round."""
    if not found.tables:
        return None
    rows = found.tables["samples"]
    rows = rows[(rows["arm"] == "kept") & ~rows["correct"]]
    rows = rows[rows["step"] == rows["step"].max()]
    best = rows.sort_values("reward_preference", ascending=False).drop_duplicates("prompt")
    shown = [
        Row(one.prompt, (one.text[:400], one.answer, f"{one.reward_preference:.2f}"))
        for one in best.head(3).itertuples()
    ]
    return Table(("The answer", "Right", "Learned reward"), tuple(shown), "Question")


def _evaluations(found: Rounds) -> dict[str, pd.DataFrame]:
    """Rows of the validation problems by label."""
    rule = found.arms.evaluations.get(lab.REFERENCE)
    rows = found.tables["validation"]
    each = {label: rows[rows["arm"] == arm] for arm, label in LABELS.items()}
    return each if rule is None else {RULE: rule, **each}


def scores(found: Rounds) -> Shown | None:
    """A row per policy: validation scores with 95 % intervals, and the paired change of pass@1."""
    if not found.tables:
        return None
    evaluations = _evaluations(found)
    others = [name for name in evaluations if name != KEPT]
    summaries, changes = metrics.compare(evaluations, [(KEPT, name) for name in others])
    paths = [PASS, "length"]
    rows = []
    for name, summary in summaries.items():
        change = arms.cells(changes.get((KEPT, name), {}), signed=True)
        rows.append(Row(name, arms.cells(summary, paths) + change))
    columns = (*map(metrics.label, paths), "pass@1 − the same reward model’s, paired")
    return Table(columns, tuple(rows), "Policy")


def told_exactly(exact: Exact) -> Html | None:
    """What the four answers show."""
    first, kept, new = (exact.curves[name] for name in (FIRST, KEPT, REFRESHED))
    both = pd.concat([first, kept], ignore_index=True)
    peak, start, end = both.loc[both["accuracy"].idxmax()], both.iloc[0], both.iloc[-1]
    ranks, answers = exact.ranks, exact.answers
    best = answers["paid by the first reward model"].idxmax()
    return paragraphs(
        f"The reward model ranks {ranks['first', 'base']:.0%} of the base’s pairs right. It pays "
        f"{best} most, which is {'right' if answers.right[best] else 'wrong'} and makes up "
        f"{start['best']:.0%} of the base’s answers. Rewarded by it, the policy is "
        f"right in {start['accuracy']:.0%} of its answers at the start, in {peak['accuracy']:.0%} "
        f"after {peak['x']:.0f} updates and in {end['accuracy']:.0%} after {end['x']:.0f}; "
        f"by then {best} makes up {end['best']:.0%} of them. The learned reward goes from "
        f"{start['learned']:.2f} to {end['learned']:.2f}. It ranks "
        f"{ranks['first', 'first round']:.0%} of the pairs after the first round right.",
        f"After a refresh it ranks {ranks['refreshed', 'first round']:.0%} of them right, and "
        f"accuracy goes from {new['accuracy'].iloc[0]:.0%} to {new['accuracy'].iloc[-1]:.0%}; paid "
        f"by the rule, to {exact.curves[RULE]['accuracy'].iloc[-1]:.0%} in as many updates.",
    )


def told(found: Rounds) -> Html | None:
    """What the trained rounds show, or how to train them."""
    if not found.tables:
        return paragraphs(arms.how(found.arms))
    said = []
    for label in LABELS.values():
        start, end = ends(found.curves[label])
        said.append(
            f"{label}, reward {start['learned']:.2f} to {end['learned']:.2f} and rule accuracy "
            f"{start['accuracy']:.1%} to {end['accuracy']:.1%} ({_kind(found.curves[label])})"
        )
    _, changes = metrics.compare(_evaluations(found), [(KEPT, REFRESHED), (FIRST, KEPT)])
    refreshed, second = changes[KEPT, REFRESHED][PASS], changes[FIRST, KEPT][PASS]
    ranks = "; ".join(
        f"the {judge} reward model ranks {right} of those from {whose} right"
        for judge, whose, right, _ in _held_out(found)
    )
    return paragraphs(
        "On the training’s own samples, from the first to the last fifth of each round: "
        f"{'; '.join(said)}.",
        f"Of the held-out pairs, {ranks}.",
        "In pass@1 on the validation problems, the second round with the refreshed reward model "
        f"ends {arms.versus(refreshed, 'that with the same one')}, which ends "
        f"{arms.versus(second, 'the first round')}. One run of one seed; the intervals are over "
        "problems alone.",
        arms.how(found.arms),
    )


def _kind(rows: pd.DataFrame) -> str:
    """How reward and accuracy moved; a change below two standard errors of a mean is none."""
    first, last = _fifths(rows)

    def moved(column: str) -> str:
        change = last[column].mean() - first[column].mean()
        if not abs(change) > 2 * np.hypot(first[column].sem(), last[column].sem()):
            return "does not move beyond its noise"
        return "rises" if change > 0 else "falls"

    return f"the reward {moved('learned')}, accuracy {moved('accuracy')}"
