"""A run as a job: submitit's local executor for real, Slurm's parameters by a stand-in."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from r1repro import cli, launch
from r1repro.errors import R1ReproError


def of_fake_notebooks(configs, multirun, from_stage, until):
    """In the job, in place of `launch.work`: the same with the notebooks of the fake stages."""
    return launch.run(configs[0], Path(configs[0].runs).parent / "notebooks", from_stage, until)


def test_a_job_on_this_machine_makes_the_report(compose, fake_notebooks, runs, monkeypatch):
    import submitit

    monkeypatch.setattr(launch, "work", of_fake_notebooks)
    # It waits 15 s for a result, and a busy machine imports for longer than that.
    monkeypatch.setattr(submitit.LocalJob, "_results_timeout_s", 120)
    number, log = launch.submit([compose("launch.cluster=local")], False, until="first")
    job = submitit.LocalJob(runs / "jobs", number)
    report = job.result()
    assert report.parent.name.endswith("-until-first")
    assert report.is_file() and report.is_relative_to(runs)
    assert f"run: {report.parent}" in log.read_text()


@pytest.fixture
def slurm(monkeypatch):
    """What the stand-in's executor was told."""
    told = {}

    class AutoExecutor:
        def __init__(self, folder, cluster):
            told.update(folder=folder, cluster=cluster)

        def update_parameters(self, **more):
            told.update(more)

        def submit(self, function, *given):
            told.update(function=function, given=given)
            return SimpleNamespace(job_id=17, paths=SimpleNamespace(stdout="jobs/17.out"))

    module = ModuleType("submitit")
    module.AutoExecutor = AutoExecutor
    monkeypatch.setitem(sys.modules, "submitit", module)
    return told


def test_what_slurm_is_asked_for(slurm, runs, capsys):
    words = ["launch.cluster=slurm", "launch.processes=2", "launch.hours=3", "launch.partition=a"]
    words += ["--from", "dev1", "--until", "r1"]
    assert cli.main(["run", "scale=smoke", f"runs={runs}", *words]) == 0
    assert capsys.readouterr().out == "job 17, log: jobs/17.out\n"
    assert slurm["cluster"] == "slurm" and slurm["folder"] == runs / "jobs"
    assert slurm["timeout_min"] == 180 and slurm["slurm_partition"] == "a"
    assert (slurm["gpus_per_node"], slurm["tasks_per_node"], slurm["mem_gb"]) == (2, 1, 64)
    configs, *others = slurm["given"]
    assert slurm["function"] is launch.work and others == [False, "dev1", "r1"]
    assert configs[0].launch.processes == 2 and not list(runs.iterdir())


def test_seeds_are_one_job(slurm, runs):
    words = ["-m", "launch.cluster=local", "seed=0,1"]
    assert cli.main(["run", "scale=smoke", f"runs={runs}", *words]) == 0
    configs, multirun, *_ = slurm["given"]
    assert [config.seed for config in configs] == [0, 1] and multirun
    assert "gpus_per_node" not in slurm


def test_without_submitit_it_says_what_to_install(runs, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert cli.main(["run", "scale=smoke", f"runs={runs}", "launch.cluster=local"]) == 2
    assert ".[slurm]" in capsys.readouterr().err
    with pytest.raises(R1ReproError, match="submitit"):
        launch.submit([SimpleNamespace()], multirun=False)
