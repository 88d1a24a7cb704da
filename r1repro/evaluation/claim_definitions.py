"""The papers' claims as declared in conf/claims.yaml."""

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from r1repro.config import LABS, ROOT
from r1repro.errors import R1ReproError

FILE = ROOT / "conf" / "claims.yaml"
LAB = ROOT / "conf" / "lab_claims.yaml"
"""Claims on arms of the lab, which have `lab`; in a measure an arm has the name of its method."""
EXPECTED = ("up", "down", "same", "no_lower", "no_higher")


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
# The keys of a measure in claims.yaml, in the order of the dataclass fields; the first names it.
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
    lab: the notebook of the lab whose arms are measured; "" for the stages.
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
    lab: str = ""


def load(path: Path = FILE) -> list[Claim]:
    """The declared claims. Raises R1ReproError, naming claim and key, if one is malformed."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    claims = [
        _claim(entry, f"{path.name}, {entry.get('id', 'a claim without id')}") for entry in entries
    ]
    ids = [claim.id for claim in claims]
    if doubled := {name for name in ids if ids.count(name) > 1}:
        raise R1ReproError(
            f"{path.name} has {', '.join(sorted(doubled))} more than once; use unique ids"
        )
    return claims


def _claim(entry: dict[str, Any], where: str) -> Claim:
    wanted = {"id", "statement", "source"}
    if "not_yet" not in entry:
        wanted |= {"paper", "measure", "expected", "smallest"}
    if entry.keys() - {f.name for f in fields(Claim)} or wanted - entry.keys():
        raise R1ReproError(
            f"{where}: has {', '.join(entry)}; required are {', '.join(sorted(wanted))}"
        )
    if "not_yet" in entry:
        return Claim(**entry)
    if entry["expected"] not in EXPECTED or not entry["smallest"] > 0:
        raise R1ReproError(
            f"{where}: expected must be one of {', '.join(EXPECTED)} and smallest above 0, not "
            f"{entry['expected']!r} and {entry['smallest']!r}"
        )
    if "lab" in entry and entry["lab"] not in LABS:
        raise R1ReproError(f"{where}: lab must be one of {', '.join(LABS)}, not {entry['lab']!r}")
    paid = entry.get("moved")
    if "moved" in entry and (not isinstance(paid, dict) or paid.keys() != {"stage", "reward"}):
        raise R1ReproError(f"{where}: moved must be {{stage: STAGE, reward: REWARD}}, not {paid}")
    if paid is not None and paid["reward"] not in REWARDS:
        raise R1ReproError(
            f"{where}: reward must be one of {', '.join(REWARDS)}, not {paid['reward']!r}"
        )
    made = {"measure": _measure(entry["measure"], where), "moved": paid and Paid(**paid)}
    return Claim(**entry | made)


def _measure(entry: dict[str, Any], where: str) -> Measure:
    form, keys = _FORMS.get(next(iter(entry), ""), (None, ()))
    if form is None or entry.keys() - set(keys) or set(keys) - {"less"} - entry.keys():
        accepted = "; ".join(", ".join(keys) for _, keys in _FORMS.values())
        raise R1ReproError(
            f"{where}: measure has {', '.join(entry)}; use one of {accepted} (less is optional)"
        )
    measure: Measure = form(*(entry[key] for key in keys if key in entry))
    return measure
