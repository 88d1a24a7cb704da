"""Did a training stage move? A claim on the effect of one that stood still is not testable.

Muon and Adam normalize their updates, so the weights move with the learning rate whatever the
gradient says. Hence a stage has moved only if its weights did, and beside them what it was trained
on (the reward of RL, the loss of fine-tuning) or the policy itself (KL to the reference).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from r1repro.artifacts import write_atomically

FILE = "moved.json"
"""In a training stage's result {"weights": relative change}; in a run's folder what `write` puts
there."""
WEIGHTS = 1e-4
"""Of the norm of the weights before. Rounding a model to bfloat16 changes it by ten times as much:
a relative error of 2^-9 / sqrt(3) at most."""
KL = 1e-3
"""Nats a token, the k3 estimate. By Pinsker's inequality a token's probability then differs from
the reference's by sqrt(KL / 2) at most, 2.2 points: about the smallest effect that counts."""
NOISES = 2.0
"""Standard errors by which a curve has to change: one in twenty that stands still does so."""
ROOM = 0.05
"""Of a reward in 0 to 1. Above 1 - ROOM almost every answer is paid in full, and next to nothing
is left that could rise or tell the answers of a group apart."""
WINDOW = 5
"""Steps over which a start, and the highest KL, is averaged."""
LEAST = 10
"""Steps below which a fifth of a curve is a single step, and nothing is said of it."""


@dataclass(frozen=True)
class Curve:
    """A curve over the steps in which it has values.

    start: its mean over the first WINDOW steps; change: the last fifth less the first; noise: the
    standard error of that change, by the differences of neighbouring steps, which a trend hardly
    touches (von Neumann et al. 1941, Ann. Math. Stat. 12:153).
    """

    start: float
    change: float
    noise: float

    @property
    def shifted(self) -> bool:
        return abs(self.change) > NOISES * self.noise


@dataclass(frozen=True)
class Moved:
    """What is known of a stage: weights and kl are NaN, and a curve is missing, where nothing is.

    weights: ||after - before|| / ||before||; learned: the curve that training follows, "reward" or
    "loss"; kl: the highest mean of WINDOW steps, in nats a token, since a reference that is
    replaced starts again from zero; curves: `learned`, and each reward by its name, the preference
    over the general prompts alone.
    """

    weights: float
    learned: str
    kl: float
    curves: Mapping[str, Curve]


def facts(metrics: pd.DataFrame, weights: float = math.nan) -> Moved:
    """Of metrics.parquet and the weights' relative change."""
    learned = "reward" if "reward" in metrics else "loss"
    columns = {
        name.removeprefix("reward_"): name
        for name in metrics
        if name.startswith("reward_") and name != "reward_deviation"
    }
    if "preference" in metrics:  # of which `reward_preference` is 0 for every reasoning prompt
        columns["preference"] = "preference"
    found = {name: curve(metrics[column]) for name, column in columns.items()}
    if learned in metrics:
        found[learned] = curve(metrics[learned])
    kl = math.nan
    if "kl" in metrics:
        kl = float(metrics["kl"].astype(float).rolling(WINDOW).mean().max())
    return Moved(weights, learned, kl, {n: one for n, one in found.items() if one is not None})


def curve(values: pd.Series) -> Curve | None:
    """The curve of a column; None if it has too few values."""
    kept = values.astype(float).dropna().to_numpy()
    if len(kept) < LEAST:
        return None
    part = len(kept) // 5
    step = math.sqrt(float(((kept[1:] - kept[:-1]) ** 2).mean()) / 2)
    change = float(kept[-part:].mean() - kept[:part].mean())
    return Curve(float(kept[:WINDOW].mean()), change, step * math.sqrt(2 / part))


def still(found: Moved) -> str:
    """Why a stage counts as not moved, with the figures; "" if it has moved."""
    learned = found.curves.get(found.learned)
    shifted = learned is not None and learned.shifted
    # Weights of which nothing is known do not count against it.
    if not found.weights < WEIGHTS and (shifted or found.kl >= KL):
        return ""
    told = [] if math.isnan(found.weights) else [f"the weights by {100 * found.weights:.2g} %"]
    if learned is not None:
        told.append(f"the {found.learned} by {_change(learned)}")
    if not math.isnan(found.kl):
        told.append(f"KL to the reference reaches {found.kl:.1e} nats a token")
    return ", ".join(told) or "too few steps to tell"


def idle(found: Moved, reward: str, may_stay: bool = False) -> str:
    """Why a reward cannot have had an effect, with the figures; "" if it can.

    may_stay: of a claim that nothing gets worse, which a reward that stands does not speak against.
    """
    one = found.curves.get(reward)
    if one is None:
        return f"the {reward} reward was paid in fewer than {LEAST} steps"
    if one.start > 1 - ROOM:
        return f"the {reward} reward stands at {one.start:.3f} of 1 in its first {WINDOW} steps"
    return "" if may_stay or one.shifted else f"the {reward} reward by {_change(one)}"


def _change(one: Curve) -> str:
    return f"{one.change:+.3g}, with a standard error of {one.noise:.2g}".replace("-", "−")


def write(path: Path, moved: Mapping[str, Moved]) -> None:
    """{stage: facts} as JSON, NaN as null."""
    plain = {name: asdict(one) for name, one in moved.items()}
    for one in plain.values():
        one |= {n: None if math.isnan(one[n]) else one[n] for n in ("weights", "kl")}
    write_atomically(path, json.dumps(plain, indent=1, allow_nan=False) + "\n")


def read(path: Path) -> dict[str, Moved]:
    """What `write` wrote."""

    def number(stored: float | None) -> float:
        return math.nan if stored is None else stored

    return {
        name: Moved(
            number(one["weights"]),
            one["learned"],
            number(one["kl"]),
            {key: Curve(**each) for key, each in one["curves"].items()},
        )
        for name, one in json.loads(path.read_text(encoding="utf-8")).items()
    }


def weights_of(folder: Path) -> float:
    """The relative change that a training stage left in its result; NaN where it left none."""
    file = folder / FILE
    return float(json.loads(file.read_text("utf-8"))["weights"]) if file.is_file() else math.nan
