import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

# A background job ignores the one and nohup the other, and tests of interrupts would wait for ever.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before torch is imported: threads of several workers would wait for each other actively.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

ARTICLE = "08_r1_zero_vs_r1"
LONGEST = (
    "tests/test_notebooks.py", "tests/crash/test_crash.py", "tests/reports/test_report.py",
    "tests/reports/test_seeds.py", "tests/runner/test_interrupted.py", "tests/test_lab.py",
    "tests/runner/test_sequence.py", "tests/lab/test_report.py", "tests/runner/test_build.py",
    "tests/runner/test_processes.py", "tests/training/test_processes.py",
)  # fmt: skip
"""Files that take minutes, longest first."""
PARAMETERS = 'config_path = ""\noverrides = []\nbuild_missing = "ask"'
OPEN = (
    "from r1repro.notebook import open_run\nrun = open_run(config_path, overrides, build_missing)"
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no process is left alone with one at the end."""
    rank = {file: place for place, file in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))


def _cell(source: str, tags: list[str]) -> dict[str, object]:
    return {
        "cell_type": "code",
        "source": source,
        "metadata": {"tags": tags},
        "outputs": [],
        "execution_count": None,
        "id": f"c{abs(hash(source)) % 10**8}",
    }


@pytest.fixture
def fake_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages of tests/fake_stages.py, here and in every process started from here."""
    monkeypatch.setenv("R1REPRO_STAGES", "tests.fake_stages:STAGES")


@pytest.fixture
def fake_notebooks(tmp_path: Path, fake_graph: None) -> Path:
    """A folder with a notebook for each of the two fake stages, and one that is the report."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name, shown in (
        ("00_first", "run.stage('first').key"),
        ("01_second", "run.stage('second').key"),
        (ARTICLE, "sorted(run.built(until))"),
    ):
        parameters = f"{PARAMETERS}\nuntil = None"
        cells = [_cell(parameters, ["parameters"]), _cell(f"{OPEN}\n{shown}", [])]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = {
            "cells": cells,
            "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
        (folder / f"{name}.ipynb").write_text(json.dumps(notebook))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An empty folder for results."""
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def compose(runs: Path) -> Callable[..., object]:
    """compose(*overrides) at scale=smoke with results under a folder of this test."""
    from r1repro import config

    return lambda *overrides: config.compose(["scale=smoke", f"runs={runs}", *overrides])
