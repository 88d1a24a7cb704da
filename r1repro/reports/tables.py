"""Tables of the whole pipeline as text, shared by the notebook and the page.

They are built from the comparison stage's results. The paper's figures are separate rows or notes,
marked as context, since its models, tasks and counts differ.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from r1repro.duration import duration
from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import (
    ABLATIONS,
    ARMS,
    CHAIN,
    MAIN,
    STUDENTS,
    WAYS_OF_STUDENTS,
    key,
    within_sentence,
)
from r1repro.evaluation.claims import are_equal, flops_shares
from r1repro.evaluation.results import Costs, Results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports.figures import SUITES, checkpoint, stage_pairs

Summary = Mapping[str, Estimate]

# R1 v2 (arXiv 2501.12948), Table 3: the paper's figures for each stage of CHAIN, in per cent, by
# our closest measure.
PAPER_STAGES: dict[str, tuple[str, tuple[float, ...]]] = {
    "reasoning/pass@1": ("AIME 2024, pass@1", (77.9, 59.0, 74.0, 78.1, 79.8)),
    "arithmetic/pass@1": ("MATH-500, pass@1", (95.9, 94.2, 95.9, 95.4, 97.3)),
    "general/score": ("AlpacaEval 2.0, LC win rate", (24.7, 50.1, 55.8, 62.1, 87.6)),
    "general/fact": ("SimpleQA", (30.3, 17.8, 28.2, 24.9, 30.1)),
    "general/instruction": ("IF-Eval, prompt strict", (46.6, 71.7, 72.0, 78.1, 83.3)),
}
_LEVELS = tuple(f"level_{level}/pass@1" for level in range(1, 9))
_GENERAL = tuple(f"general/{t}" for t in "translation fact instruction greeting refusal".split())
STAGE_ROWS: dict[str, tuple[str, ...]] = {
    "Reasoning": ("reasoning/pass@1", "*/pass@1", *_LEVELS),
    "General tasks": ("general/score", *_GENERAL),
    "How the reasoning answers are written": (
        "format_valid",
        "language_share",
        "readability",
        "reflection_per_response",
        "reflection_per_1k_tokens",
        "repetition",
        "length",
    ),
}
_STUDENT_PATHS = {
    "reasoning/pass@1": "pass@1",
    "general/score": "General score",
    "format_valid": "Valid format",
    "language_share": "Language asked",
    "readability": "Readable",
}
_ABLATION_PATHS = (
    "reasoning/pass@1",
    "*/pass@1",
    "general/score",
    "format_valid",
    "language_share",
    "mixed",
    "readability",
    "length",
)


@dataclass(frozen=True)
class Row:
    """A row of a table: one cell per column, or none in a heading between rows.

    context: whether these are the paper's figures; note: text and source shown beside the row.
    """

    label: str
    cells: tuple[str, ...] = ()
    context: bool = False
    note: tuple[str, str] | None = None


@dataclass(frozen=True)
class Table:
    """Rows under named columns; `notes` is the heading of the rows' notes, if any."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    first: str = "Measure"
    notes: str | None = None

    def frame(self) -> pd.DataFrame:
        """The table as a DataFrame, without headings between rows."""
        rows = [row for row in self.rows if row.cells]
        found = pd.DataFrame([row.cells for row in rows], columns=list(self.columns))
        return found.set_axis(pd.Index([row.label for row in rows], name=self.first))


def label(name: str) -> str:
    """A checkpoint's name in tables."""
    return checkpoint(name)[0]


def change_label(pair: tuple[str, str]) -> str:
    """A difference's name in tables, such as "R1 − R1-Zero"."""
    before, after = pair
    return f"{label(after)} − {label(before)}"


def verb(change: Estimate) -> str:
    """The verb that a paired change's interval allows."""
    return "rose" if change.low > 0 else "fell" if change.high < 0 else "did not clearly change"


def beside(change: Estimate) -> str:
    """How the second of two checkpoints compares, as the paired difference's interval allows."""
    if change.low > 0:
        return "higher"
    return "lower" if change.high < 0 else "not clearly different"


def main_pair(changes: Results) -> tuple[str, str] | None:
    """The pair of the headline: (R1-Zero, R1), else (base, R1-Zero), else None."""
    first, second, third = MAIN
    return next((p for p in ((second, third), (first, second)) if key(*p) in changes), None)


def compared(
    summaries: Results,
    changes: Results,
    paths: Mapping[str, str] | Sequence[str],
    first: str = "Measure",
) -> Table:
    """One row per measure, one column per headline checkpoint, and their paired change.

    paths: the measures, with a label for each if it is not the measure's own.
    """
    shown = [name for name in MAIN if name in summaries]
    pair = main_pair(changes)
    named = paths if isinstance(paths, Mapping) else {path: metrics.label(path) for path in paths}
    columns = [label(name) for name in shown]
    columns += [f"{change_label(pair)}, paired"] if pair else []
    rows = []
    for path, name in named.items():
        cells = [metrics.shown(summaries[c].get(path), path) for c in shown]
        if pair:
            cells.append(metrics.shown(changes[key(*pair)].get(path), path, signed=True))
        rows.append(Row(name, tuple(cells)))
    return Table(tuple(columns), tuple(rows), first)


def by_checkpoint(
    summaries: Results, changes: Mapping[tuple[str, str], Summary] | None = None
) -> pd.DataFrame:
    """Headline measures for a notebook: one row per measure, columns of checkpoints and changes.

    changes: paired, from `metrics.compare`.
    """
    paths = metrics.headline({path: None for each in summaries.values() for path in each})
    columns = {
        label(name): [metrics.shown(each.get(path), path) for path in paths]
        for name, each in summaries.items()
    } | {
        f"{change_label(pair)}, paired": [
            metrics.shown(each.get(path), path, signed=True) for path in paths
        ]
        for pair, each in (changes or {}).items()
    }
    return pd.DataFrame(columns, pd.Index([metrics.label(path) for path in paths], name="Measure"))


def headline(summaries: Results, changes: Results) -> Table:
    """The first table: the checkpoints of MAIN, and the paired change."""
    main = {path for name in MAIN for path in summaries.get(name, {})}
    return compared(summaries, changes, metrics.headline(dict.fromkeys(main)))


def stages(summaries: Results) -> Table | None:
    """A table like the paper's Table 3, with the paper's rows; None with fewer than two stages."""
    shown = [name for name in CHAIN if name in summaries]
    if len(shown) < 2:
        return None
    rows: list[Row] = []
    there = {path for name in shown for path in summaries[name]}
    for title, paths in STAGE_ROWS.items():
        rows.append(Row(title))
        for path in metrics.spread(paths, there):
            if all(path not in summaries[name] for name in shown):
                continue
            cells = tuple(metrics.shown(summaries[name].get(path), path) for name in shown)
            rows.append(Row(metrics.label(path).removeprefix("General tasks: "), cells))
            if path in PAPER_STAGES:
                benchmark, values = PAPER_STAGES[path]
                theirs = dict(zip(CHAIN, values, strict=True))
                cells = tuple(f"{theirs[name]:.1f}\u00a0%" for name in shown)
                rows.append(Row(f"context, the paper: {benchmark}", cells, context=True))
    return Table(tuple(map(label, shown)), tuple(rows), "Held-out suite")


def soundness(summaries: Results) -> Table:
    """Sound, unworked and falsely checked answers of every checkpoint with reasoning answers."""
    shown = [name for name, each in summaries.items() if "sound" in each]
    there = {path for name in shown for path in summaries[name]}
    scopes = ["", *(f"{family}/" for family in metrics.families(there))]
    paths = [f"{scope}{name}" for name in ("sound", "unworked", "false_check") for scope in scopes]
    rows = tuple(
        Row(
            metrics.label(path),
            tuple(metrics.shown(summaries[name].get(path), path) for name in shown),
        )
        for path in paths
    )
    return Table(tuple(label(name) for name in shown), rows, "Measure")


def forgetting(changes: Results) -> Table | None:
    """The change of each stage against the previous one, paired over problems."""
    pairs = stage_pairs(changes)
    if not pairs:
        return None
    rows = [
        Row(
            metrics.label(path),
            tuple(metrics.shown(changes[key(*p)].get(path), path, signed=True) for p in pairs),
        )
        for path in SUITES
        if any(path in changes[key(*pair)] for pair in pairs)
    ]
    return Table(tuple(map(change_label, pairs)), tuple(rows), "Held-out suite")


def by_seed(runs: Mapping[str, Results]) -> Table:
    """The results of every seed: one row per suite and seed, one column per checkpoint."""
    shared = [n for n in ("base", *CHAIN) if all(n in run for run in runs.values())]
    rows: list[Row] = []
    for path in ("reasoning/pass@1", "format_valid", "language_share", "general/score"):
        rows.append(Row(metrics.label(path), ()))
        rows += [
            Row(name, tuple(metrics.shown(run[n].get(path), path) for n in shared))
            for name, run in runs.items()
        ]
    return Table(tuple(label(n) for n in shared), tuple(rows), "Seed")


def arms(name: str, costs: Sequence[Costs]) -> dict[str, str]:
    """ARMS of a student; RL is called "at equal FLOPs" only if the costs of every run are equal."""
    arm = "rl_equal_flops"
    shares = flops_shares(f"{name}_{arm}", f"{name}_distilled", costs)
    if not shares:
        return ARMS
    if are_equal(shares):
        return {**ARMS, arm: "RL at equal FLOPs"}
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    spent = low if low == high else f"{low} to {high}"
    return {**ARMS, arm: f"RL after {spent}\u00a0% of distillation’s FLOPs"}


def student(name: str, summaries: Results, costs: Costs, by_run: Sequence[Costs] = ()) -> Table:
    """One student after each kind of training, with the cost beyond its base.

    costs: averaged over runs; by_run: the costs of every run, if there are several.
    """
    rows = []
    for arm, words in arms(name, by_run or [costs]).items():
        checkpoint_name = f"{name}_{arm}"
        if checkpoint_name not in summaries:
            continue
        found = summaries[checkpoint_name]
        cells = [metrics.shown(found.get(path), path) for path in _STUDENT_PATHS]
        cost = costs.get(checkpoint_name)
        cells += [tera(cost["flops"]), duration(cost["seconds"])] if cost else ["–", "–"]
        rows.append(Row(words, tuple(cells)))
    columns = (*_STUDENT_PATHS.values(), "FLOPs (10¹²)", "Wall time")
    return Table(columns, tuple(rows), STUDENTS[name])


def student_changes(changes: Results, costs: Sequence[Costs]) -> Table:
    """Changes of the declared pairs of every student; costs: of each run."""
    rows = [
        Row(
            f"{STUDENTS[before.split('_')[0]]}: {_arm(after, costs)} against {_arm(before, costs)}",
            tuple(
                metrics.shown(changes[key(before, after)].get(path), path, signed=True)
                for path in _STUDENT_PATHS
            ),
        )
        for name in STUDENTS
        for before, after in ((f"{name}_{a}", f"{name}_{b}") for a, b, _ in WAYS_OF_STUDENTS)
        if key(before, after) in changes
    ]
    return Table(tuple(_STUDENT_PATHS.values()), tuple(rows), "Change, paired")


def _arm(name: str, costs: Sequence[Costs]) -> str:
    student_name, arm = name.split("_", 1)
    return within_sentence(arms(student_name, costs)[arm])


def distilled_sentences(summaries: Results, changes: Results, costs: Sequence[Costs]) -> list[str]:
    """One sentence per student: distillation against RL up to its FLOPs, as the interval allows.

    costs: of each run. If RL ended before it had spent distillation's FLOPs, the sentence gives
    both numbers.
    """
    path, said = "reasoning/pass@1", []
    for name, words in STUDENTS.items():
        before, after = f"{name}_rl_equal_flops", f"{name}_distilled"
        change = changes.get(key(before, after), {}).get(path)
        if change is None:
            continue
        which = (
            "above" if change.low > 0 else "below" if change.high < 0 else "not clearly apart from"
        )
        said.append(
            f"{words}: distilled {metrics.shown(summaries[after][path], path)} is {which} "
            f"{_arm(before, costs)}, {metrics.shown(summaries[before][path], path)} "
            f"({metrics.shown(change, path, signed=True)}, paired)."
        )
        both = [(run[before]["flops"], run[after]["flops"]) for run in costs if before in run]
        short = [(spent, wanted) for spent, wanted in both if spent < wanted]
        if short:
            spent, wanted = min(short, key=lambda pair: pair[0] / pair[1])
            told = f"{tera(spent)} of {tera(wanted)} × 10¹²"
            where = f" in {len(short)} of {len(both)} runs" if len(both) > 1 else ""
            said[-1] += f" These FLOPs are not equal{where}: RL ended after {told}."
    return said


def ablations(summaries: Results, changes: Results) -> Iterator[tuple[str, Table]]:
    """(checkpoint, table) of each ablation that ran: plain, ablated, and the paired change."""
    for name, ablation in ABLATIONS.items():
        found = changes.get(key(ablation.plain, name))
        if found is None:
            continue
        sides = (ablation.plain, name)
        rows = [
            Row(
                metrics.label(path),
                (
                    *(metrics.shown(summaries[side].get(path), path) for side in sides),
                    metrics.shown(found[path], path, signed=True),
                ),
            )
            for path in metrics.spread(_ABLATION_PATHS, found)
            if path in found
        ]
        yield name, Table((*map(label, sides), "Change, paired"), tuple(rows))


def ablation_sentence(name: str, changes: Results) -> str:
    """The effect of an ablation as a sentence, worded as the intervals allow."""
    ablation = ABLATIONS[name]
    found = changes[key(ablation.plain, name)]
    parts = [
        f"{words} {beside(found[path])} ({metrics.shown(found[path], path, signed=True)})"
        for path, words in (
            ("reasoning/pass@1", "pass@1"),
            ("general/score", "general score"),
            ("language_share", "share of the language asked"),
        )
        if path in found
    ]
    return f"{ablation.title}, against {label(ablation.plain)}: {'; '.join(parts)}."


def tera(flops: float) -> str:
    """FLOPs in units of 10¹², to three digits."""
    value = flops / 1e12
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
