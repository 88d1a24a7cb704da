"""Tables of the whole pipeline, from the comparison stage's results.

The paper's figures are marked as context, since its models, tasks and counts differ.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from r1repro.duration import duration
from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import (
    ABLATIONS,
    ARMS,
    CHAIN,
    CHECKPOINTS,
    MAIN,
    PAPER_BENCHMARKS,
    STUDENT_PAIRS,
    STUDENTS,
    about,
    key,
    label_of,
    main,
    of_student,
    within_sentence,
)
from r1repro.evaluation.claims import are_equal, flops_shares
from r1repro.evaluation.results import Costs, Results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports.markup import Row, Table
from r1repro.reports.transcripts import LANGUAGES

Summary = Mapping[str, Estimate]

PAPER = {
    "reasoning/pass@1": "15.6 → 71.0 %, later 77.9 %; R1 79.8 %\n"
    "AIME 2024; v1 §2.2.4, v2 §2.3, Table 3",
    "reasoning/cons@k": "86.7 %\nR1-Zero, AIME 2024, cons@64; v1 Table 2",
    "length": "about 550 → 9,650 tokens\nR1-Zero, training prompts, read off v1 Fig. 3",
    "reflection_per_response": "5 to 7 times\nR1-Zero, count of ten words; v2 §C.2, Fig. 9a",
    "language_share": "R1-Zero mixes, no figure\nv1 §2.2.4",
    "repetition": "R1-Zero repeats, no figure\nrepository README",
    "general/score": "R1-Zero 24.7 %, R1 87.6 %\nAlpacaEval 2.0 LC; v2 Table 3",
}
"""The paper's figures and their sources, by our measure; v1, v2: of arXiv 2501.12948."""
_LEVELS = tuple(f"level_{level}/pass@1" for level in range(1, 9))
_GENERAL = tuple(f"general/{t}" for t in "translation fact instruction greeting refusal".split())
STAGE_ROWS: dict[str, tuple[str, ...]] = {
    "Reasoning": ("reasoning/pass@1", "*/pass@1", *_LEVELS),
    "General tasks": ("general/score", *_GENERAL),
    "How the reasoning answers are written": (
        "format_valid", "language_share", "readability", "reflection_per_response",
        "reflection_per_1k_tokens", "repetition", "length",
    ),
}  # fmt: skip
_STUDENT_PATHS = {
    "reasoning/pass@1": "pass@1",
    "general/score": "General score",
    "format_valid": "Valid format",
    "language_share": "Language asked",
    "readability": "Readable",
}
_ABLATION_PATHS = (
    "reasoning/pass@1", "*/pass@1", "general/score", "format_valid", "language_share", "mixed",
    "readability", "length",
)  # fmt: skip


def worded(change: Estimate, above: str, below: str, neither: str) -> str:
    """The words that the interval of a paired change allows."""
    return above if change.low > 0 else below if change.high < 0 else neither


def paths_of(summaries: Mapping[Any, Summary]) -> dict[str, None]:
    """The paths that any of these has, in order."""
    return {path: None for each in summaries.values() for path in each}


def measured(names: Iterable[str], found: Mapping[str, object]) -> list[str]:
    """Those of these names, with "*" expanded to families, that were measured."""
    return [path for path in metrics.spread(names, found) if path in found]


def side_by_side(
    summaries: Results,
    changes: Mapping[tuple[str, str], Summary],
    paths: Iterable[str],
    first: str = "Measure",
) -> Table:
    """A row per measure, a column per checkpoint and per paired change."""
    columns = [label_of(name) for name in summaries]
    columns += [f"{label_of(after)} − {label_of(before)}, paired" for before, after in changes]
    rows = []
    for path in paths:
        cells = _cells(summaries.values(), path) + _cells(changes.values(), path, signed=True)
        rows.append(Row(metrics.label(path), cells))
    return Table(tuple(columns), rows, first)


def _cells(results: Iterable[Summary], path: str, signed: bool = False) -> tuple[str, ...]:
    return tuple(metrics.shown(each.get(path), path, signed) for each in results)


def compared(
    summaries: Results, changes: Results, paths: Iterable[str], first: str = "Measure"
) -> Table:
    """`side_by_side` of the headline's checkpoints and their last change."""
    pair = next((p for p in (MAIN[1:], MAIN[:2]) if key(*p) in changes), None)
    return side_by_side(main(summaries), {pair: changes[key(*pair)]} if pair else {}, paths, first)


def by_checkpoint(
    summaries: Results, changes: Mapping[tuple[str, str], Summary] | None = None
) -> Table:
    """The headline measures of these checkpoints, and paired changes from `metrics.compare`."""
    return side_by_side(summaries, changes or {}, metrics.headline(paths_of(summaries)))


def changed(pairs: Mapping[tuple[str, str], Summary]) -> Table:
    """Paired changes from `metrics.compare`: the headline measures, and general tasks by family."""
    every = paths_of(pairs)
    return side_by_side({}, pairs, [*metrics.headline(every), *general_paths(every)])


def general_paths(paths: Iterable[str]) -> list[str]:
    """The paths of families of general tasks among these."""
    found = {path for path in paths if path.startswith("general/")}
    return sorted(found - {"general/score", *(f"general/{language}" for language in LANGUAGES)})


def headline(summaries: Results, changes: Results) -> Table:
    """The first table: the checkpoints of MAIN, the paired change, and the paper's figures."""
    paths = metrics.headline(paths_of(main(summaries)))
    found = compared(summaries, changes, paths, "Held-out problems")
    rows = []
    for path, row in zip(paths, found.rows, strict=True):
        generic = "reasoning/cons@k" if path.startswith("reasoning/cons@") else path
        rows.append(replace(row, cells=(*row.cells, PAPER.get(generic, ""))))
    return Table((*found.columns, "The paper, for context"), rows, found.first)


def checkpoints(summaries: Results) -> Table:
    """The evaluated checkpoints, what each is trained from, and what the paper says of it."""
    rows = [
        Row(one.label, (label_of(one.parent) if one.parent else "–", one.paper))
        for one in map(about, summaries)
    ]
    return Table(("From", "The paper"), rows, "Checkpoint")


def stages(summaries: Results) -> Table | None:
    """A table like the paper's Table 3 and with its rows; None with fewer than two stages."""
    shown = {name: summaries[name] for name in CHAIN if name in summaries}
    if len(shown) < 2:
        return None
    rows: list[Row] = []
    there = paths_of(shown)
    for title, paths in STAGE_ROWS.items():
        rows.append(Row(title))
        for path in measured(paths, there):
            words = metrics.label(path).removeprefix("General tasks: ")
            rows.append(Row(words, _cells(shown.values(), path)))
            if path in PAPER_BENCHMARKS:
                place = list(PAPER_BENCHMARKS).index(path)
                theirs = tuple(f"{CHECKPOINTS[n].benchmarks[place]:.1f}\u00a0%" for n in shown)
                benchmark = f"context, the paper: {PAPER_BENCHMARKS[path]}"
                rows.append(Row(benchmark, theirs, context=True))
    return Table(tuple(label_of(n) for n in shown), rows, "Held-out suite")


def soundness(summaries: Results) -> Table | None:
    """Sound, unworked and falsely checked answers of every checkpoint with reasoning answers."""
    shown = {name: each for name, each in summaries.items() if "sound" in each}
    scopes = ["", *(f"{family}/" for family in metrics.families(paths_of(shown)))]
    paths = [f"{scope}{name}" for name in ("sound", "unworked", "false_check") for scope in scopes]
    return side_by_side(shown, {}, paths) if shown else None


def by_seed(runs: Mapping[str, Results]) -> Table:
    """The results of every seed: a row per suite and seed, a column per checkpoint."""
    shared = [n for n in ("base", *CHAIN) if all(n in run for run in runs.values())]
    rows: list[Row] = []
    for path in ("reasoning/pass@1", "format_valid", "language_share", "general/score"):
        rows.append(Row(metrics.label(path)))
        rows += [Row(s, _cells((run[n] for n in shared), path)) for s, run in runs.items()]
    return Table(tuple(label_of(n) for n in shared), rows, "Seed")


def arms(name: str, costs: Sequence[Costs]) -> dict[str, str]:
    """ARMS of a student; RL is "at equal FLOPs" only if the FLOPs are equal in every run."""
    mine = of_student(name)
    shares = flops_shares(mine["rl_equal_flops"], mine["distilled"], costs)
    if not shares:
        return ARMS
    if are_equal(shares):
        return {**ARMS, "rl_equal_flops": "RL at equal FLOPs"}
    low, high = (f"{100 * share:.0f}" for share in (min(shares), max(shares)))
    spent = low if low == high else f"{low} to {high}"
    return {**ARMS, "rl_equal_flops": f"RL after {spent}\u00a0% of distillation’s FLOPs"}


def student(name: str, summaries: Results, costs: Sequence[Costs]) -> Table:
    """One student after each kind of training, with the mean cost of the runs beyond its base."""
    rows = []
    for arm, checkpoint in of_student(name).items():
        if checkpoint not in summaries:
            continue
        cells = [metrics.shown(summaries[checkpoint].get(path), path) for path in _STUDENT_PATHS]
        spent = [run[checkpoint] for run in costs if checkpoint in run]
        for unit, words in (("flops", tera), ("seconds", duration)):
            total = sum(cost[unit] for cost in spent)
            cells.append(words(total / len(spent)) if spent else "–")
        rows.append(Row(arms(name, costs)[arm], tuple(cells)))
    columns = (*_STUDENT_PATHS.values(), "FLOPs (10¹²)", "Wall time")
    return Table(columns, rows, STUDENTS[name])


def student_changes(changes: Results, costs: Sequence[Costs]) -> Table | None:
    """Changes of the declared pairs of every student."""
    rows = []
    for before, after in STUDENT_PAIRS:
        if (found := changes.get(key(before, after))) is not None:
            sides = f"{_arm(after, costs)} against {_arm(before, costs)}"
            cells = tuple(metrics.shown(found.get(p), p, signed=True) for p in _STUDENT_PATHS)
            rows.append(Row(f"{STUDENTS[about(before).student]}: {sides}", cells))
    return Table(tuple(_STUDENT_PATHS.values()), rows, "Change, paired") if rows else None


def _arm(name: str, costs: Sequence[Costs]) -> str:
    return within_sentence(arms(about(name).student, costs)[about(name).arm])


def distilled_sentences(summaries: Results, changes: Results, costs: Sequence[Costs]) -> list[str]:
    """Distillation of each student against RL up to its FLOPs, worded as the intervals allow."""
    path, said = "reasoning/pass@1", []
    for name, words in STUDENTS.items():
        before, after = of_student(name)["rl_equal_flops"], of_student(name)["distilled"]
        change = changes.get(key(before, after), {}).get(path)
        if change is None:
            continue
        said.append(
            f"{words}: distilled {metrics.shown(summaries[after][path], path)} is "
            f"{worded(change, 'above', 'below', 'not clearly apart from')} "
            f"{_arm(before, costs)}, {metrics.shown(summaries[before][path], path)} "
            f"({metrics.shown(change, path, signed=True)}, paired)."
        )
        both = [(run[before]["flops"], run[after]["flops"]) for run in costs if before in run]
        if short := [(spent, wanted) for spent, wanted in both if spent < wanted]:
            spent, wanted = min(short, key=lambda pair: pair[0] / pair[1])
            told = f"{tera(spent)} of {tera(wanted)} × 10¹²"
            where = f" in {len(short)} of {len(both)} runs" if len(both) > 1 else ""
            said[-1] += f" These FLOPs are not equal{where}: RL ended after {told}."
    return said


def ablations(summaries: Results, changes: Results) -> Iterator[tuple[str, Table]]:
    """(checkpoint, table) of each ablation that ran, with the plain one and the paired change."""
    for name, ablation in ABLATIONS.items():
        found = changes.get(key(ablation.plain, name))
        if found is None:
            continue
        sides = {side: summaries[side] for side in (ablation.plain, name)}
        paths = measured(_ABLATION_PATHS, found)
        yield name, side_by_side(sides, {(ablation.plain, name): found}, paths)


def ablation_sentence(name: str, changes: Results) -> str:
    """The effect of an ablation in a sentence, as the intervals allow."""
    ablation = ABLATIONS[name]
    found = changes[key(ablation.plain, name)]
    parts = [
        f"{words} {worded(found[path], 'higher', 'lower', 'not clearly different')} "
        f"({metrics.shown(found[path], path, signed=True)})"
        for path, words in (
            ("reasoning/pass@1", "pass@1"),
            ("general/score", "general score"),
            ("language_share", "share of the language asked"),
        )
        if path in found
    ]
    return f"{ablation.title}, against {about(ablation.plain).label}: {'; '.join(parts)}."


def tera(flops: float) -> str:
    """FLOPs in units of 10¹², to three digits."""
    value = flops / 1e12
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
