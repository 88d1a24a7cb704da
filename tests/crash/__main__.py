"""Kills whole runs at random moments and compares their results with those of an undisturbed run.

python -m tests.crash --kills 60 [--each 6] [--seed 0] [settings ...]

Every sequence is killed `each` times, each time in a later part of the run where that is possible,
and resumed by the same command. All weights, and all tables without their timings, must be those
of the run that was never killed. Of sixty kills or more, each moment has at least five.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from r1repro import artifacts
from r1repro.config import ROOT
from tests.crash.trap import SETTING

TIMED = ("seconds", "tokens_per_s")
"""Columns that begin with these hold times."""
COUNTS = {
    "pretraining": 30, "rollout": 6, "update": 10, "checkpoint": 6, "renaming": 8,
    "evaluation": 500, "notebook": 5, "report": 3,
}  # fmt: skip
"""The latest occurrence of a moment at which a run is killed."""
TARGETS = ("stage", "runner", "all")
TARGETS_IN_RUNNER = {"notebook": ("kernel", "runner"), "report": ("runner",)}
FEWEST = 5
"""Kills of each moment that sixty or more must have."""
GUARD = ROOT / "tests" / "crash" / "guard"


def execute(settings: Sequence[str], chosen: dict[str, object] | None) -> tuple[int, str]:
    """One `r1repro run` without a network; returns its exit code and output."""
    environment = os.environ | {"PYTHONPATH": f"{GUARD}{os.pathsep}{ROOT}"}
    environment.pop(SETTING, None)
    if chosen is not None:
        environment[SETTING] = json.dumps(chosen)
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash.runner", "run", *settings], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1800,
    )  # fmt: skip
    return done.returncode, done.stdout


def results(runs: Path) -> dict[str, str]:
    """What must not depend on kills, by stage and file: a hash of each file or table."""
    found = {}
    for file in sorted((runs / "cache").rglob("*")):
        name = file.relative_to(runs / "cache").as_posix()
        if file.suffix == ".safetensors":
            found[name] = artifacts.sha256(file)
        elif file.suffix == ".parquet":
            table = pd.read_parquet(file)
            kept = [c for c in table if not str(c).startswith(TIMED)]
            found[name] = artifacts.digest(table[kept].to_json(orient="split"))
    return found


@dataclass(frozen=True)
class Kill:
    """A kill of `target` at the `count`th occurrence of `moment`; see trap.py."""

    moment: str
    count: int
    target: str

    @classmethod
    def at_random(cls, moment: str, rng: random.Random) -> "Kill":
        targets = TARGETS_IN_RUNNER.get(moment, TARGETS)
        return cls(moment, rng.randint(1, COUNTS[moment]), rng.choice(targets))


def disturbed(settings: Sequence[str], kills: Sequence[Kill], traps: Path) -> list[Kill]:
    """Run to the end through these kills, as far as their moments occur; returns those.

    Raises RuntimeError if a run ends otherwise than by its trap.
    """
    made = []
    for number, kill in enumerate(kills):
        folder = traps / f"{number}"
        folder.mkdir(parents=True)
        code, said = execute(settings, asdict(kill) | {"folder": str(folder)})
        sprung = (folder / "sprung").exists()
        if sprung == (code == 0):
            raise RuntimeError(f"{kill}, {'sprung' if sprung else 'not sprung'}, {code}: {said}")
        if sprung:
            made.append(kill)
    code, said = execute(settings, None)
    if code != 0:
        raise RuntimeError(f"after {made} it ended with {code}: {said}")
    return made


def differences(straight: dict[str, str], broken: dict[str, str]) -> list[str]:
    """Names of files that differ or are on one side only."""
    return sorted(n for n in {*straight, *broken} if straight.get(n) != broken.get(n))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.crash")
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--each", type=int, default=6, help="kills of a sequence")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("settings", nargs="*")
    args = parser.parse_args()
    rng, began = random.Random(args.seed), time.monotonic()
    tally = dict.fromkeys(COUNTS, 0)
    with tempfile.TemporaryDirectory() as made:
        place = Path(made)
        code, said = execute(["scale=smoke", f"runs={place / 'straight'}", *args.settings], None)
        if code != 0:
            print(said)
            return 1
        straight, wrong = results(place / "straight"), 0
        print(f"undisturbed: {len(straight)} files, {time.monotonic() - began:.0f} s", flush=True)
        sequence = 0
        least = FEWEST if args.kills >= 60 else 0
        while sum(tally.values()) < args.kills or min(tally.values()) < least:
            sequence += 1
            runs = place / f"broken-{sequence}"
            # Those that have been killed in least come first, in the order of a run.
            rare = sorted(COUNTS, key=lambda moment: (tally[moment], rng.random()))[: args.each]
            wanted = [Kill.at_random(moment, rng) for moment in COUNTS if moment in rare]
            settings = ["scale=smoke", f"runs={runs}", *args.settings]
            kills = disturbed(settings, wanted, place / f"traps-{sequence}")
            for kill in kills:
                tally[kill.moment] += 1
            found = differences(straight, results(runs))
            wrong += bool(found)
            print(
                f"sequence {sequence}: {', '.join(f'{k.target} in {k.moment}' for k in kills)}; "
                f"{'equal' if not found else f'DIFFERENT: {found}'}; "
                f"{time.monotonic() - began:.0f} s",
                flush=True,
            )
    print(f"{sum(tally.values())} kills in {sequence} sequences, {wrong} different: {tally}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
