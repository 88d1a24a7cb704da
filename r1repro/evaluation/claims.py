"""Claims of the papers, declared in conf/claims.yaml before the runs, and what became of them.

An effect has a 95 % interval: over the problems (or RL steps) of one run, or, with several seeds,
Student's t over the seeds' effects. The verdict reads nothing but that interval and what was
declared, by `verdict`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import yaml

from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.evaluation import metrics
from r1repro.evaluation.statistics import Estimate, difference_of_means, t_interval

FILE = ROOT / "conf" / "claims.yaml"
EXPECTED = ("up", "down", "same")
VERDICTS = ("reproduced", "contradicted", "inconclusive", "not testable")
SETTLED = 0.9
"""Share of its final level at which a curve counts as settled, and of valid format after which
the format phase counts as over."""
WINDOW = 5
"""RL steps that are averaged before a curve is compared with a level."""


@dataclass(frozen=True)
class Change:
    """A measure's paired change between two checkpoints; with `less`, minus another scope's."""

    path: str
    before: str
    after: str
    less: str | None = None


@dataclass(frozen=True)
class Value:
    """A measure of one checkpoint; with `less`, minus the same of another scope."""

    path: str
    checkpoint: str
    less: str | None = None


@dataclass(frozen=True)
class Rise:
    """A column of an RL stage's metrics, last fifth of its steps less first after the format."""

    column: str
    stage: str


@dataclass(frozen=True)
class Lead:
    """RL steps by which `column` settles before `over` does."""

    column: str
    over: str
    stage: str


@dataclass(frozen=True)
class Sooner:
    """RL steps by which `stage` reaches a pass@1 on its training prompts before `than` does."""

    stage: str
    than: str
    reaching: float


Measure: TypeAlias = Change | Value | Rise | Lead | Sooner
# The keys of a measure in claims.yaml, by its first one, in the order of the dataclass's fields.
_FORMS: dict[str, tuple[type, tuple[str, ...]]] = {
    "change": (Change, ("change", "from", "to", "less")),
    "value": (Value, ("value", "of", "less")),
    "rise": (Rise, ("rise", "stage")),
    "lead": (Lead, ("lead", "over", "stage")),
    "sooner": (Sooner, ("sooner", "than", "reaching")),
}


@dataclass(frozen=True)
class Claim:
    """What a paper says. With `not_yet` (why no stage answers it) the rest is empty."""

    id: str
    statement: str
    source: str
    paper: str = ""
    measure: Measure | None = None
    expected: str = ""
    smallest: float = math.nan
    not_yet: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim with its effect over all seeds, each seed's own, the verdict and, if any, why."""

    claim: Claim
    verdict: str
    effect: Estimate | None
    seeds: tuple[float, ...]
    reason: str = ""


@dataclass(frozen=True)
class Light:
    """What is read of one run: estimates by checkpoint, by difference, and metrics by RL stage."""

    summaries: Mapping[str, Mapping[str, Estimate]]
    changes: Mapping[str, Mapping[str, Estimate]]
    tables: Mapping[str, pd.DataFrame]


def load(path: Path = FILE) -> list[Claim]:
    """The declared claims. Raises R1ReproError, naming claim and key, if one is malformed."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = [_claim(entry, path) for entry in entries]
    ids = [claim.id for claim in claims]
    if doubled := {name for name in ids if ids.count(name) > 1}:
        raise R1ReproError(
            f"{path.name} has {', '.join(sorted(doubled))} more than once: ids are unique"
        )
    return claims


def _claim(entry: dict[str, Any], path: Path) -> Claim:
    name = entry.get("id", "a claim without id")
    known = {f.name for f in fields(Claim)}
    wanted = {"id", "statement", "source"}
    if "not_yet" not in entry:
        wanted |= {"paper", "measure", "expected", "smallest"}
    if entry.keys() - known or wanted - entry.keys():
        raise R1ReproError(
            f"{path.name}, {name}: it has {', '.join(entry)}, and wants {', '.join(sorted(wanted))}"
        )
    if "not_yet" in entry:
        return Claim(**entry)
    if entry["expected"] not in EXPECTED or not entry["smallest"] > 0:
        raise R1ReproError(
            f"{path.name}, {name}: expected is one of {', '.join(EXPECTED)} and smallest above 0, "
            f"not {entry['expected']!r} and {entry['smallest']!r}"
        )
    return Claim(**{**entry, "measure": _measure(entry["measure"], f"{path.name}, {name}")})


def _measure(entry: dict[str, Any], where: str) -> Measure:
    form, keys = _FORMS.get(next(iter(entry), ""), (None, ()))
    if form is None or entry.keys() - set(keys) or set(keys) - {"less"} - entry.keys():
        accepted = "; ".join(", ".join(keys) for _, keys in _FORMS.values())
        raise R1ReproError(
            f"{where}: a measure of {', '.join(entry)} is none of {accepted} (less may be left out)"
        )
    measure: Measure = form(*(entry[key] for key in keys if key in entry))
    return measure


def effect(measure: Measure, run: Light) -> Estimate | None:
    """The measure in one run with the interval that one run can give; None if it lacks a part.

    Two scopes hold different problems, so their difference has the root of the squared half-widths.
    """
    match measure:
        case Change(path, before, after, less):
            return _of(run.changes.get(f"{after} - {before}", {}), path, less)
        case Value(path, checkpoint, less):
            return _of(run.summaries.get(checkpoint, {}), path, less)
        case Rise(column, stage):
            return _rise(run.tables.get(stage), column)
        case Lead(column, over, stage):
            return _lead(run.tables.get(stage), column, over)
        case Sooner(stage, than, reaching):
            return _sooner(run.tables.get(stage), run.tables.get(than), reaching)


def _of(estimates: Mapping[str, Estimate], path: str, less: str | None) -> Estimate | None:
    found = estimates.get(path)
    if found is None or math.isnan(found.value) or less is None:
        return None if found is None or math.isnan(found.value) else found
    other = estimates.get(less)
    if other is None or math.isnan(other.value):
        return None
    value = found.value - other.value
    below = math.hypot(found.value - found.low, other.high - other.value)
    above = math.hypot(found.high - found.value, other.value - other.low)
    return Estimate(value, value - below, value + above, min(found.n, other.n))


def _rise(metrics: pd.DataFrame | None, column: str) -> Estimate | None:
    if metrics is None:
        return None
    over = reaches(metrics["format_valid"], SETTLED)
    kept = metrics[column].iloc[over or 0 :].dropna().to_numpy(dtype=float)
    part = len(kept) // 5
    if over is None or part < 2:
        return None
    return difference_of_means(kept[:part], kept[-part:])


def _lead(metrics: pd.DataFrame | None, column: str, over: str) -> Estimate | None:
    if metrics is None:
        return None
    first, second = (_settles(metrics[name]) for name in (column, over))
    if first is None or second is None:
        return None
    return Estimate(float(second - first), math.nan, math.nan, len(metrics))


def _sooner(
    metrics: pd.DataFrame | None, than: pd.DataFrame | None, share: float
) -> Estimate | None:
    if metrics is None or than is None:
        return None
    first, second = (reaches(table["pass_at_1"], share) for table in (metrics, than))
    if first is None or second is None:
        return None
    return Estimate(float(second - first), math.nan, math.nan, len(metrics))


def _settles(curve: pd.Series) -> int | None:
    return reaches(curve, SETTLED * float(curve.tail(max(1, len(curve) // 5)).mean()))


def reaches(curve: pd.Series, level: float) -> int | None:
    """RL steps before the mean of WINDOW steps is first at or above a level; None if it never is.

    0: the first full window has it.
    """
    if len(curve) < WINDOW:
        return None
    smooth = curve.astype(float).rolling(WINDOW).mean().to_numpy()[WINDOW - 1 :]
    found = np.flatnonzero(smooth >= level)
    return int(found[0]) if len(found) else None


def verdict(expected: str, smallest: float, effect: Estimate) -> str:
    """What the interval says of a claim.

    up: reproduced if the whole interval is above zero and the effect at least the smallest that
    counts; contradicted if the interval ends below that smallest one, so that no effect that
    counts is left; else inconclusive. down: the mirror of it. same: reproduced if the interval
    lies within the margin (an equivalence test at 2.5 % a side), contradicted if it lies wholly
    outside, else inconclusive.
    """
    value, low, high = effect.value, effect.low, effect.high
    if expected == "down":
        value, low, high = -value, -high, -low
    if math.isnan(low) or math.isnan(high):
        return "inconclusive"
    if expected == "same":
        if -smallest < low and high < smallest:
            return "reproduced"
        return "contradicted" if low > smallest or high < -smallest else "inconclusive"
    if low > 0 and value >= smallest:
        return "reproduced"
    return "contradicted" if high < smallest else "inconclusive"


def judge(claims: Sequence[Claim], runs: Sequence[Light]) -> list[Judged]:
    """Each claim by all runs, one a seed: t over the seeds, or one run's own interval."""
    return [_judge(claim, runs) for claim in claims]


def _nothing_to_lose(claim: Claim, run: Light) -> bool:
    """Whether a share has nothing to lose, so that it cannot fall by what would count."""
    measure = claim.measure
    if not isinstance(measure, Change) or not metrics.measure(measure.path).share:
        return False
    before = run.summaries.get(measure.before, {}).get(measure.path)
    return claim.expected != "up" and before is not None and before.value < claim.smallest


def _judge(claim: Claim, runs: Sequence[Light]) -> Judged:
    if claim.measure is None:
        return Judged(claim, "not testable", None, (), claim.not_yet)
    found = [effect(claim.measure, run) for run in runs]
    missing = sum(one is None for one in found)
    effects = [one for one in found if one is not None]
    if missing:
        return Judged(
            claim,
            "not testable",
            None,
            tuple(one.value for one in effects),
            f"{missing} of {len(runs)} runs lack what it is measured by",
        )
    if any(_nothing_to_lose(claim, run) for run in runs):
        return Judged(
            claim, "not testable", None, tuple(one.value for one in effects),
            "the checkpoint before has nothing that it could lose",
        )  # fmt: skip
    if len(effects) == 1:
        (one,) = effects
        reason = "one run gives no interval here" if math.isnan(one.low) else ""
        return Judged(
            claim, verdict(claim.expected, claim.smallest, one), one, (one.value,), reason
        )
    values = tuple(one.value for one in effects)
    all_of_them = Estimate(float(np.mean(values)), *t_interval(values), len(values))
    return Judged(claim, verdict(claim.expected, claim.smallest, all_of_them), all_of_them, values)


CONTROL = ("rl-raises-accuracy", "r1_zero_shuffled_rewards")
"""The claim that is also judged of the control, and the checkpoint that stands in for R1-Zero."""


def control(claims: Sequence[Claim], runs: Sequence[Light]) -> Judged | None:
    """What the procedure says of RL without a signal; None where the control did not run."""
    name, checkpoint = CONTROL
    (claim,) = (claim for claim in claims if claim.id == name)
    assert isinstance(claim.measure, Change)
    judged = _judge(replace(claim, measure=replace(claim.measure, after=checkpoint)), runs)
    return None if judged.effect is None else judged
