"""A whole run as one submitit job, on Slurm or in the background on this machine.

Hydra's submitit launcher needs Hydra's decorator; here the configuration is already composed, by
Hydra's compose API, and passed to the job as it is.
"""

from collections.abc import Sequence
from pathlib import Path

from r1repro import launch
from r1repro.config import Config, runs_folder
from r1repro.errors import R1ReproError


def work(
    configs: Sequence[Config],
    multirun: bool,
    from_stage: str | None = None,
    until: str | None = None,
) -> Path:
    """Run the configurations in this process; returns the path of the report."""
    if multirun:
        report = launch.run_seeds(configs, from_stage, until)
    else:
        report = launch.run(configs[0], from_stage=from_stage, until=until)
    print(f"report: {report}", flush=True)
    return report


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
        if settings.partition:
            executor.update_parameters(slurm_partition=settings.partition)
        # One task, which starts a stage's processes itself, one per GPU.
        executor.update_parameters(
            tasks_per_node=1,
            gpus_per_node=settings.processes,
            cpus_per_task=settings.cpus,
            mem_gb=settings.memory,
        )
    job = executor.submit(work, configs, multirun, from_stage, until)
    return str(job.job_id), Path(job.paths.stdout)
