"""The joint report of several seeds, from small files of their runs or published versions."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro import artifacts, code_marks, notebook_parameters
from r1repro.config import ROOT, SEEDS
from r1repro.errors import R1ReproError
from r1repro.evaluation import (
    arms,
    claims,
    held_out,
    metrics,
    per_problem,
    statistics,
    training_moved,
)
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.results import Results, flat, read_costs, read_plain, read_results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import RESOLVED, drawing, figures, held_out_curve, report
from r1repro.reports.files import reading
from r1repro.reports.report import CURVES, RIGHT, TAKEN_BACK, Execute, Report, write
from r1repro.runner.sequence import LAB_ARTICLE

ARTICLE = "seeds"
"""The notebook that is the report of several runs."""


def join(folders: Sequence[Path], target: Path, execute: Execute) -> Path:
    """Write the report of several finished runs; returns report.html. Raises as `read` does."""
    runs, told = _runs(folders), read(folders)
    first, _ = runs[0]
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(first / RESOLVED, target / RESOLVED)
    curves = [
        table.assign(stage=stage, seed=run.seed)
        for _, run in runs
        for stage, table in run.curves.items()
    ]
    pd.concat(curves).to_parquet(target / CURVES, index=False)
    shutil.rmtree(target / "notebooks", ignore_errors=True)
    if (first / "notebooks").is_dir():  # of the first seed alone
        shutil.copytree(first / "notebooks", target / "notebooks")
    of_lab = report.lab_of(told.manifest) != "none"
    if of_lab:
        per_problem.write_counts(target / RIGHT, _right(runs))
    else:
        drawing.save(figures.seeds(told.r1_zero, told.by_seed), target / "figures" / "headline")
    given = {"runs": [str(folder) for folder in folders]}
    return write(target, told, partial(execute, LAB_ARTICLE if of_lab else ARTICLE, target, given))


def _right(runs: Sequence[tuple[Path, Report]]) -> pd.DataFrame:
    """The counts of every run's right.parquet, side by side."""
    asked = ["task", "level"]
    parts: list[pd.DataFrame] = []
    for folder, run in runs:
        found = pd.read_parquet(folder / RIGHT)
        own = found.drop(columns=asked)
        own.columns = own.columns.str.replace("^[^:]+", of(r"\g<0>", run.seed), regex=True)
        parts += [own] if parts else [found[asked], own]
    return pd.concat(parts, axis=1)


def read(folders: Sequence[str | Path]) -> Report:
    """The report of several finished runs; for its intervals see statistics.over_seeds.

    Raises R1ReproError if there are fewer than two runs, one is unfinished, two have the same
    seeds, only some share a base, or they differ in more than seeds.
    """
    runs = [run for _, run in _runs(_typed(folders))]
    first, lights = runs[0], [run.light for run in runs]
    chosen = report.lab_of(first.manifest)
    summaries = _within(over_seeds([run.summaries for run in runs]))
    changes = _within(over_seeds([run.changes for run in runs]), -1.0)
    reflection: dict[str, float] = {}
    for run in runs:
        reflection |= {of(group, run.seed): p for group, p in run.held_out.reflection.items()}
        if chosen != "none":  # a report of the lab also has every run's own
            summaries |= {of(name, run.seed): one for name, one in run.summaries.items()}
            own = {of(name, run.seed): one[arms.PASS] for name, one in run.changes.items()}
            changes |= {name: {arms.PASS: change} for name, change in own.items()}
    curves = {  # averaged over the runs at every step
        stage: pd.concat([run.curves[stage] for run in runs])
        .groupby("step", as_index=False)
        .mean(numeric_only=True)
        for stage in first.curves
        if all(stage in run.curves for run in runs)
    }
    return Report(
        _manifest(runs),
        None,
        HeldOut(summaries, changes, reflection, first.held_out.answers, _shared_ways(runs)),
        curves,
        *claims.ledger(lights, first.manifest["scale"], arms.claims_on(chosen, lights)),
        costs=[run.costs[0] for run in runs],
        taken_back=pd.concat([run.taken_back.assign(seed=run.seed) for run in runs]),
        over_training=_within(over_seeds([run.over_training for run in runs])),
        by_seed={run.seed: run.summaries for run in runs},
        r1_zero={run.seed: run.curves["r1_zero"] for run in runs if "r1_zero" in run.curves},
    )


def _typed(folders: Sequence[str | Path]) -> Sequence[str | Path]:
    """The folders, which are a string if papermill's -p gave them."""
    notebook_parameters.check_names()
    if not isinstance(folders, str):
        return folders
    return notebook_parameters.texts("runs", folders, 'run folders, such as -y "runs: [A, B]"')


def of(name: str, run: str) -> str:
    """The name of a checkpoint, difference or group of answers of one of several runs."""
    return f"{name} of {run}"


def _runs(folders: Sequence[str | Path]) -> list[tuple[Path, Report]]:
    """The folders and their runs in the order of the seeds."""
    runs = [(Path(folder), _read(Path(folder))) for folder in folders]
    if len(runs) < 2:
        raise R1ReproError("a joint report needs at least two runs: give seeds, such as seed=0,1,2")
    first = runs[0]
    for folder, other in runs[1:]:
        _require_alike(f"{first[0].name} and {folder.name}", first[1].manifest, other.manifest)
    names = [run.seed for _, run in runs]
    if len({*names}) < len(names):
        told = "; ".join(names)
        raise R1ReproError(f"the runs have the same seeds twice ({told}): give each once")
    bases = [run.manifest["seeds"]["base_seed"] for _, run in runs]
    if 1 < len(set(bases)) < len(bases):
        raise R1ReproError(
            f"the runs have base seeds {', '.join(map(str, bases))}, and runs that share a base "
            "are not independent: give all one base, or one each"
        )
    return sorted(
        runs, key=lambda run: [run[1].manifest["seeds"][n] for n in ("base_seed", "seed")]
    )


def over_seeds(runs: Sequence[Results]) -> dict[str, dict[str, Estimate]]:
    """The mean over seeds of the measures that all runs have."""
    found: dict[str, dict[str, Estimate]] = {}
    for name in (n for n in runs[0] if all(n in run for run in runs)):
        found[name] = {}
        for path in (p for p in runs[0][name] if all(p in run[name] for run in runs)):
            each = [run[name][path] for run in runs]
            if not any(math.isnan(one.value) for one in each):
                mean = statistics.over_seeds(each)
                found[name][path] = replace(mean, each=tuple(one.value for one in each))
    return found


def _within(summaries: Results, least: float = 0.0) -> dict[str, Mapping[str, Estimate]]:
    """Clip intervals to what is possible, which Student's t may exceed.

    Shares are within [least, 1]; lengths and counts are at least 0, and their changes unbounded.
    Only a clipped estimate keeps the values of the seeds.
    """

    def clipped(path: str, found: Estimate) -> Estimate:
        lowest, highest = -math.inf, math.inf
        if metrics.measure(path).share:
            gain = path.rsplit("/", 1)[-1].startswith("vote_gain")
            lowest, highest = -1.0 if gain else least, 1.0
        elif not least:
            lowest = 0.0
        if math.isnan(found.low) or lowest <= found.low and found.high <= highest:
            return replace(found, each=())
        return replace(found, low=max(lowest, found.low), high=min(highest, found.high))

    return {
        name: {path: clipped(path, one) for path, one in each.items()}
        for name, each in summaries.items()
    }


def _read(folder: Path) -> Report:
    """The report of one run or version, without its claims."""
    wanted = "folders of finished runs under runs/, or of versions with their curves in reports/"
    with reading(folder, wanted):
        manifest = read_plain(folder / "manifest.json")
        if "runs" in manifest:
            raise R1ReproError(f"{folder} is a joint report already: give {wanted}")
        curves = artifacts.renamed(pd.read_parquet(folder / CURVES)).groupby("stage")
        curve = folder / held_out_curve.FILE
        told = Report(
            manifest,
            None,
            held_out.read(folder),
            {str(stage): rows.drop(columns="stage") for stage, rows in curves},
            costs=[read_costs(folder)],
            taken_back=pd.read_parquet(folder / TAKEN_BACK),
            moved=training_moved.read(folder / training_moved.FILE),
            over_training=read_results(curve) if curve.is_file() else {},
        )
        if not manifest["finished"]:
            raise R1ReproError(
                f"the run {folder} is not finished: run it again with the same settings, which "
                "resumes it, or leave it out"
            )
    return told


def _shared_ways(runs: Sequence[Report]) -> dict[str, Mapping[str, Any]]:
    """The best prompts of the base, joined by "or" where they differ between bases."""
    shared: dict[str, Mapping[str, Any]] = {}
    for family, first in runs[0].held_out.ways.items():
        ways = [run.held_out.ways.get(family, {}) for run in runs]
        named = " or ".join(dict.fromkeys(str(way.get("way")) for way in ways))
        same = all(way == first for way in ways)
        shared[family] = first if same else {"way": named, "temperature": None}
    return shared


def _require_alike(both: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Raise R1ReproError if two manifests differ in more than seeds; both: names of their runs."""
    first, second = (
        flat(manifest["config"])
        | {f"version of {n}": stage["version"] for n, stage in manifest["stages"].items()}
        for manifest in (one, other)
    )
    if one.get("until") != other.get("until"):
        raise R1ReproError(
            f"{both} end with different stages: run both with the same --until STAGE, or without"
        )
    for key in sorted(first.keys() | second.keys()):
        if key not in SEEDS and first.get(key) != second.get(key):
            raise R1ReproError(
                f"{both} differ in {key} ({first.get(key)} and {second.get(key)}): join only runs "
                "that differ in nothing but seeds"
            )


def _manifest(runs: Sequence[Report]) -> dict[str, Any]:
    first, entries = runs[0].manifest, []
    seeds = [run.manifest["seeds"] for run in runs]
    for run in runs:
        kept = ("run", "seeds", "git", "code", "versions", "hardware", "wall")
        entry = {name: run.manifest[name] for name in kept}
        usual = {name: entry[name] for name in ("hardware", "versions")}
        entry["stages"] = {  # hardware and versions only where they are not the run's
            name: {key: value for key, value in stage.items() if usual.get(key, ...) != value}
            for name, stage in run.manifest["stages"].items()
        }
        entries.append(entry)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "until": first.get("until"),
        "finished": True,
        "scale": first["scale"],
        "task": first["task"],
        "seeds": {name: [each[name] for each in seeds] for name in seeds[0]},
        "git": code_marks.git_state(ROOT),
        "code": code_marks.everything(),
        "config": {k: v for k, v in first["config"].items() if k not in SEEDS},
        "versions": first["versions"],
        "hardware": first["hardware"],
        "runs": entries,
    }
