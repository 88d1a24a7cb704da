"""What stage iterative_grpo measured: the learned reward, the rule beside it, and what is said."""

from collections.abc import Mapping
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
from r1repro.reports.tables import worded
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
_EXAMPLES = 3


@dataclass(frozen=True)
class Rounds:
    """The rounds that were trained, if they were.

    arms: those of conf/lab.yaml that the notebook shows, and what is missing; tables: of the stage,
    by name; curves: by label, with columns x (completions sampled), accuracy, and, where the reward
    is learned, learned and gap.
    """

    arms: arms.Trained
    tables: Mapping[str, pd.DataFrame]
    curves: Mapping[str, pd.DataFrame]


def trained(config: Config) -> Rounds:
    """What was run with these settings; nothing is run here."""
    found = arms.trained(config, STAGE)
    space = Workspace(replace(config, lab=STAGE))
    rule = found.curves.get(lab.REFERENCE)
    curves = {} if rule is None else {RULE: _named(rule)}
    if not space.is_done(STAGE):
        missing = {STAGE: space.stages[STAGE].seconds(config), **found.missing}
        return Rounds(replace(found, missing=missing), {}, curves)
    names = ("rounds", "samples", "pairs", "validation")
    tables = {name: pd.read_parquet(space.place(STAGE) / f"{name}.parquet") for name in names}
    settings = lab.of_round(config.stage.r1_zero)
    each = settings.questions * settings.generations / settings.objective.passes
    rows = tables["rounds"].assign(samples=tables["rounds"]["step"] * each)
    return Rounds(found, tables, curves | with_gap({a: _named(r) for a, r in rows.groupby("arm")}))


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    names = {"samples": "x", "pass_at_1": "accuracy", "reward_preference": "learned"}
    return rows.rename(columns=names)


def with_gap(rounds: Mapping[object, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The rounds by label, with `gap`: how much more the learned reward rose than accuracy.

    Both since the start of the round in which the reward model first paid: a reward model's scores
    can be compared with its own alone.
    """
    found = {}
    for arm, label in LABELS.items():
        rows, first = rounds[arm], rounds["first" if arm == "kept" else arm]
        both = ["learned", "accuracy"]
        risen = rows[both] - ends(first)[0][both]
        found[label] = rows.assign(gap=risen["learned"] - risen["accuracy"])
    return found


def ends(rows: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Learned reward, accuracy, gap and ranks over the first and the last fifth of a round."""
    columns = [c for c in ("learned", "accuracy", "gap", "preference_ranks") if c in rows]
    first, last = (part[columns].mean() for part in _fifths(rows))
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
            panel.set(title=f"{_PANELS[column][0]}, {how}", xlabel=xlabel)
            panel.set_ylim(0, 1.02)
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
    there = [
        (column, middle)
        for column, middle in (("gap", 0.0), ("preference_ranks", 0.5))
        if any(drawing.has(rows, column) for rows in found.curves.values())
    ]
    figure = drawing.empty(4.4 * len(there), 3.2)
    panels = figure.subplots(1, len(there), squeeze=False)[0]
    for panel, (column, middle) in zip(panels, there, strict=True):
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
    columns = ("Learned reward", "Rule accuracy", "Gap", "Pairs ranked right")
    rows = []
    for label in LABELS.values():
        start, end = ends(found.curves[label])
        rows.append(
            Row(
                label,
                (
                    f"{start['learned']:.2f} → {end['learned']:.2f}",
                    f"{start['accuracy']:.0%} → {end['accuracy']:.0%}",
                    f"{end['gap']:+.2f}",
                    _ranks(start, end),
                ),
            )
        )
    return Table(columns, tuple(rows), "Round")


def _ranks(start: pd.Series, end: pd.Series) -> str:
    values = [each.get("preference_ranks", np.nan) for each in (start, end)]
    return "no pair" if np.isnan(values).any() else f"{values[0]:.0%} → {values[1]:.0%}"


def judged(found: Rounds) -> Shown | None:
    """Held-out pairs that each reward model ranks right, with 95 % intervals over questions."""
    if not found.tables:
        return None
    rows = [
        Row(
            f"{judge} reward model, answers of {whose}",
            (ranked_right(pairs, column), str(len(pairs))),
        )
        for judge, whose, pairs, column in held_out(found)
    ]
    return Table(("Ranked right", "Pairs"), tuple(rows), "Held-out pairs")


def held_out(found: Rounds) -> list[tuple[str, str, pd.DataFrame, str]]:
    """(reward model, whose answers, their held-out pairs, prefix of its scores)."""
    every = found.tables["pairs"]
    every = every[every["split"] == "held out"]
    old, new = every[every["model"] == "reward"], every[every["model"] == "reward_refreshed"]
    return [
        ("first", "the base", old, "score"),
        ("first", "the policy after the first round", new, "before"),
        ("refreshed", "the policy after the first round", new, "score"),
    ]


def ranked_right(pairs: pd.DataFrame, column: str = "score") -> str:
    """The share of pairs whose right side scores higher, with its interval; "–" of one question."""
    right = (1 + np.sign(pairs[f"{column}_chosen"] - pairs[f"{column}_rejected"])) / 2
    by = pd.DataFrame({"right": right, "pairs": 1.0}).groupby(pairs["problem_id"]).sum()
    if len(by) < 2:
        return "–"
    sums_N_1, counts_N_1 = by[["right"]].to_numpy(), by[["pairs"]].to_numpy()
    low, high = (float(end[0]) for end in interval(resampled_ratios(sums_N_1, counts_N_1)))
    return f"{right.mean():.0%} [{low:.0%}, {high:.0%}]"


def examples(found: Rounds) -> Shown | None:
    """The wrong answers that the first reward model paid most at the end of the second round."""
    if not found.tables:
        return None
    rows = found.tables["samples"]
    rows = rows[(rows["arm"] == "kept") & ~rows["correct"]]
    rows = rows[rows["step"] == rows["step"].max()]
    best = rows.sort_values("reward_preference", ascending=False).drop_duplicates("prompt")
    best = best.head(_EXAMPLES)
    columns = ("prompt", "text", "answer", "reward_preference")
    shown = zip(*(best[column] for column in columns), strict=True)
    return Table(
        ("The answer", "Right", "Learned reward"),
        tuple(Row(asked, (text[:400], right, f"{paid:.2f}")) for asked, text, right, paid in shown),
        "Question",
    )  # fmt: skip


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
    columns = (*map(metrics.label, paths), "pass@1 − the same reward model’s, paired")
    rows = []
    for name, summary in summaries.items():
        change = changes[KEPT, name].get(PASS) if name != KEPT else None
        cells = [metrics.shown(summary.get(path), path) for path in paths]
        rows.append(Row(name, (*cells, metrics.shown(change, PASS, signed=True))))
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
        kind = _kind(found.curves[label])
        said.append(
            f"{label}, reward {start['learned']:.2f} to {end['learned']:.2f} and rule accuracy "
            f"{start['accuracy']:.1%} to {end['accuracy']:.1%} ({kind})"
        )
    _, changes = metrics.compare(_evaluations(found), [(KEPT, REFRESHED), (FIRST, KEPT)])
    refreshed, second = changes[KEPT, REFRESHED][PASS], changes[FIRST, KEPT][PASS]
    ranks = "; ".join(
        f"the {judge} one ranks {ranked_right(pairs, column)} of those of {whose} right"
        for judge, whose, pairs, column in held_out(found)
    )
    return paragraphs(
        "On the training’s own samples, from the first to the last fifth of each round: "
        f"{'; '.join(said)}.",
        f"Of the held-out pairs {ranks}.",
        "On the validation problems the second round with the refreshed reward model ends "
        f"{worded(refreshed, 'above', 'below', 'not told apart from')} that with the same one "
        f"({metrics.shown(refreshed, PASS, signed=True)} in pass@1), which ends "
        f"{worded(second, 'above', 'below', 'not told apart from')} the first round "
        f"({metrics.shown(second, PASS, signed=True)}). One run of one seed; the intervals are "
        "over problems alone.",
        arms.how(found.arms),
    )


def _kind(rows: pd.DataFrame) -> str:
    """How reward and accuracy moved; by less than two standard errors of a mean is not at all."""
    first, last = _fifths(rows)

    def moved(column: str) -> str:
        change = last[column].mean() - first[column].mean()
        if not abs(change) > 2 * np.hypot(first[column].sem(), last[column].sem()):
            return "does not move beyond its noise"
        return "rises" if change > 0 else "falls"

    return f"the reward {moved('learned')}, accuracy {moved('accuracy')}"
