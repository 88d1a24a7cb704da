"""The papers' claims, declared in conf/claims.yaml, and their verdicts.

An effect has a 95 % interval: over the problems of one run, or, with several seeds, Student's t
over the seeds combined with the problems' spread (`statistics.over_seeds`). `verdict` compares the
effect and its interval with the declaration. A verdict from one run concerns that run only. A claim
is not testable if its stage did not move (r1repro.evaluation.training_moved).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import brentq

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import CONTROL, about, label_of
from r1repro.evaluation.claim_definitions import (
    Change,
    Claim,
    Lead,
    Measure,
    Rise,
    Times,
    Value,
    load,
)
from r1repro.evaluation.claim_effects import Light, effect, measured
from r1repro.evaluation.results import Costs
from r1repro.evaluation.statistics import TAIL, Estimate, over_seeds, power
from r1repro.evaluation.training_moved import Moved, idle, still

VERDICTS = ("reproduced", "contradicted", "inconclusive", "not testable")
SMOKE, AT_SMOKE = "smoke", "not testable at scale=smoke, where nothing is learned"
SPENT_OVER = 0.05
POWER = 0.8


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


def ledger(
    runs: Sequence[Light], scale: str, given: Sequence[Claim] | None = None
) -> tuple[list[Judged], list[Judged]]:
    """(claims judged on the runs, the same on their control); see `judge`, `control`.

    given: the claims; those of conf/claims.yaml if None. Nothing is testable at scale=smoke, which
    learns nothing.
    """
    declared = load() if given is None else given
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
        measure = claim.measure
        if claim.expected not in ("up", "down") or not isinstance(measure, Change | Times):
            continue
        if measure.before in ("base", "base_best") and measure.after == "r1_zero":
            measure = replace(measure, before="base", after=CONTROL)
            judged.append(_judge(replace(claim, measure=measure), runs))
    return judged if any(one.effect is not None for one in judged) else []


def _judge(claim: Claim, runs: Sequence[Light]) -> Judged:
    if claim.measure is None:
        return Judged(claim, "not testable", None, (), claim.not_yet)
    found = [effect(claim.measure, run) for run in runs]
    effects = [one for one in found if one is not None]
    values = tuple(one.value for one in effects)
    if len(effects) < len(runs):
        where = f" in {len(runs) - len(effects)} of {len(runs)} runs" if len(runs) > 1 else ""
        lacking = next(run for run, one in zip(runs, found, strict=True) if one is None)
        reason = f"{_lacks(claim.measure, lacking)}{where}"
        return Judged(claim, "not testable", None, values, reason)
    whole = over_seeds(effects)
    found_verdict, reason = verdict(claim.expected, claim.smallest, whole)
    if reason == "no interval":
        reason = "one run gives no interval here" if len(runs) == 1 else "all seeds agree exactly"
    if found_verdict == "reproduced" and _no_room(claim, runs):
        found_verdict = "not testable"
        reason = "the share before is so near 0 or 1 that it could not contradict the claim"
    if why_not := _unequal_flops(claim.measure, runs) or _still(claim, claim.measure, runs):
        found_verdict, reason = "not testable", why_not
    rises = claim.expected in ("up", "down")
    found_from = detectable(effects, claim.smallest) if rises else math.nan
    return Judged(claim, found_verdict, whole, values, reason, found_from)


def _still(claim: Claim, measure: Measure, runs: Sequence[Light]) -> str:
    """Why a stage's or reward's effect cannot be judged; "" if it moved in most runs.

    The stage is the one that made the later of two checkpoints.
    """
    if isinstance(measure, Change) and _weights(measure.before) == _weights(measure.after):
        return ""  # one checkpoint asked in two ways, which is no effect of training
    stage = _stage(measure)
    reasons = [reason for run in runs if (reason := _still_in(claim, stage, run.moved))]
    if 2 * len(reasons) < len(runs):
        return ""
    return reasons[0] + (f" (in {len(reasons)} of {len(runs)} runs)" if len(runs) > 1 else "")


def _still_in(claim: Claim, stage: str, facts: Mapping[str, Moved]) -> str:
    paid = claim.moved
    if missing := sorted(({stage} | ({paid.stage} if paid else set())) - facts.keys()):
        return f"whether {' and '.join(missing)} moved was not recorded"
    reason = still(facts[stage])
    if paid and not reason:
        stage, stays = paid.stage, claim.expected in ("same", "no_lower", "no_higher")
        reason = idle(facts[stage], paid.reward, may_stay=stays)
    return reason and f"no movement shown in {stage}: {reason}"


def _weights(name: str) -> str:
    return about(name).trained or name


def _stage(measure: Measure) -> str:
    """The training stage whose effect is measured."""
    match measure:
        case Change(after=name) | Times(after=name) | Value(checkpoint=name):
            return _weights(name)
        case Rise(stage=name) | Lead(stage=name):
            return name


def _lacks(measure: Measure, run: Light) -> str:
    """What a measure needs and a run does not have."""
    match measure:
        case Rise(column, stage):
            return f"{stage} has no {column} after a phase of valid format"
        case Lead(column, over, stage):
            return f"{column} or {over} gains too little over the steps of {stage}"
        case Value(path, checkpoint):
            sides = [checkpoint]
        case Change(path, before, after) | Times(path, before, after):
            sides = [before, after]
    missing = [
        f"{side} ({about(side).override} makes it)" if about(side).override else side
        for side in sides
        if side not in run.summaries
    ]
    if missing:
        return f"there is no evaluation of {' and '.join(missing)}"
    needed = f"{metrics.label(path)} of {' or '.join(map(label_of, sides))}"
    if isinstance(measure, Times):
        return f"there is no ratio: {needed} is zero or was not measured"
    return f"{needed} was not measured"


ANY_SEED = 0.11
"""Upper bound on the probability of a false verdict if one run's is generalized to any seed: the
worst rate simulated in benchmarks/claims_procedure.py, for an effect at the margin judged
contradicted. For that run alone it is TAIL, one tail of the claim's interval."""


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
    if not isinstance(measure, Change) or about(measure.before).arm != "rl_equal_flops":
        return ""
    shares = flops_shares(measure.before, measure.after, [run.costs for run in runs])
    if not shares:
        return "what the two sides cost was not recorded"
    if are_equal(shares):
        return ""
    short = min(shares)
    spent = math.floor(1000 * short) / 10 if short < 1 else round(100 * max(shares))
    return f"RL ended after {spent:g} % of the other side's FLOPs"


def flops_shares(before: str, after: str, costs: Sequence[Costs]) -> list[float]:
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


def detectable(effects: Sequence[Estimate], smallest: float = 0.0) -> float:
    """The effect detected with probability POWER; NaN for fewer than three runs.

    effects: of each run. Computed by `statistics.power` from the observed deviation over seeds,
    which is unreliable for two.
    """
    if len(effects) < 3:
        return math.nan
    deviation = float(np.std([one.value for one in effects], ddof=1))
    half_width = float(np.nan_to_num([(one.high - one.low) / 2 for one in effects]).mean())
    if not deviation:
        return math.nan

    def lacks(effect: float) -> float:
        return power(effect, deviation, len(effects), smallest, half_width) - POWER

    most = smallest + 100 * (deviation + half_width)
    return float(brentq(lacks, 0.0, most, xtol=1e-6))


def _no_room(claim: Claim, runs: Sequence[Light]) -> bool:
    """Whether a share started so near 0 or 1 that it could not move against the claim."""
    measure = claim.measure
    if not isinstance(measure, Change) or measure.less or not metrics.measure(measure.path).share:
        return False
    before = [measured(run.summaries.get(measure.before, {}), measure.path, None) for run in runs]
    values = [one.value for one in before if one is not None]
    if not values:
        return False
    mean = float(np.mean(values))
    below, above = mean < claim.smallest, 1 - mean < claim.smallest
    # A claim of no fall needs a share above zero, a claim of no rise one below one.
    return {"no_lower": below, "no_higher": above, "same": below or above}.get(
        claim.expected, False
    )
