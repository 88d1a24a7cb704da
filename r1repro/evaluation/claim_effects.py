"""The effect that a claim is about, in one run."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from r1repro.evaluation import metrics
from r1repro.evaluation.claim_definitions import Change, Lead, Measure, Rise, Times, Value
from r1repro.evaluation.results import Costs, Results
from r1repro.evaluation.statistics import Estimate, difference
from r1repro.evaluation.training_moved import Moved

SETTLED = 0.9
"""Share of its total gain at which a curve counts as settled; also the share of valid format that
ends the format phase."""
WINDOW = 5
"""RL steps averaged before a curve is compared with a level."""


@dataclass(frozen=True)
class Light:
    """The data of one run that claims need, without checkpoints.

    summaries, changes: by checkpoint, and by "after - before".
    tables: metrics.parquet by RL stage.
    costs: of the students' checkpoints.
    moved: measured changes of each training stage.
    """

    summaries: Results
    changes: Results
    tables: Mapping[str, pd.DataFrame]
    costs: Costs = field(default_factory=dict)
    moved: Mapping[str, Moved] = field(default_factory=dict)


def effect(measure: Measure, run: Light) -> Estimate | None:
    """The measure in one run, with an interval if a single run gives one; None if data is missing.

    `@k` in a path stands for the number of samples drawn. The two scopes of `less` and the two
    sides of a ratio are treated as independent, so half-widths add in quadrature. Effects read off
    a training curve have no interval, since steps are not independent.
    """
    match measure:
        case Change(path, before, after, less):
            return measured(run.changes.get(f"{after} - {before}", {}), path, less)
        case Value(path, checkpoint, less):
            return measured(run.summaries.get(checkpoint, {}), path, less)
        case Times(path, before, after):
            one, other = (measured(run.summaries.get(n, {}), path, None) for n in (before, after))
            return None if one is None or other is None else _times(one, other)
        case Rise(column, stage):
            return _rise(run.tables.get(stage, pd.DataFrame()), column)
        case Lead(column, over, stage):
            return _lead(run.tables.get(stage, pd.DataFrame()), column, over)


def measured(estimates: Mapping[str, Estimate], path: str, less: str | None) -> Estimate | None:
    """The estimate of a path, minus that of scope `less` if given; None if one is missing."""
    drawn = f"@{metrics.samples(estimates)}"
    found = estimates.get(path.replace("@k", drawn))
    other = estimates.get(less.replace("@k", drawn)) if less else None
    if found is None or math.isnan(found.value):
        return None
    if less is None:
        return found
    return None if other is None or math.isnan(other.value) else difference(other, found)


def _times(before: Estimate, after: Estimate) -> Estimate | None:
    if min(before.low, after.low) <= 0 or math.isnan(before.low + after.low):
        return None
    logs = (
        Estimate(math.log2(e.value), math.log2(e.low), math.log2(e.high), e.n)
        for e in (before, after)
    )
    return difference(*logs)


def _rise(steps: pd.DataFrame, column: str) -> Estimate | None:
    if column not in steps:
        return None
    over = reaches(steps["format_valid"], SETTLED)
    kept = steps[column].iloc[over or 0 :].dropna().to_numpy(dtype=float)
    part = len(kept) // 5
    if over is None or part < 2:
        return None
    return _bare(kept[-part:].mean() - kept[:part].mean(), len(kept))


def _lead(steps: pd.DataFrame, column: str, over: str) -> Estimate | None:
    if not {column, over} <= {*steps.columns}:
        return None
    first, second = (_settles(steps[name]) for name in (column, over))
    return None if first is None or second is None else _bare(second - first, len(steps))


def _bare(value: float, n: int) -> Estimate:
    return Estimate(float(value), math.nan, math.nan, n)


def _settles(curve: pd.Series) -> int | None:
    """RL steps until nine tenths of a curve's gain are reached; None if the gain is at most 0.1."""
    part = max(1, len(curve) // 5)
    start, end = float(curve.head(WINDOW).mean()), float(curve.tail(part).mean())
    return reaches(curve, start + SETTLED * (end - start)) if end - start > 0.1 else None


def reaches(curve: pd.Series, level: float) -> int | None:
    """First RL step at which the mean of WINDOW steps reaches a level; None if it never does.

    0: the first full window reaches it.
    """
    if len(curve) < WINDOW:
        return None
    smooth = curve.astype(float).rolling(WINDOW).mean().to_numpy()[WINDOW - 1 :]
    found = np.flatnonzero(smooth >= level)
    return int(found[0]) if len(found) else None
