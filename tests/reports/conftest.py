"""Made-up results as fixtures; what takes seconds is made once."""

import shutil
import subprocess
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config, compose, save
from r1repro.evaluation.metrics import compare
from r1repro.reports import report
from r1repro.reports.files import SUMS
from r1repro.runner.sequence import wanted_stages
from r1repro.runner.workspace import Workspace
from r1repro.stages import comparison
from tests.reports import in_process
from tests.reports.made_up import checkpoint, make_results

RUN = "laptop-mini-seed0-0123abcd"
BUDGET = 1e12
"""FLOPs that distillation took: those of fifty of the made-up steps of RL."""


@pytest.fixture(scope="session", autouse=True)
def few_draws():
    """Intervals from fewer draws than a run's, which would take most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1repro.evaluation.metrics.compare", partial(compare, draws=500))
        yield


@pytest.fixture(scope="session")
def evaluations() -> dict[str, pd.DataFrame]:
    return {name: checkpoint(name) for name in ("base", "r1_zero", "r1")}


def compared(config: Config, **made: bool) -> dict[str, StageResult]:
    """Made-up results of every stage, the comparison too."""
    found = make_results(config, **made)
    inputs = {name: result for name, result in found.items() if name != "comparison"}
    with pytest.MonkeyPatch.context() as patch:
        # the real one loads the teacher's weights, and nothing here has any
        patch.setattr("r1repro.stages.comparison.distillation_flops", lambda *results: BUDGET)
        comparison.run(config, inputs, found["comparison"].folder, Progress(None))
    return found


@pytest.fixture(scope="session")
def config(tmp_path_factory) -> Config:
    return compose(["ablation=all", f"runs={tmp_path_factory.mktemp('runs')}"])


@pytest.fixture(scope="session")
def results(config) -> dict[str, StageResult]:
    return compared(config)


def of_run(
    folder: Path, config: Config, results: Mapping[str, StageResult], until: str | None = None
) -> Path:
    """The report of a run with these results, in a folder as the runner leaves it."""
    folder.mkdir(exist_ok=True)
    save(config, folder / "resolved.yaml")
    wanted = wanted_stages(Workspace(config), until=until)
    some = {name: result for name, result in results.items() if name in wanted}
    wall = {name: 60.0 for name in some}
    page = report.build(folder, some, config, wall, in_process.execute, until)
    (folder / SUMS).unlink()  # tests change the files
    return page


@pytest.fixture(scope="session")
def built(results, config) -> Path:
    """The report of a finished run; tests only read it."""
    folder = Path(config.runs) / RUN
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "00_base_model.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    return of_run(folder, config, results)


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """An empty folder of a run."""
    return tmp_path / RUN


@pytest.fixture
def finished_run(built, run_folder) -> Path:
    """A copy of the finished run, to be changed."""
    shutil.copytree(built.parent, run_folder)
    return run_folder


def repository(folder: Path) -> Path:
    """A clean git repository with one commit."""

    def git(*words: str) -> None:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)

    folder.mkdir()
    git("init", "-q")
    (folder / "code.py").write_text("1\n")
    git("add", ".")
    git("commit", "-qm", "first")
    return folder
