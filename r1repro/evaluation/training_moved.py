"""Did a training stage move? Claims about a stage that did not are not testable.

Muon and Adam normalize their updates, so weights move with the learning rate whatever the gradient
is. A stage has moved only if its weights did and, in addition, its training signal (RL reward or
SFT loss) or its policy (KL to the reference) changed.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from r1repro.evaluation.results import number, write_json

FILE = "moved.json"
"""In a training stage's result {"weights": relative change}; in a run's folder, see `write`."""
WEIGHTS = 1e-4
"""Minimum change relative to the norm of the initial weights. Rounding to bfloat16 changes it by
ten times as much: a relative error of at most 2^-9 / sqrt(3)."""
KL = 1e-3
"""Minimum k3 KL estimate in nats per token. At this KL a token's probability differs from the
reference's by at most sqrt(KL / 2) = 2.2 points (Pinsker), about the least effect that counts."""
NOISES = 2.0
"""Minimum change of a curve in standard errors; without a trend, one in twenty exceeds it."""
ROOM = 0.05
"""Minimum headroom of a reward in 0 to 1; above 1 - ROOM it can hardly rise or separate the answers
of a group."""
WINDOW = 5
"""Steps averaged for a curve's start and for the highest KL."""
LEAST = 10
"""Minimum steps of a curve; below, a fifth of it is a single step."""


@dataclass(frozen=True)
class Curve:
    """A metric over the steps that have a value.

    start: mean over the first WINDOW steps.
    change: mean of the last fifth minus mean of the first fifth.
    noise: standard error of that change, from differences of successive steps, which a trend hardly
        affects (von Neumann et al. 1941, Ann. Math. Stat. 12:153).
    """

    start: float
    change: float
    noise: float

    @property
    def shifted(self) -> bool:
        return abs(self.change) > NOISES * self.noise


@dataclass(frozen=True)
class Moved:
    """Measured changes of a stage; unknown values are NaN or, for curves, missing.

    weights: ||after - before|| / ||before||.
    learned: the curve that training optimizes, "reward" or "loss".
    kl: highest mean over WINDOW steps, in nats per token; the KL restarts from zero whenever the
        reference is replaced.
    curves: `learned`, and each reward by name; the preference reward over general prompts only.
    """

    weights: float
    learned: str
    kl: float
    curves: Mapping[str, Curve]


def facts(metrics: pd.DataFrame, weights: float = math.nan) -> Moved:
    """Changes of a stage from its metrics.parquet and the relative change of its weights."""
    learned = "reward" if "reward" in metrics else "loss"
    columns = {
        name.removeprefix("reward_"): name
        for name in metrics
        if name.startswith("reward_") and name != "reward_deviation"
    }
    # `reward_preference` is 0 on every reasoning prompt.
    columns |= {name: name for name in ("preference", learned) if name in metrics}
    found = ((name, curve(metrics[column])) for name, column in columns.items())
    kl = metrics["kl"].astype(float).rolling(WINDOW).mean().max() if "kl" in metrics else math.nan
    return Moved(weights, learned, float(kl), {n: one for n, one in found if one is not None})


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
    """Why a stage counts as not moved, with figures; "" if it moved."""
    learned = found.curves.get(found.learned)
    shifted = learned is not None and learned.shifted
    # An unknown weight change (NaN) does not count as unmoved.
    if not found.weights < WEIGHTS and (shifted or found.kl >= KL):
        return ""
    reasons = [] if math.isnan(found.weights) else [f"the weights by {100 * found.weights:.2g} %"]
    reasons.append(
        f"the {found.learned} was logged in fewer than {LEAST} steps"
        if learned is None
        else f"the {found.learned} by {_change(learned)}"
    )
    if not math.isnan(found.kl):
        reasons.append(f"KL to the reference reaches {found.kl:.1e} nats a token")
    return ", ".join(reasons)


def idle(found: Moved, reward: str, may_stay: bool = False) -> str:
    """Why a reward cannot have had an effect, with figures; "" if it can.

    may_stay: for claims that nothing gets worse, which a constant reward does not contradict.
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
    """Write {stage: facts} as JSON, with NaN as null."""
    plain = {name: asdict(one) for name, one in moved.items()}
    for one in plain.values():
        one |= {n: None if math.isnan(one[n]) else one[n] for n in ("weights", "kl")}
    write_json(path, plain)


def read(path: Path) -> dict[str, Moved]:
    """Read the output of `write`."""
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
    """The relative weight change in a training stage's result; NaN if there is none."""
    file = folder / FILE
    return float(json.loads(file.read_text("utf-8"))["weights"]) if file.is_file() else math.nan
