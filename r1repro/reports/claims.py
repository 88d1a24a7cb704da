"""The ledger of claims as a table and as claims.json."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from r1repro.evaluation import metrics
from r1repro.evaluation.claims import VERDICTS, Change, Judged, Lead, Measure, Rise, Sooner, Value
from r1repro.evaluation.statistics import Estimate
from r1repro.reports.figures import PANELS, checkpoint


def counts(judged: Sequence[Judged]) -> dict[str, int]:
    """How many claims have each verdict, all four named."""
    return {name: sum(one.verdict == name for one in judged) for name in VERDICTS}


def measured(measure: Measure) -> str:
    """What is measured, in words."""
    match measure:
        case Change(path, before, after, less):
            words = metrics.label(path) + (f" less {metrics.label(less)}" if less else "")
            return f"{words}; {_name(before)} → {_name(after)}"
        case Value(path, name, less):
            words = metrics.label(path) + (f" less {metrics.label(less)}" if less else "")
            return f"{words}; {_name(name)}"
        case Rise(column, stage):
            return f"{_column(column)} over the RL steps of {_name(stage)}, after the format phase"
        case Lead(column, over, stage):
            return (
                f"steps of {_name(stage)} by which {_column(column)} settles before {_column(over)}"
            )
        case Sooner(stage, than, reaching):
            return (
                f"steps fewer of {_name(stage)} than of {_name(than)} to {reaching:.0%} pass@1 "
                "on training prompts"
            )


def told(measure: Measure, effect: Estimate | None) -> str:
    """The effect with its interval and unit, or a dash."""
    match measure:
        case Change(path):
            return metrics.shown(effect, path, signed=True)
        case Value(path, _, less):
            return metrics.shown(effect, path, signed=less is not None)
        case Rise(column):
            return metrics.shown(effect, column, signed=True)
    if effect is None:
        return "–"
    interval = "" if math.isnan(effect.low) else f" [{effect.low:+.1f}, {effect.high:+.1f}]"
    return f"{effect.value:+.1f} steps{interval}".replace("-", "−")


def wanted(one: Judged) -> str:
    """What was declared: direction and the smallest effect that counts."""
    claim = one.claim
    if claim.measure is None:
        return ""
    path = claim.measure.path if isinstance(claim.measure, Change | Value) else ""
    share = bool(path) and metrics.measure(path).share
    size = f"{100 * claim.smallest:g} points" if share else f"{claim.smallest:g}"
    return {"up": f"at least +{size}", "down": f"at least −{size}", "same": f"within {size}"}[
        claim.expected
    ]


def as_data(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """What claims.json holds: a claim each, with the effect, every seed's own, and the verdict."""
    rows = []
    for one in judged:
        claim, effect = one.claim, one.effect
        row: dict[str, Any] = {"id": claim.id, "statement": claim.statement, "source": claim.source}
        if claim.measure is not None:
            row |= {
                "measure": {"kind": type(claim.measure).__name__.lower(), **asdict(claim.measure)},
                "expected": claim.expected,
                "smallest": claim.smallest,
                "paper": claim.paper,
            }
        row |= {
            "verdict": one.verdict,
            "effect": None if effect is None else _plain(effect),
            "seeds": [float(f"{value:.7g}") for value in one.seeds],
            "reason": one.reason,
        }
        rows.append(row)
    return rows


def _plain(effect: Estimate) -> dict[str, Any]:
    found = effect.as_dict()
    return {k: None if math.isnan(v) else float(f"{v:.7g}") for k, v in found.items()} | {
        "n": effect.n
    }


def _name(stage: str) -> str:
    return checkpoint(stage)[0]


def _column(column: str) -> str:
    known = metrics.MEASURES.get(column)
    return known.label.lower() if known else PANELS[column][0].lower()
