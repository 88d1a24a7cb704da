"""The arms of the lab that were trained: their scores beside GRPO's, and their training."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from r1repro.config import Config, lab
from r1repro.duration import duration
from r1repro.evaluation import metrics
from r1repro.evaluation.arms import PASS, best, sampled_an_update
from r1repro.evaluation.claim_effects import WINDOW
from r1repro.evaluation.statistics import Estimate
from r1repro.lab import figures
from r1repro.reports.drawing import Drawing
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.reports.tables import Summary, worded
from r1repro.runner.workspace import Workspace

RATES = ("rate", "critic_rate")
_SPENT = ["seconds_rollout", "seconds_reference", "seconds_update"]


def main(config: Config) -> Workspace:
    """The results of the sequence with these settings."""
    return Workspace(replace(config, lab="none"))


@dataclass(frozen=True)
class Trained:
    """The arms of a notebook.

    curves: rows of metrics.parquet by arm of RL, with the completions sampled so far as `samples`;
    evaluations: rows of evaluation.parquet by arm; missing: the arms that have not been run, and
    the seconds that they take; start: rows of the base, where it was evaluated too; resets: by arm
    of RL, the samples after which its reference is replaced.
    """

    notebook: str
    curves: Mapping[str, pd.DataFrame]
    evaluations: Mapping[str, pd.DataFrame]
    missing: Mapping[str, float]
    start: pd.DataFrame | None = None
    resets: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def compared(self) -> tuple[Mapping[str, Summary], Mapping[str, Summary]]:
        """Summaries by arm, and paired changes against the best arm of GRPO."""
        method = lab.arms()[lab.REFERENCE].method
        trials = [name for name in self.evaluations if lab.arms()[name].method == method]
        pairs = [(a, b) for a in trials for b in self.evaluations if a != b]
        alone, changes = metrics.compare(self.evaluations, pairs, whole=True)
        grpo = _best(alone).get(method)
        return alone, {after: one for (before, after), one in changes.items() if before == grpo}

    @property
    def best(self) -> dict[str, str]:
        """The arm of each method with the highest pass@1."""
        return _best(self.compared[0]) if self.evaluations else {}

    @property
    def best_curves(self) -> dict[str, pd.DataFrame]:
        """The curves of those arms of `best` that are of RL, by method."""
        return {m: self.curves[name] for m, name in self.best.items() if name in self.curves}


def _best(summaries: Mapping[str, Summary]) -> dict[str, str]:
    return best({name: one[PASS].value for name, one in summaries.items()})


def trained(config: Config, notebook: str) -> Trained:
    """The arms of a notebook that were run with these settings; nothing is run here."""
    space = Workspace(replace(config, lab=notebook))
    start = config.stage.r1_zero
    curves, evaluations, missing, resets = {}, {}, {}, {}
    for name, arm in lab.shown_in(notebook).items():
        stages = (lab.stage(name), lab.evaluation(name))
        left = [stage for stage in stages if not space.is_done(stage)]
        if left:
            missing[name] = sum(space.stages[stage].seconds(config) for stage in left)
            continue
        if arm.offline is None:
            each = sampled_an_update(arm, start)
            rows = pd.read_parquet(space.place(stages[0]) / "metrics.parquet")
            curves[name] = rows.assign(samples=rows["step"] * each)
            resets[name] = lab.settings(start, arm).reference_sync_steps * each
        evaluations[name] = pd.read_parquet(space.place(stages[1]) / "evaluation.parquet")
    before = None
    if lab.START in space.stages and space.is_done(lab.START):
        before = pd.read_parquet(space.place(lab.START) / "evaluation.parquet")
    return Trained(notebook, curves, evaluations, missing, before, resets)


def label(name: str, notebook: str) -> str:
    """An arm's method, and its rate where the notebook has several arms of the method."""
    arm, shown = lab.arms()[name], lab.shown_in(notebook).values()
    if sum(other.method == arm.method for other in shown) == 1:
        return arm.method
    return f"{arm.method}, " + tried(dict(arm.changes), ("rate", "critic's rate"))


def tried(changes: Mapping[str, Any], words: tuple[str, str]) -> str:
    """The rates of policy and critic, as multiples of R1-Zero's, by these words."""
    found = {"rate": 1, **changes}
    named = zip(RATES, words, strict=True)
    return ", ".join(f"{word} × {found[rate]:g}" for rate, word in named if rate in found)


def how(found: Trained) -> str:
    """How to run the arms that are missing; "" if none is."""
    if not found.missing:
        return ""
    count, seconds = len(found.missing), duration(sum(found.missing.values()))
    which = "Its arms have" if not found.curves else f"{count} of its arms have"
    return (
        f"{which} not been run with these settings: `r1repro run lab={found.notebook}` with the "
        f"same settings trains them, in about {seconds} on two CPU cores at scale=laptop, and "
        "executes this notebook again."
    )


def curves(found: Trained, columns: Sequence[str]) -> Drawing | None:
    """Columns of the metrics of each method's best arm over its samples; None without an arm."""
    resets = {method: found.resets.get(name) for method, name in found.best.items()}
    return figures.arms(found.best_curves, columns, resets) if found.curves else None


def cells(
    found: Mapping[str, Estimate], paths: Iterable[str] = (PASS,), signed: bool = False
) -> tuple[str, ...]:
    """Estimates as text, a dash where there is none."""
    return tuple(metrics.shown(found.get(path), path, signed) for path in paths)


def versus(change: Estimate, other: str, above: str = "above", below: str = "below") -> str:
    """The words that a paired change's interval allows, as in "above GRPO (+2.0 points ...)"."""
    words = worded(change, above, below, "not told apart from")
    return f"{words} {other} ({metrics.shown(change, PASS, signed=True)})"


def table(found: Trained) -> Shown | None:
    """A row per arm: validation scores with 95 % intervals, and the paired change of pass@1."""
    if not found.evaluations:
        return paragraphs(how(found))
    summaries, changes = found.compared
    k = metrics.samples(next(iter(summaries.values())))
    paths = [PASS, f"reasoning/pass@{k}", f"reasoning/cons@{k}", "length"]
    rows = []
    for name, one in summaries.items():
        change = cells(changes.get(name, {}), signed=True)
        rows.append(Row(label(name, found.notebook), cells(one, paths) + change))
    columns = (*map(metrics.label, paths), "pass@1 − best GRPO’s, paired")
    return Table(columns, tuple(rows), "Arm")


def at_equal_seconds(found: Trained) -> Shown | None:
    """A row per method: pass@1 on the training prompts in the time that the fastest took for all.

    The best arm of each; a mean of WINDOW batches. Seconds are those of sampling, of the reference
    and of the updates, on this machine and with whatever else it did.
    """
    best = found.best_curves
    if len(best) < 2:
        return None
    spent = {method: rows[_SPENT].sum(axis=1).cumsum() for method, rows in best.items()}
    least = min(float(each.iloc[-1]) for each in spent.values())
    made = []
    for method, rows in best.items():
        until = rows[spent[method] <= least]
        samples = "0" if until.empty else f"{until['samples'].max():,.0f}"
        shares = [
            "–" if part.empty else f"{100 * part['pass_at_1'].tail(WINDOW).mean():.1f}\u00a0%"
            for part in (until, rows)
        ]
        made.append(Row(method, (f"{spent[method].iloc[-1]:,.0f}", samples, *shares)))
    within, asked = f"{least:,.0f} s", "pass@1 on training prompts"
    columns = (f"Completions in {within}", f"{asked}, {within}", f"{asked}, all")
    return Table(("Seconds, all", *columns), tuple(made), "Method, its best trial")


def since_start(found: Trained) -> Shown | None:
    """A row per method: how its best arm's pass@1, cons@k and pass@k differ from the base's.

    Training that raises pass@1 but not pass@k only makes likelier what the base could already do.
    """
    if found.start is None or not found.evaluations:
        return None
    best = {method: found.evaluations[name] for method, name in found.best.items()}
    pairs = [(lab.START, method) for method in best]
    alone, changes = metrics.compare({lab.START: found.start, **best}, pairs, whole=True)
    k = metrics.samples(alone[lab.START])
    paths = [PASS, f"reasoning/cons@{k}", f"reasoning/pass@{k}"]
    rows = [Row("base, untrained", cells(alone[lab.START], paths))]
    rows += [Row(method, cells(one, paths, signed=True)) for (_, method), one in changes.items()]
    return Table(tuple(map(metrics.label, paths)), tuple(rows), "Best trial minus the base")


def between(found: Trained, pairs: Sequence[tuple[str, str]]) -> Shown | None:
    """A row per pair of trained arms, or of one and the untrained "base": pass@1 and its change."""
    rows = {**found.evaluations} | ({} if found.start is None else {"base": found.start})
    there = [pair for pair in pairs if {*pair} <= rows.keys()]
    if not there:
        return None
    alone, changes = metrics.compare(rows, there, whole=True)
    made = []
    for pair in there:
        names = [name if name == "base" else label(name, found.notebook) for name in pair]
        before, after = (cells(alone[name]) for name in pair)
        row = before + after + cells(changes[pair], signed=True)
        made.append(Row(" → ".join(names), row))
    return Table(("pass@1, before", "after", "change, paired"), tuple(made), "From → to")


def told(found: Trained) -> Html | None:
    """How the best arm of each method compares with GRPO's, and which arms are missing."""
    if not found.evaluations:
        return None
    _, changes = found.compared
    said = "; ".join(
        f"{method} is {versus(changes[name][PASS], 'GRPO')}"
        for method, name in found.best.items()
        if PASS in changes.get(name, {})
    )
    return paragraphs(
        f"In pass@1 on the validation problems, {said}." if said else "",
        "Every arm is one run with one seed, and the intervals cover problems only: another seed "
        "may change the order, so only several (`--multirun`) decide. Where a method has several "
        "trials, the best was chosen on the same problems. RL without a named rate has R1-Zero's "
        "rate, which was chosen for GRPO.",
        how(found),
    )
