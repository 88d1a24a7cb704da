"""One report of several seeds, from the light results of their runs."""

import hashlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro import artifacts
from r1repro.config import ROOT, SEEDS
from r1repro.errors import R1ReproError
from r1repro.evaluation import claims, statistics
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import figures, html
from r1repro.reports.claims import as_data
from r1repro.reports.files import (
    Results,
    flat,
    read_results,
    write_figure,
    write_json,
    write_results,
)
from r1repro.reports.publish import RESOLVED
from r1repro.reports.report import CURVES, FILES, git_state


@dataclass(frozen=True)
class SeedRun:
    """What is read of one run: its manifest, its estimates, and metrics by RL stage."""

    folder: Path
    manifest: Mapping[str, Any]
    light: claims.Light

    @property
    def name(self) -> str:
        seeds = self.manifest["seeds"]
        return f"seed {seeds['seed']}, base seed {seeds['base_seed']}"


def join(folders: Sequence[Path], target: Path) -> Path:
    """Write the report of several finished runs into `target`; returns its report.html.

    Intervals: statistics.over_seeds. Raises R1ReproError if there are fewer than two runs, one is
    not finished, two have the same seeds, some share a base and others not, or they differ in more
    than seeds (naming the key).
    """
    runs = [_read(folder) for folder in folders]
    if len(runs) < 2:
        raise R1ReproError("one report of several seeds needs at least two runs: seed=0,1,2")
    for other in runs[1:]:
        _require_alike(runs[0], other)
    if len({run.name for run in runs}) < len(runs):
        told = "; ".join(run.name for run in runs)
        raise R1ReproError(f"the runs have the same seeds twice ({told}): give each once")
    bases = [run.manifest["seeds"]["base_seed"] for run in runs]
    if 1 < len(set(bases)) < len(bases):
        raise R1ReproError(
            f"the runs have base seeds {', '.join(map(str, bases))}, and what shares a base is not "
            "independent: give them one base, or one each"
        )
    runs = sorted(runs, key=lambda run: (run.manifest["seeds"]["base_seed"],
                                         run.manifest["seeds"]["seed"]))  # fmt: skip
    summaries = over_seeds([run.light.summaries for run in runs])
    changes = over_seeds([run.light.changes for run in runs])
    lights, declared = [run.light for run in runs], claims.load()
    judged, control = claims.judge(declared, lights), claims.control(declared, lights)
    manifest = _manifest(target, runs)
    curves = {run.name: run.light.tables["r1_zero"] for run in runs}
    by_seed = {run.name: run.light.summaries for run in runs}
    drawn = figures.seeds(curves, by_seed)
    page = html.seeds_page(manifest, by_seed, summaries, changes, judged, control, drawn)
    target.mkdir(parents=True, exist_ok=True)
    (target / "manifest.json").unlink(missing_ok=True)
    artifacts.write_atomically(target / "report.html", page)
    write_results(target / "results.json", summaries)
    write_results(target / "differences.json", changes)
    write_json(target / "claims.json", as_data(judged, control))
    shutil.copyfile(runs[0].folder / RESOLVED, target / RESOLVED)
    pd.concat(
        [
            table.assign(stage=stage, seed=run.name)
            for run in runs
            for stage, table in run.light.tables.items()
        ]
    ).to_parquet(target / CURVES, index=False)
    write_figure(drawn, target / "figures" / "seeds")
    manifest["files"] = {
        name: hashlib.sha256((target / name).read_bytes()).hexdigest() for name in FILES
    }
    write_json(target / "manifest.json", manifest)
    return target / "report.html"


def over_seeds(runs: Sequence[Results]) -> dict[str, dict[str, Estimate]]:
    """The mean over seeds of everything that all runs have; see statistics.over_seeds."""
    found: dict[str, dict[str, Estimate]] = {}
    for name in (n for n in runs[0] if all(n in run for run in runs)):
        found[name] = {}
        for path in (p for p in runs[0][name] if all(p in run[name] for run in runs)):
            each = [run[name][path] for run in runs]
            if not any(math.isnan(one.value) for one in each):
                found[name][path] = statistics.over_seeds(each)
    return found


def _read(folder: Path) -> SeedRun:
    advice = "let `r1repro run` finish it first"
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        curves = pd.read_parquet(folder / CURVES)
        light = claims.Light(
            read_results(folder / "results.json"),
            read_results(folder / "differences.json"),
            {str(stage): rows.drop(columns="stage") for stage, rows in curves.groupby("stage")},
        )
    except (OSError, ValueError) as error:
        raise R1ReproError(f"the run {folder} cannot be read ({error}): {advice}") from error
    if not manifest["finished"]:
        raise R1ReproError(f"the run {folder} is not finished: {advice}")
    return SeedRun(folder, manifest, light)


def _require_alike(one: SeedRun, other: SeedRun) -> None:
    first, second = (
        flat(run.manifest["config"])
        | {f"version of {n}": stage["version"] for n, stage in run.manifest["stages"].items()}
        for run in (one, other)
    )
    for key in sorted(first.keys() | second.keys()):
        if key not in SEEDS and first.get(key) != second.get(key):
            raise R1ReproError(
                f"{one.folder.name} and {other.folder.name} differ in {key} "
                f"({first.get(key)} and {second.get(key)}): "
                "only runs that differ in nothing but seeds are joined"
            )


def _manifest(target: Path, runs: Sequence[SeedRun]) -> dict[str, Any]:
    first = runs[0].manifest
    seeds = [run.manifest["seeds"] for run in runs]
    return {
        "run": target.name,
        "hash": target.name.rsplit("-", 1)[-1],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "finished": True,
        "scale": first["scale"],
        "task": first["task"],
        "seeds": {name: [each[name] for each in seeds] for name in seeds[0]},
        "git": git_state(ROOT),
        "code": artifacts.code_hash(),
        "claims": hashlib.sha256(claims.FILE.read_bytes()).hexdigest(),
        "config": {k: v for k, v in first["config"].items() if k not in SEEDS},
        "versions": first["versions"],
        "hardware": first["hardware"],
        "runs": [
            {
                name: run.manifest[name]
                for name in (
                    "run",
                    "seeds",
                    "git",
                    "code",
                    "versions",
                    "hardware",
                    "wall",
                    "stages",
                )
            }
            for run in runs
        ],
    }
