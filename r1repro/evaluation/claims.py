"""The papers' claims, declared in conf/claims.yaml, and their verdicts.

An effect has a 95 % interval: over the problems of one run, or, with several seeds, Student's t
over the seeds combined with the problems' spread (`statistics.over_seeds`). `verdict` compares the
effect and its interval with the declaration. A verdict from one run concerns that run only. A claim
is not testable if its stage did not move (r1repro.evaluation.moved).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import yaml
from scipy.optimize import brentq

from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.evaluation import metrics, moved
from r1repro.evaluation.moved import Moved
from r1repro.evaluation.statistics import LEVEL, Estimate, difference, over_seeds, power

FILE = ROOT / "conf" / "claims.yaml"
EXPECTED = ("up", "down", "same", "no_lower", "no_higher")
VERDICTS = ("reproduced", "contradicted", "inconclusive", "not testable")
SMOKE, AT_SMOKE = "smoke", "not testable at scale=smoke, where nothing is learned"
SETTLED = 0.9
"""Share of its total gain at which a curve counts as settled; also the share of valid format that
ends the format phase."""
WINDOW = 5
"""RL steps averaged before a curve is compared with a level."""


@dataclass(frozen=True)
class Change:
    """A measure's paired change between two checkpoints, minus that of scope `less` if given."""

    path: str
    before: str
    after: str
    less: str | None = None


@dataclass(frozen=True)
class Value:
    """A measure of one checkpoint, minus that of scope `less` if given."""

    path: str
    checkpoint: str
    less: str | None = None


@dataclass(frozen=True)
class Rise:
    """Last fifth minus first fifth of a column of an RL stage's metrics, after the format phase."""

    column: str
    stage: str


@dataclass(frozen=True)
class Lead:
    """RL steps by which `column` settles before `over`."""

    column: str
    over: str
    stage: str


@dataclass(frozen=True)
class Times:
    """Ratio of a measure between two checkpoints, as a power of two."""

    path: str
    before: str
    after: str


Measure: TypeAlias = Change | Value | Times | Rise | Lead
# Keys of a measure in claims.yaml, by its first key, in the order of the dataclass fields.
_FORMS: dict[str, tuple[type, tuple[str, ...]]] = {
    "change": (Change, ("change", "from", "to", "less")),
    "value": (Value, ("value", "of", "less")),
    "times": (Times, ("times", "from", "to")),
    "rise": (Rise, ("rise", "stage")),
    "lead": (Lead, ("lead", "over", "stage")),
}


REWARDS = ("accuracy", "format", "language", "preference")


@dataclass(frozen=True)
class Paid:
    """A reward (one of REWARDS) of an RL stage; without room or change it can have no effect."""

    stage: str
    reward: str


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, or with `ours` a question it leaves open.

    smallest: smallest effect that counts, or the equivalence margin; a fraction for shares, a power
        of two for `Times`; NaN with `not_yet`.
    not_yet: why no stage tests the claim.
    moved: the reward whose effect is claimed, if any.
    tuned: settings behind either side that were chosen by validation accuracy.
    """

    id: str
    statement: str
    source: str
    paper: str = ""
    measure: Measure | None = None
    expected: str = ""
    smallest: float = math.nan
    not_yet: str = ""
    ours: bool = False
    moved: Paid | None = None
    tuned: str = ""


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    effect: over all seeds.
    seeds: effect in each seed.
    reason: explanation of the verdict, if any.
    found_from: with several seeds, the smallest true effect detected with 80 % power, given the
        observed spread of seeds and problems; NaN if not applicable.
    """

    claim: Claim
    verdict: str
    effect: Estimate | None
    seeds: tuple[float, ...]
    reason: str = ""
    found_from: float = math.nan


@dataclass(frozen=True)
class Light:
    """The data of one run that claims need, without checkpoints.

    summaries: {checkpoint: {path: Estimate}}.
    changes: {"after - before": {path: Estimate}}.
    tables: metrics.parquet by RL stage.
    costs: {checkpoint: {"flops", ...}} of the students.
    moved: measured changes of each training stage.
    """

    summaries: Mapping[str, Mapping[str, Estimate]]
    changes: Mapping[str, Mapping[str, Estimate]]
    tables: Mapping[str, pd.DataFrame]
    costs: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    moved: Mapping[str, Moved] = field(default_factory=dict)


def load(path: Path = FILE) -> list[Claim]:
    """The declared claims. Raises R1ReproError, naming claim and key, if one is malformed."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = [_claim(entry, path) for entry in entries]
    ids = [claim.id for claim in claims]
    if doubled := {name for name in ids if ids.count(name) > 1}:
        raise R1ReproError(
            f"{path.name} has {', '.join(sorted(doubled))} more than once; use unique ids"
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
            f"{path.name}, {name}: has {', '.join(entry)}; required are {', '.join(sorted(wanted))}"
        )
    if "not_yet" in entry:
        return Claim(**entry)
    if entry["expected"] not in EXPECTED or not entry["smallest"] > 0:
        raise R1ReproError(
            f"{path.name}, {name}: expected must be one of {', '.join(EXPECTED)} and smallest "
            f"above 0, not {entry['expected']!r} and {entry['smallest']!r}"
        )
    where = f"{path.name}, {name}"
    parsed = {**entry, "measure": _measure(entry["measure"], where)}
    if "moved" in entry:
        parsed["moved"] = _paid(entry["moved"], where)
    return Claim(**parsed)


def _paid(entry: Any, where: str) -> Paid:
    if not isinstance(entry, dict) or entry.keys() != {"stage", "reward"}:
        raise R1ReproError(f"{where}: moved must be {{stage: STAGE, reward: REWARD}}, not {entry}")
    if entry["reward"] not in REWARDS:
        raise R1ReproError(
            f"{where}: reward must be one of {', '.join(REWARDS)}, not {entry['reward']!r}"
        )
    return Paid(**entry)


def _measure(entry: dict[str, Any], where: str) -> Measure:
    form, keys = _FORMS.get(next(iter(entry), ""), (None, ()))
    if form is None or entry.keys() - set(keys) or set(keys) - {"less"} - entry.keys():
        accepted = "; ".join(", ".join(keys) for _, keys in _FORMS.values())
        raise R1ReproError(
            f"{where}: measure has {', '.join(entry)}; use one of {accepted} (less is optional)"
        )
    measure: Measure = form(*(entry[key] for key in keys if key in entry))
    return measure


def effect(measure: Measure, run: Light) -> Estimate | None:
    """The measure in one run, with an interval if a single run gives one; None if data is missing.

    `@k` in a path stands for the number of samples drawn. The two scopes of `less` and the two
    sides of a ratio are treated as independent, so half-widths add in quadrature. Effects read off
    a training curve have no interval, since steps are not independent.
    """
    match measure:
        case Change(path, before, after, less):
            return _of(run.changes.get(f"{after} - {before}", {}), path, less)
        case Value(path, checkpoint, less):
            return _of(run.summaries.get(checkpoint, {}), path, less)
        case Times(path, before, after):
            one, other = (_of(run.summaries.get(n, {}), path, None) for n in (before, after))
            return None if one is None or other is None else _times(one, other)
        case Rise(column, stage):
            return _rise(run.tables.get(stage), column)
        case Lead(column, over, stage):
            return _lead(run.tables.get(stage), column, over)


def _of(estimates: Mapping[str, Estimate], path: str, less: str | None) -> Estimate | None:
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


def _rise(metrics_of: pd.DataFrame | None, column: str) -> Estimate | None:
    if metrics_of is None or column not in metrics_of:
        return None
    over = reaches(metrics_of["format_valid"], SETTLED)
    kept = metrics_of[column].iloc[over or 0 :].dropna().to_numpy(dtype=float)
    part = len(kept) // 5
    if over is None or part < 2:
        return None
    return _bare(kept[-part:].mean() - kept[:part].mean(), len(kept))


def _lead(metrics_of: pd.DataFrame | None, column: str, over: str) -> Estimate | None:
    if metrics_of is None or column not in metrics_of or over not in metrics_of:
        return None
    first, second = (_settles(metrics_of[name]) for name in (column, over))
    return None if first is None or second is None else _bare(second - first, len(metrics_of))


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


def verdict(expected: str, smallest: float, effect: Estimate) -> tuple[str, str]:
    """(verdict, reason or "") for an effect and its interval.

    up: reproduced if the interval is above zero and the value at least `smallest`; contradicted if
        the interval ends below `smallest` and is not above zero; else inconclusive.
    down: mirror image of up.
    same: reproduced if the interval is within the margin (an equivalence test at 2.5 % per side);
        contradicted if it is entirely outside; else inconclusive.
    no_lower, no_higher: one side of same.
    """
    value, low, high = effect.value, effect.low, effect.high
    if math.isnan(low) or math.isnan(high):
        return "inconclusive", "no interval"
    if expected in ("down", "no_higher"):
        value, low, high = -value, -high, -low
    if expected in ("no_lower", "no_higher", "same"):
        high_enough = expected == "same" and high >= smallest
        if low > -smallest and not high_enough:
            return "reproduced", ""
        outside = high < -smallest or (expected == "same" and low > smallest)
        return ("contradicted" if outside else "inconclusive"), ""
    if low > 0 and value >= smallest:
        return "reproduced", ""
    if high >= smallest:
        return "inconclusive", ""
    if low > 0:
        return "inconclusive", "in the direction claimed, and smaller than what counts"
    return "contradicted", ""


def judge(claims: Sequence[Claim], runs: Sequence[Light]) -> list[Judged]:
    """Judge each claim over all runs, one per seed; a single run is judged by its own interval."""
    return [_judge(claim, runs) for claim in claims]


def ledger(runs: Sequence[Light], scale: str) -> tuple[list[Judged], list[Judged]]:
    """(all declared claims judged on the runs, the same on their control); see `judge`, `control`.

    Nothing is testable at scale=smoke, which learns nothing.
    """
    declared = load()
    if scale == SMOKE:
        return [
            Judged(one, "not testable", None, (), one.not_yet or AT_SMOKE) for one in declared
        ], []
    return judge(declared, runs), control(declared, runs)


def control(claims: Sequence[Claim], runs: Sequence[Light]) -> list[Judged]:
    """Rises and falls claimed of RL from the base, judged for RL with permuted rewards instead.

    Both sides have the same prompt: the base's best one would hide a rise. Empty if that control
    did not run. No claimed rise in accuracy should be reproduced here.
    """
    judged = []
    for claim in claims:
        if claim.expected not in ("up", "down"):
            continue
        match claim.measure:
            case Change(_, "base" | "base_best", "r1_zero") | Times(
                _, "base" | "base_best", "r1_zero"
            ):
                measure = replace(claim.measure, before="base", after=CONTROL)
                judged.append(_judge(replace(claim, measure=measure), runs))
    return judged if any(one.effect is not None for one in judged) else []


CONTROL = "r1_zero_permuted"
EQUAL_FLOPS = "_rl_equal_flops"
SPENT_OVER = 0.05
POWER = 0.8


def _judge(claim: Claim, runs: Sequence[Light]) -> Judged:
    if claim.measure is None:
        return Judged(claim, "not testable", None, (), claim.not_yet)
    found = [effect(claim.measure, run) for run in runs]
    effects = [one for one in found if one is not None]
    values = tuple(one.value for one in effects)
    if len(effects) < len(runs):
        where = f" in {len(runs) - len(effects)} of {len(runs)} runs" if len(runs) > 1 else ""
        lacking = next(run for run, one in zip(runs, found, strict=True) if one is None)
        reason = f"{_absent(claim.measure, lacking) or _needs(claim.measure)}{where}"
        return Judged(claim, "not testable", None, values, reason)
    whole = over_seeds(effects)
    found_verdict, reason = verdict(claim.expected, claim.smallest, whole)
    if reason == "no interval":
        reason = "one run gives no interval here" if len(runs) == 1 else "all seeds agree exactly"
    if found_verdict == "reproduced" and _no_room(claim, runs):
        found_verdict = "not testable"
        reason = "the checkpoint before stands where it could not have gone against the claim"
    if why_not := _unequal_flops(claim.measure, runs) or _still(claim, runs):
        found_verdict, reason = "not testable", why_not
    return Judged(claim, found_verdict, whole, values, reason, _found_from(claim, effects))


def _still(claim: Claim, runs: Sequence[Light]) -> str:
    """Why a stage's or reward's effect cannot be judged; "" if it moved in most runs.

    The stage is the one that made the later of two checkpoints.
    """
    reasons = [reason for run in runs if (reason := _still_in(claim, run))]
    if 2 * len(reasons) < len(runs):
        return ""
    return reasons[0] + (f" (in {len(reasons)} of {len(runs)} runs)" if len(runs) > 1 else "")


def _still_in(claim: Claim, run: Light) -> str:
    stage = _stage(claim.measure)
    named = {stage} | ({claim.moved.stage} if claim.moved else set())
    if missing := sorted(named - run.moved.keys()):
        return f"whether {' and '.join(missing)} moved was not recorded"
    if reason := moved.still(run.moved[stage]):
        return f"nothing moved: in {stage} {reason}"
    if claim.moved is None:
        return ""
    stays = claim.expected in ("same", "no_lower", "no_higher")
    reason = moved.idle(run.moved[claim.moved.stage], claim.moved.reward, may_stay=stays)
    return reason and f"nothing moved: in {claim.moved.stage} {reason}"


def _stage(measure: Measure | None) -> str:
    """The training stage whose effect is measured."""
    match measure:
        case Change(after=name) | Times(after=name) | Value(checkpoint=name):
            return name.removesuffix("_equal_flops")
        case Rise(stage=name) | Lead(stage=name):
            return name
    raise ValueError("a claim without a measure has no stage")


def _absent(measure: Measure, run: Light) -> str:
    """Which checkpoints of a measure were not evaluated, in words; "" if all were."""
    match measure:
        case Change(_, before, after) | Times(_, before, after):
            sides = [before, after]
        case Value(_, checkpoint):
            sides = [checkpoint]
        case _:
            return ""
    missing = [side for side in sides if side not in run.summaries]
    return f"there is no evaluation of {' and '.join(missing)}" if missing else ""


TAIL = (1 - LEVEL) / 2
"""Upper bound on the probability of a false verdict: one tail of the claim's interval."""
ANY_SEED = 0.11
"""The same bound if one run's verdict is generalized to any seed: the worst rate simulated in
benchmarks/claims_procedure.py, for an effect at the margin judged contradicted."""


def exposed(judged: Sequence[Judged]) -> int:
    """Number of claims that could have a false verdict: those judged by an interval."""
    return sum(
        one.verdict != "not testable" and one.effect is not None and not math.isnan(one.effect.low)
        for one in judged
    )


def expected_false(judged: Sequence[Judged], chance: float = TAIL) -> float:
    """Upper bound on the expected number of false verdicts: `chance` per claim in `exposed`.

    A claim is either true or false, so only one verdict on it can be false. A false "reproduced"
    (true effect zero or less, or at or beyond the margin) needs an interval entirely above the
    truth; a false "contradicted" (the effect is there) needs one entirely below. Each is one tail
    of a two-sided interval. Expectations add up even though the claims share runs and problems.
    """
    return chance * exposed(judged)


def _unequal_flops(measure: Measure, runs: Sequence[Light]) -> str:
    """Why the sides of an equal-FLOPs comparison are unequal; "" if equal or not applicable."""
    if not isinstance(measure, Change) or not measure.before.endswith(EQUAL_FLOPS):
        return ""
    shares = flops_shares(measure.before, measure.after, [run.costs for run in runs])
    if not shares:
        return "what the two sides cost was not recorded"
    if are_equal(shares):
        return ""
    short = min(shares)
    spent = math.floor(1000 * short) / 10 if short < 1 else round(100 * max(shares))
    return f"RL ended after {spent:g} % of the other side's FLOPs"


def flops_shares(
    before: str, after: str, costs: Sequence[Mapping[str, Mapping[str, float]]]
) -> list[float]:
    """FLOPs of `before` relative to `after` in each run; [] if a run lacks either."""
    if not costs or any(not {before, after} <= run.keys() for run in costs):
        return []
    return [run[before]["flops"] / run[after]["flops"] for run in costs]


def are_equal(shares: Sequence[float]) -> bool:
    """Whether FLOPs count as equal in every run.

    RL stops after the first step that exceeds the other side's FLOPs, so it may spend up to
    SPENT_OVER more.
    """
    return bool(shares) and all(1 <= share <= 1 + SPENT_OVER for share in shares)


def _found_from(claim: Claim, effects: Sequence[Estimate]) -> float:
    """The effect detected with probability POWER; NaN for fewer than three runs.

    Computed by `statistics.power` from the observed deviation over seeds, which is unreliable for
    two.
    """
    if len(effects) < 3 or claim.expected not in ("up", "down"):
        return math.nan
    deviation = float(np.std([one.value for one in effects], ddof=1))
    half_width = float(np.nan_to_num([(one.high - one.low) / 2 for one in effects]).mean())
    if not deviation:
        return math.nan

    def lacks(effect: float) -> float:
        return power(effect, deviation, len(effects), claim.smallest, half_width) - POWER

    most = claim.smallest + 100 * (deviation + half_width)
    return float(brentq(lacks, 0.0, most, xtol=1e-6))


def _needs(measure: Measure) -> str:
    match measure:
        case Change(path, before, after) | Times(path, before, after):
            return f"{path} of {before} and {after} was not measured, or is zero"
        case Value(path, checkpoint):
            return f"{path} of {checkpoint} was not measured"
        case Rise(column, stage):
            return f"{stage} has no {column} after a phase of valid format"
        case Lead(column, over, stage):
            return f"{column} or {over} gains too little over the steps of {stage}"


def _no_room(claim: Claim, runs: Sequence[Light]) -> bool:
    """Whether a share started so near 0 or 1 that it could not move against the claim."""
    measure = claim.measure
    if not isinstance(measure, Change) or measure.less or not metrics.measure(measure.path).share:
        return False
    before = [_of(run.summaries.get(measure.before, {}), measure.path, None) for run in runs]
    values = [one.value for one in before if one is not None]
    if not values:
        return False
    mean = float(np.mean(values))
    below, above = mean < claim.smallest, 1 - mean < claim.smallest
    # A claim of no fall needs a share above zero, a claim of no rise one below one.
    return {"no_lower": below, "no_higher": above, "same": below or above}.get(
        claim.expected, False
    )
