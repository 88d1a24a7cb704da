"""Made-up results as fixtures; what takes seconds is made once."""

import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from r1repro import reports
from r1repro.artifacts import Progress
from r1repro.config import compose, save
from r1repro.evaluation.metrics import compare
from r1repro.stages import comparison
from tests.reports.made_up import Result, checkpoint, make_results

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


@pytest.fixture(scope="session")
def config():
    return compose(["ablation=all"])


@pytest.fixture(scope="session")
def results(tmp_path_factory, config) -> dict[str, Result]:
    found = make_results(tmp_path_factory.mktemp("results"))
    inputs = {name: result for name, result in found.items() if name != "comparison"}
    with pytest.MonkeyPatch.context() as patch:
        # the real one loads the teacher's weights, and nothing here has any
        patch.setattr("r1repro.stages.comparison.distillation_flops", lambda *results: BUDGET)
        comparison.run(config, inputs, found["comparison"].folder, Progress(None))
    return found


@pytest.fixture(scope="session")
def built(tmp_path_factory, results, config) -> Path:
    """The report of a finished run; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / RUN
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "00_base_model.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    save(config, folder / "resolved.yaml")
    return reports.build(folder, results, config, {name: 60.0 for name in results})


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """An empty folder of a run."""
    return tmp_path / RUN


@pytest.fixture
def finished_run(built, run_folder) -> Path:
    """A copy of the finished run, to be changed."""
    shutil.copytree(built.parent, run_folder)
    return run_folder
