"""Policies that RL keeps while it trains, for the held-out curve."""

from pathlib import Path

FOLDER = "snapshots"


def place(step: int) -> str:
    """The policy after `step`, relative to the stage's folder."""
    return f"{FOLDER}/step_{step}"


def of(folder: Path) -> dict[int, Path]:
    """The models that a stage kept, by step, in order."""
    kept = {
        int(p.name.removeprefix("step_")): p / "model" for p in (folder / FOLDER).glob("step_*")
    }
    return dict(sorted(kept.items()))
