"""Memory and disk of a long run: python -m tests.crash.endurance --steps 5000

R1-Zero at scale=smoke for so many steps. Prints by how many megabytes the runner and the stage grow
in 1,000 steps, by least squares with a 95 % interval from blocks of the samples, and the disk used;
exits with 1 if that is more than GROWTH or DISK.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from r1repro import artifacts
from r1repro.config import ROOT, compose
from r1repro.runner.workspace import Workspace

WARM = 0.3
"""Share of the steps before memory is compared: allocators and caches fill first."""
BLOCKS, DRAWS = 10, 2_000
GROWTH, DISK = {"runner": 0.5, "stage": 3.0}, 64.0
"""Megabytes in 1,000 steps that an interval must reach below, and of the work folder at most.

The stage holds its rows of metrics to the end, about a kilobyte a step."""


def resident(pid: int) -> float:
    """Megabytes of a process in memory; 0 if it has ended."""
    try:
        line = next(
            line
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("VmRSS")
        )
    except (OSError, StopIteration):
        return 0.0
    return int(line.split()[1]) / 1024


def grandchildren(pid: int) -> list[int]:
    """The forked stages of a runner: children of its children."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(place.name)] = int(fields[1])
    children = {one for one, parent in parents.items() if parent == pid}
    return [one for one, parent in parents.items() if parent in children]


def slope(points: list[tuple[float, float]]) -> tuple[float, float, float]:
    """Megabytes per 1,000 steps, and its interval: a bootstrap over blocks of neighbours."""
    table = np.array(points)
    blocks = np.array_split(table, BLOCKS)
    rng = np.random.default_rng(0)
    drawn = [np.concatenate([blocks[i] for i in rng.integers(0, BLOCKS, BLOCKS)])
             for _ in range(DRAWS)]  # fmt: skip
    fits = [1000 * np.polyfit(one[:, 0], one[:, 1], 1)[0] for one in drawn]
    return (1000 * float(np.polyfit(table[:, 0], table[:, 1], 1)[0]),
            *map(float, np.quantile(fits, [0.025, 0.975])))  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.endurance")
    parser.add_argument("--steps", type=int, default=5_000)
    steps = parser.parse_args().steps
    with tempfile.TemporaryDirectory() as made:
        settings = [
            "scale=smoke", f"runs={made}", f"stage.r1_zero.steps={steps}",
            "stage.r1_zero.max_completion_tokens=16", "stage.r1_zero.save_every=50",
            "stage.r1_zero.sample_every=500", "stage.r1_zero.snapshot_every=0",
        ]  # fmt: skip
        work = Workspace(compose(settings)).work("r1_zero")
        run = subprocess.Popen(
            [sys.executable, "-m", "r1repro.cli", "run", *settings, "--until", "r1_zero"],
            cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        seen: dict[str, list[tuple[float, float]]] = {"runner": [], "stage": []}
        disk = 0.0
        while run.poll() is None:
            time.sleep(1)
            lines = artifacts.read_progress(work)
            stages = [(resident(pid), pid) for pid in grandchildren(run.pid)]
            if not lines or not stages or lines[-1]["step"] < WARM * steps:
                continue
            step = float(lines[-1]["step"])
            seen["runner"].append((step, resident(run.pid)))
            seen["stage"].append((step, max(stages)[0]))
            files = [file.stat().st_size for file in work.rglob("*") if file.is_file()]
            disk = max(disk, sum(files) / 2**20)
        grown = False
        for name, points in seen.items():
            value, low, high = slope(points)
            grown |= low > GROWTH[name]
            print(
                f"{name}: {value:+.2f} [{low:+.2f}, {high:+.2f}] MB in 1,000 steps, "
                f"{points[0][1]:.0f} to {points[-1][1]:.0f} MB, {len(points)} samples"
            )
        print(f"work folder: at most {disk:.1f} MB")
        return run.returncode or int(grown or disk > DISK)


if __name__ == "__main__":
    raise SystemExit(main())
