"""The ledger of claims in words and as claims.json."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import label_of
from r1repro.evaluation.claim_definitions import Change, Claim, Lead, Measure, Rise, Times, Value
from r1repro.evaluation.claims import (
    ANY_SEED,
    TAIL,
    VERDICTS,
    Judged,
    expected_false,
    exposed,
)
from r1repro.evaluation.statistics import Estimate


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """The number of the papers' claims, without our own questions, with each verdict."""
    theirs = [one for one in judged if not one.claim.ours]
    return {name: sum(one.verdict == name for one in theirs) for name in VERDICTS}


def false_verdicts(judged: Sequence[Judged], several: bool) -> str:
    """The expected number of false verdicts in a sentence; several: whether of several seeds."""
    told = (
        "A verdict can be false by chance only if one end of its 95 % interval lies beyond the "
        f"truth, at most {100 * TAIL:g} % each: of the {exposed(judged)} claims judged by an "
        f"interval, ours among them, at most {expected_false(judged):.1f} verdicts are expected "
        "to be false"
    )
    if several:
        return f"{told}."
    return (
        f"{told}. That holds for this run; for any seed, which no interval over problems covers, "
        f"it is {expected_false(judged, ANY_SEED):.1f}, by the simulated {100 * ANY_SEED:g} % each."
    )


def control(judged: Sequence[Judged]) -> str:
    """The result of the permuted-reward control in sentences; "" if it did not run."""
    if not judged:
        return ""
    first = judged[0]
    assert first.claim.measure is not None
    if first.effect is None or first.verdict == "not testable":
        return f"The control does not test “{first.claim.statement}”: {first.reason}."
    meant = "as it should be"
    if first.verdict == "reproduced":
        meant = "which should not happen: the procedure or the control is broken"
    rest = "None of the other claims on the effect of RL on the base is reproduced there."
    if others := [one.claim.statement for one in judged[1:] if one.verdict == "reproduced"]:
        rest = (
            "Other claims on the effect of RL on the base are reproduced there too, and are no "
            f"evidence of an effect of the reward: {' '.join(others)}"
        )
    return (
        "The control: with the rewards of every group permuted, the same stage changes pass@1 by "
        f"{told(first.claim.measure, first.effect)}, and the claim “{first.claim.statement}” would "
        f"be {first.verdict}, {meant}. {rest}"
    )


def measured(measure: Measure) -> str:
    """A measure in words."""
    match measure:
        case Change(path, before, after, less):
            return f"{_less(path, less)}; {label_of(before)} → {label_of(after)}"
        case Value(path, name, less):
            return f"{_less(path, less)}; {label_of(name)}"
        case Rise(column, stage):
            over = f"over the RL steps of {label_of(stage)}, after the format phase"
            return f"{_column(column)} {over}"
        case Lead(column, over, stage):
            settles = f"{_column(column)} settles before {_column(over)}"
            return f"steps of {label_of(stage)} by which {settles}"
        case Times(path, before, after):
            return f"{metrics.label(path)}; {label_of(after)} as a multiple of {label_of(before)}"


def _less(path: str, less: str | None) -> str:
    return metrics.label(path) + (f" less {metrics.label(less)}" if less else "")


def told(measure: Measure, effect: Estimate | None) -> str:
    """The effect with its interval and unit, or a dash."""
    match measure:
        case Change(path) | Rise(path):
            return metrics.shown(effect, path, signed=True)
        case Value(path, _, less):
            return metrics.shown(effect, path, signed=less is not None or "vote_gain@" in path)
        case Times() if effect is not None:
            interval = f"[{2**effect.low:.2f}, {2**effect.high:.2f}]{metrics.few(effect)}"
            return f"× {2**effect.value:.2f} {interval}"
        case Lead() if effect is not None:
            interval = "" if math.isnan(effect.low) else f" [{effect.low:+.0f}, {effect.high:+.0f}]"
            return f"{effect.value:+.0f} steps{interval}".replace("-", "−")
    return "–"


def wanted(claim: Claim) -> str:
    """The declared direction and smallest effect that counts."""
    if claim.measure is None:
        return ""
    size = _size(claim.measure, claim.smallest)
    if isinstance(claim.measure, Times):
        return f"at least {size}"
    return {
        "up": f"at least +{size}",
        "down": f"a fall of at least {size}",
        "same": f"within ±{size}",
        "no_lower": f"not lower by {size} or more",
        "no_higher": f"not higher by {size} or more",
    }[claim.expected]


def findable(one: Judged) -> str:
    """The effect size that would be detected four times in five, if the claim is undecided."""
    undecided = one.verdict == "inconclusive" and not math.isnan(one.found_from)
    if one.claim.measure is None or not undecided:
        return ""
    size = _size(one.claim.measure, one.found_from)
    return f"an effect of {size} would be found four times in five"


def _size(measure: Measure, effect: float) -> str:
    match measure:
        case Times():
            return f"× {2**effect:.3g}"
        case Lead():
            return f"{effect:.3g} steps"
        case Change(path) | Value(path) | Rise(path):
            if metrics.measure(path).share:
                points = f"{100 * effect:.3g}"
                return f"{points} point{'' if points == '1' else 's'}"
            return f"{effect:.3g}" + (" tokens" if "length" in path.rsplit("/", 1)[-1] else "")


def as_data(judged: Sequence[Judged], control: Sequence[Judged] = ()) -> list[dict[str, Any]]:
    """Content of claims.json; claims judged on the control come last, with "control" true."""
    rows = []
    for one in (*judged, *control):
        claim, effect = one.claim, one.effect
        row: dict[str, Any] = {"id": claim.id, "statement": claim.statement, "source": claim.source}
        row |= {"ours": claim.ours, "control": one in control}
        if claim.tuned:
            row["tuned"] = claim.tuned
        if claim.moved is not None:
            row["moved"] = asdict(claim.moved)
        if claim.measure is not None:
            row |= {
                "measure": {"kind": type(claim.measure).__name__.lower(), **asdict(claim.measure)},
                "expected": claim.expected,
                "smallest": claim.smallest,
                "paper": claim.paper,
            }
        row["verdict"], row["effect"] = one.verdict, None
        if effect is not None:
            ends = {name: _number(getattr(effect, name)) for name in ("value", "low", "high")}
            row["effect"] = ends | {"n": effect.n}
        row |= {"seeds": [_number(value) for value in one.seeds], "reason": one.reason}
        if not math.isnan(one.found_from):
            row["found_4_in_5_from"] = _number(one.found_from)
        rows.append(row)
    return rows


def _number(value: float) -> float | None:
    """A value for JSON, to seven digits."""
    return None if math.isnan(value) else float(f"{value:.7g}")


def _column(column: str) -> str:
    return metrics.MEASURES[column].label.lower()
