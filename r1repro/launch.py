"""Implements `r1repro run`: builds the stages, executes the notebooks and writes the report.

A run may be one submitit job, on Slurm or in the background on this machine. Hydra's own submitit
launcher needs Hydra's decorator, and here Hydra's compose API has composed the configuration.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from r1repro import artifacts, code_marks
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, Config, runs_folder
from r1repro.errors import R1ReproError, StageFailed
from r1repro.planning import preflight
from r1repro.reports import report, seeds
from r1repro.reports.files import SUMS
from r1repro.runner import sequence
from r1repro.runner.sequence import Outcome
from r1repro.runner.workspace import Workspace


def work(
    configs: Sequence[Config],
    multirun: bool,
    from_stage: str | None = None,
    until: str | None = None,
) -> Path:
    """Run the configurations in this process; returns the path of the report."""
    if multirun:
        page = run_seeds(configs, from_stage, until)
    else:
        page = run(configs[0], from_stage=from_stage, until=until)
    print(f"report: {page}", flush=True)
    return page


def submit(
    configs: Sequence[Config],
    multirun: bool,
    from_stage: str | None = None,
    until: str | None = None,
) -> tuple[str, Path]:
    """Submit one job for all configurations; returns (job id, path of its log)."""
    try:
        import submitit
    except ImportError as error:
        raise R1ReproError(
            "launch.cluster needs the package submitit, which is not installed: "
            'pip install -e ".[slurm]" -c constraints.txt, or leave launch.cluster=here'
        ) from error
    settings = configs[0].launch
    try:
        executor = submitit.AutoExecutor(runs_folder(configs[0]) / "jobs", cluster=settings.cluster)
    except RuntimeError as error:  # no srun
        raise R1ReproError(
            f"launch.cluster={settings.cluster} is not available here ({error}): run this where "
            "`srun` is installed, or with launch.cluster=here"
        ) from error
    executor.update_parameters(name="r1repro", timeout_min=60 * settings.hours)
    if settings.cluster == "slurm":
        # One task, which starts a stage's processes itself, one per GPU.
        executor.update_parameters(
            tasks_per_node=1,
            gpus_per_node=settings.processes,
            cpus_per_task=settings.cpus,
            mem_gb=settings.memory,
        )
        if settings.partition:
            executor.update_parameters(slurm_partition=settings.partition)
    job = executor.submit(work, configs, multirun, from_stage, until)
    return str(job.job_id), Path(job.paths.stdout)


def run(
    config: Config,
    notebooks: Path = ROOT / "notebooks",
    from_stage: str | None = None,
    until: str | None = None,
) -> Path:
    """Run the sequence, or arms of the lab, and write the report; returns its report.html.

    from_stage, until: as of r1repro.runner.sequence.run. Raises R1ReproError before anything runs
    if a check of r1repro.planning.preflight fails.
    """
    wanted = sequence.wanted_stages(Workspace(config), from_stage, until)
    preflight.check(config, wanted)
    preflight.check_room(config, wanted)
    outcome = sequence.run(config, notebooks, from_stage, until)
    return _report(config, outcome, notebooks, until)


def run_seeds(
    configs: Sequence[Config], from_stage: str | None = None, until: str | None = None
) -> Path:
    """Run each configuration in turn and write a joint report; returns its path."""
    if len(configs) < 2:
        raise R1ReproError("--multirun needs several seeds, such as seed=0,1,2")
    for config in configs:  # before any run, so that no run sets aside an earlier one's results
        space = Workspace(config)
        sequence.wanted_stages(space, from_stage, until)
        if from_stage is not None:
            sequence.set_aside_from(space, from_stage)
    folders = [run(config, until=until).parent for config in configs]
    first = configs[0]
    return _joined(folders, runs_folder(first), first.scale, first.task.name, first.lab, until)


def join(folders: Sequence[Path]) -> Path:
    """Write a joint report of finished runs or published versions under runs/; returns its path."""
    folders = [folder.resolve() for folder in folders]
    told = seeds.read(folders).manifest
    chosen = report.lab_of(told)
    return _joined(folders, ROOT / "runs", told["scale"], told["task"], chosen, told["until"])


def _joined(
    folders: Sequence[Path], runs: Path, scale: str, task: str, chosen: str, until: str | None
) -> Path:
    short = artifacts.digest([folder.name for folder in folders])[:8]
    name = f"{scale}-{task}-{len(folders)}seeds-{short}"
    if chosen != "none":
        name = f"{name}-lab-{chosen}"
    if until is not None:
        name = f"{name}-until-{until}"
    return seeds.join(folders, runs / name, partial(_execute, ROOT / "notebooks"))


def _execute(notebooks: Path, name: str, folder: Path, parameters: Mapping[str, Any]) -> None:
    """Execute a notebook that is a report; see `report.Execute`."""
    source = notebooks / f"{name}.ipynb"
    try:
        sequence.execute(source, folder, parameters, sequence.mark_of(source))
    except StageFailed as error:
        raise StageFailed(f"notebook {source.name}: {error}") from error


def _report(config: Config, outcome: Outcome, notebooks: Path, until: str | None) -> Path:
    """Build the report unless it is up to date; returns its path.

    If nothing was executed, the report keeps the wall time of the run that did.
    """
    folder, results, seconds = outcome.folder, outcome.results, outcome.seconds
    manifest: dict[str, Any] = {}
    if artifacts.damage(folder / SUMS) is None:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    article = sequence.ARTICLE if config.lab == "none" else sequence.LAB_ARTICLE
    source = notebooks / f"{article}.ipynb"
    executed = sequence.recorded(folder / "notebooks" / source.name)
    same = executed == sequence.mark_of(source) and manifest.get("finished")
    if seconds is None and same and _is_current(manifest, results, config):
        return folder / "report.html"
    wall = {name: result.manifest["seconds"] for name, result in results.items()}
    whole = seconds if seconds is not None else manifest.get("wall", {}).get("this run")
    if whole is not None:
        wall["this run"] = round(whole, 2)
    return report.build(folder, results, config, wall, partial(_execute, notebooks), until)


def _is_current(manifest: dict[str, Any], results: dict[str, StageResult], config: Config) -> bool:
    """Whether what a report states of its run still holds."""
    git = manifest["git"]
    return (
        manifest["stages"] == report.stages_of(results, config)
        and manifest["versions"] == artifacts.versions()
        and manifest.get("claims") == report.ledger_hash(config.lab)
        # A clean commit stays the one it was written at, as long as the code has the same marks.
        and (git["dirty"] is False or git == code_marks.git_state(ROOT))
    )
