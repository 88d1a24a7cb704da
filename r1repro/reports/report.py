"""The report of one run, from its stored results."""

import hashlib
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow import parquet

from r1repro import artifacts
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, Config, ModelConfig, values
from r1repro.evaluation import claims, doctor, held_out, moved
from r1repro.evaluation.checkpoints import ABLATIONS, ARMS, CHAIN, FORCED, RFT, STUDENTS, WAYS
from r1repro.evaluation.doctor import Finding
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.results import COSTS, Costs, read_costs, write_json
from r1repro.reports import aha, figures, html
from r1repro.reports.claims import as_data
from r1repro.reports.files import write_figure
from r1repro.tasks import asking, worlds

FILES = ("report.html", "results.json", "differences.json", "claims.json")
CURVES = "curves.parquet"
"""Metrics of every RL stage of a run, by column `stage`; read when seeds are joined."""
TAKEN_BACK = "taken_back.parquet"
"""Rows of aha.firsts; for several seeds with a column `seed`."""
STAGES = (
    "base",
    "r1_zero",
    "dev2",
    "r1",
    *(f"evaluate_{name}" for name in ("base", *WAYS, *CHAIN)),
    *(f"evaluate_{student}_{arm}" for student in STUDENTS for arm in ARMS),
    "comparison",
)
"""Stages that a finished report needs, besides the ablations that are switched on."""


def build(
    run_folder: Path,
    results: Mapping[str, StageResult],
    config: Config,
    wall: Mapping[str, float],
    until: str | None = None,
) -> Path:
    """Write report.html, its data, figures/ and manifest.json of a run; returns report.html.

    results: finished stages by name; wall: seconds by name; until: the stage that the run was to
    end with, None for a whole one. If stages are missing, the report
    covers the others and its manifest says that it is unfinished.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    comparison = results.get("comparison")
    held, costs = measured(results, comparison)
    tables = {
        name: pd.read_parquet(result.folder / "metrics.parquet")
        for name, result in results.items()
        if (result.folder / "metrics.parquet").is_file()
    }
    completions = taken_back = pd.DataFrame()
    if "r1_zero" in results:
        completions = pd.read_parquet(results["r1_zero"].folder / "completions.parquet")
        taken_back = aha.firsts(completions)
    sizes = {
        name: parquet.read_metadata(result.folder / "dataset.parquet").num_rows
        for name, result in results.items()
        if (result.folder / "dataset.parquet").is_file()
    }
    manifest = _manifest(run_folder, results, config, wall, until)
    stages_moved = {
        name: moved.facts(rows, moved.weights_of(results[name].folder))
        for name, rows in tables.items()
    }
    light = claims.Light(held.summaries, held.changes, tables, costs, stages_moved)
    judged, control = claims.ledger([light], config.scale)
    told = html.Run(
        manifest,
        config,
        tables,
        held,
        judged,
        control,
        costs,
        sizes=sizes,
        completions=completions,
        taken_back=taken_back,
        findings=examined(results, tables, config),
    )
    curves = [
        rows.assign(stage=stage) for stage, rows in tables.items() if "pass_at_1" in rows.columns
    ]
    if curves:
        pd.concat(curves).to_parquet(run_folder / CURVES, index=False)
    taken_back.to_parquet(run_folder / TAKEN_BACK, index=False)
    write_json(run_folder / COSTS, costs)
    moved.write(run_folder / moved.FILE, stages_moved)
    if "r1_zero" in tables and "r1_zero" in held.summaries:
        drawn = figures.headline(tables["r1_zero"], figures.main(held.summaries))
        write_figure(drawn, run_folder / "figures" / "headline")
    write(run_folder, told)
    return run_folder / "report.html"


def write(folder: Path, told: html.Run) -> None:
    """Write report.html, its figures, measures and claims, and the manifest with their hashes.

    The executed notebooks in `folder` are converted to pages linked from the report.
    """
    # Imported here, since stages import this package and nbconvert takes a second.
    from r1repro.reports import notebooks

    # It lists the other files' hashes, so it is deleted first and written last.
    (folder / "manifest.json").unlink(missing_ok=True)
    drawn = html.images(told)
    told = replace(told, notebooks=notebooks.write_pages(folder / "notebooks"))
    artifacts.write_atomically(folder / "report.html", html.page(told, drawn))
    (folder / "figures").mkdir(exist_ok=True)
    for name, data in drawn.items():
        (folder / "figures" / f"{name}.png").write_bytes(data)
    held_out.write(folder, told.held_out)
    write_json(folder / "claims.json", as_data(told.judged, told.control))
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    ledger = hashlib.sha256(claims.FILE.read_bytes()).hexdigest()
    write_json(folder / "manifest.json", {**told.manifest, "claims": ledger, "files": files})


def measured(
    results: Mapping[str, StageResult], comparison: StageResult | None
) -> tuple[HeldOut, Costs]:
    """The comparison stage's summaries and costs; before it has run, summaries of evaluations."""
    if comparison is not None:
        return held_out.read(comparison.folder), read_costs(comparison.folder)
    evaluations = {
        name.removeprefix("evaluate_"): pd.read_parquet(result.folder / "evaluation.parquet")
        for name, result in results.items()
        if name.startswith("evaluate_")
    }
    searched = results.get("base_search")
    ways = {} if searched is None else asking.read_best(searched.folder)
    return held_out.measure(evaluations, ways), {}


def examined(
    results: Mapping[str, StageResult], tables: Mapping[str, pd.DataFrame], config: Config
) -> dict[str, tuple[Finding, ...]]:
    """The doctor's findings in each trained stage (metrics in tables) or evaluated one."""
    found = {}
    for name, rows in tables.items():
        settings = getattr(config.stage, ABLATIONS[name].plain if name in ABLATIONS else name, None)
        if settings is not None:
            found[name] = doctor.examine(name, rows, settings)
    for name, result in results.items():
        if name.startswith("evaluate_"):
            columns = ["task", "extracted", "finished"]
            rows = pd.read_parquet(result.folder / "evaluation.parquet", columns=columns)
            found[name] = doctor.examine(name, rows, config.evaluation)
    return found


def git_state(folder: Path) -> dict[str, Any]:
    """Commit and dirty state of the checkout; both None without a git repository.

    Changes in reports/ are ignored, since published versions are outputs only.
    """

    def git(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--", ".", ":(exclude)reports")
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(changed)}
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}


def without_places(config: Config) -> Config:
    """The configuration with model folders reduced to their names, for publication."""

    def named(model: ModelConfig) -> ModelConfig:
        return replace(model, path=Path(model.path).name) if model.path else model

    student = config.student
    task = config.task
    own = None if task.path is None else Path(task.path).name
    test = None if task.test_path is None else Path(task.test_path).name

    def last(place: str | None) -> str | None:
        """The name of an absolute path; names on the hub are kept."""
        return Path(place).name if place is not None and Path(place).is_absolute() else place

    traces, teacher = last(config.student.traces), last(config.student.teacher)
    return replace(
        config,
        runs="runs",
        task=replace(task, path=own, test_path=test),
        model=named(config.model),
        student=replace(
            student,
            traces=traces,
            teacher=teacher,
            qwen=named(student.qwen),
            llama=named(student.llama),
        ),
    )


def needed(config: Config) -> list[str]:
    """The stages that a finished report of this configuration needs."""
    on = [name for name, a in ABLATIONS.items() if getattr(config.ablation, a.switch)]
    rivals = [name for name in (FORCED, RFT) if getattr(config.ablation, name)]
    return [*STAGES, *(f"evaluate_{name}" for name in (*rivals, *on))]


def _manifest(
    run_folder: Path,
    results: Mapping[str, StageResult],
    config: Config,
    wall: Mapping[str, float],
    until: str | None,
) -> dict[str, Any]:
    data = worlds.of(config.task).facts
    config = without_places(config)
    plain = {
        name: values(config, name)
        for name in (
            "seed", "base_seed", "model", "task", "stage", "student", "ablation", "evaluation",
            "engine", "launch",
        )
    }  # fmt: skip
    stages = {
        name: {
            "key": result.key,
            "version": result.manifest.get("version"),
            "inputs": result.manifest.get("inputs"),
            "code": result.manifest.get("code"),
            "seconds": result.manifest.get("seconds"),
            "hardware": result.manifest.get("hardware"),
            "versions": result.manifest.get("versions"),
        }
        for name, result in results.items()
    }
    return {
        "run": run_folder.name,
        "hash": run_folder.name.partition("-until-")[0].rsplit("-", 1)[-1],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "until": until,
        "finished": until is not None or all(name in results for name in needed(config)),
        "scale": config.scale,
        "task": config.task.name,
        "data": data,
        "seeds": {
            "seed": config.seed,
            "base_seed": config.base_seed,
            "world_seed": config.task.world_seed,
        },
        "git": git_state(ROOT),
        "code": artifacts.code_hash(),
        "config": plain,
        "versions": artifacts.versions(),
        # of the training process if known, since this one may not see the GPU
        "hardware": stages.get("r1_zero", {}).get("hardware") or artifacts.hardware(),
        "wall": dict(wall),
        "stages": stages,
    }
