"""After SIGKILL in the middle of R1-Zero the run resumes and ends with identical weights."""

import hashlib
import os
import signal
import threading

import pytest

from r1repro import artifacts, config
from r1repro.errors import StageFailed
from r1repro.evaluation.training_moved import weights_of
from r1repro.runner import processes
from r1repro.runner.workspace import Workspace
from tests.quiet import Quiet, made


def _compose(runs):
    """Enough steps that the process is still running when it is killed."""
    small = ["stage.base.tokens=20000", "stage.r1_zero.steps=12", "stage.r1_zero.save_every=1"]
    return config.compose(["scale=smoke", f"runs={runs}", *small])


def _weights(result):
    return hashlib.sha256((result.folder / "model/model.safetensors").read_bytes()).hexdigest()


def test_killed_and_continued_gives_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("R1REPRO_STAGES", "tests.length_rewarded:STAGES")
    straight, broken = _compose(tmp_path / "a"), _compose(tmp_path / "b")
    base, _ = (made(found, "base") for found in (straight, broken))
    expected = made(straight, "r1_zero")
    killed = threading.Event()
    started = []
    start = processes.start

    def remembered(*words):
        started.append(start(*words))
        return started[-1]

    monkeypatch.setattr(processes, "start", remembered)

    def kill(names):
        lines = artifacts.read_progress(Workspace(broken).work("r1_zero"))
        if not killed.is_set() and lines and lines[-1]["step"] >= 2:
            killed.set()
            os.killpg(started[-1].pid, signal.SIGKILL)

    with pytest.raises(StageFailed, match="SIGKILL"):
        made(broken, "r1_zero", show=Quiet(kill))
    result = made(broken, "r1_zero")
    assert killed.is_set()
    assert _weights(result) == _weights(expected) != _weights(base)
    assert result.metrics().step.tolist() == expected.metrics().step.tolist() == list(range(1, 13))
    assert result.metrics().reward.tolist() == expected.metrics().reward.tolist()
    # Measured from the start of the stage, not of the resumed session.
    assert weights_of(result.folder) == weights_of(expected.folder) > 0
