"""Made-up results as fixtures; what takes seconds is made once."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from r1repro import reports
from r1repro.artifacts import Progress
from r1repro.config import compose
from r1repro.stages import comparison
from tests.reports.made_up import Result, evaluation, make_results

RUN = "laptop-mini-seed0-0123abcd"


@pytest.fixture(scope="session")
def evaluations() -> dict[str, pd.DataFrame]:
    return {"base": evaluation(0.3, seed=1), "r1_zero": evaluation(0.75, seed=2)}


@pytest.fixture(scope="session")
def config():
    return compose([])


@pytest.fixture(scope="session")
def results(tmp_path_factory, config) -> dict[str, Result]:
    found = make_results(tmp_path_factory.mktemp("results"))
    inputs = {name: found[name] for name in ("evaluate_base", "evaluate_r1_zero", "r1_zero")}
    comparison.run(config, inputs, found["comparison"].folder, Progress(None))
    return found


@pytest.fixture(scope="session")
def built(tmp_path_factory, results, config) -> Path:
    """The report of a finished run; tests only read it."""
    folder = tmp_path_factory.mktemp("runs") / RUN
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "00_base_model.ipynb").write_text('{"cells": []}')
    (folder / "resolved.yaml").write_text("seed: 0\n")
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
