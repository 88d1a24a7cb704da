"""Stages that are forked: each a process of its own, that ends with who asked for it."""

import os
import signal
import subprocess
import sys
import time

import pytest

from r1repro import config
from r1repro.config import ROOT
from r1repro.errors import StageFailed
from r1repro.stages import nursery, process, state
from r1repro.stages.process import build

pytestmark = pytest.mark.skipif(
    not nursery.suits("r1repro.stages.base_model", 1), reason="no fork is made here"
)


def compose(runs, *more):
    return config.compose(["scale=smoke", "stage.base.tokens=20000", f"runs={runs}", *more])


def test_what_is_not_safe_is_not_forked(monkeypatch):
    assert not nursery.suits("r1repro.stages.base_model", 2)
    assert not nursery.suits("r1repro.stages.comparison", 1)
    monkeypatch.setattr(nursery, "_GPUS", (str(ROOT),))
    assert not nursery.suits("r1repro.stages.base_model", 1)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not nursery.suits("r1repro.stages.base_model", 1)


def test_a_forked_stage_fails_with_its_own_reason(tmp_path):
    assert _failed(tmp_path)
    assert build(compose(tmp_path), "base").manifest["stage"] == "base"


def test_a_dead_server_is_replaced(tmp_path, monkeypatch):
    started = []
    start = process.start

    def killed(*words):
        started.append(start(*words))
        if len(started) == 1:
            os.kill(process.NURSERY._process.pid, signal.SIGKILL)
        return started[-1]

    monkeypatch.setattr(process, "start", killed)
    with pytest.raises(StageFailed, match="SIGKILL"):
        build(compose(tmp_path, "stage.base.tokens=2000000"), "base")
    until = time.monotonic() + 20
    while _alive(started[0].pid):
        assert time.monotonic() < until, "the fork outlives the server and its standard input"
        time.sleep(0.1)
    assert _failed(tmp_path), "in a new one"


def test_it_ends_with_the_process_that_asked(tmp_path):
    code = (
        "from r1repro.config import compose\n"
        "from r1repro.stages import process\n"
        "start = process.start\n"
        "def told(*words):\n"
        "    found = start(*words); print(found.pid, process.NURSERY._process.pid, flush=True)\n"
        "    return found\n"
        "process.start = told\n"
        f"long = ['scale=smoke', 'stage.base.tokens=2000000', 'runs={tmp_path}']\n"
        "process.build(compose(long), 'base')\n"
    )
    asked = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    stage, server = map(int, asked.stdout.readline().split())
    found = compose(tmp_path, "stage.base.tokens=2000000")
    until = time.monotonic() + 60
    while not (state.work_folder(found, "base") / "progress.jsonl").is_file():
        assert time.monotonic() < until and asked.poll() is None
        time.sleep(0.1)
    asked.kill()
    asked.wait()
    while _alive(stage) or _alive(server):
        assert time.monotonic() < until, "something goes on though nobody follows"
        time.sleep(0.1)


def test_libraries_that_cannot_be_imported_are_told_with_the_log(tmp_path, monkeypatch):
    broken = tmp_path / "torch.py"
    broken.write_text("raise ImportError('no torch here')")
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        with pytest.raises(StageFailed, match=r"forked from ended \(log: .*log.txt\)"):
            build(compose(tmp_path), "base")
    log = state.work_folder(compose(tmp_path), "base") / "log.txt"
    assert "no torch here" in log.read_text()
    assert _failed(tmp_path), "and the next one starts"


def test_a_stage_that_was_given_up_does_not_speak_for_the_next(tmp_path, monkeypatch):
    start = process.start

    def given_up(*words):
        start(*words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(process, "start", given_up)
        with pytest.raises(KeyboardInterrupt):
            build(compose(tmp_path), "evaluate_base")
    assert _failed(tmp_path)


def test_under_other_variables_everything_is_imported_anew(tmp_path, monkeypatch):
    servers = []
    for policy in ("ACTIVE", "ACTIVE", "PASSIVE"):
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
        assert _failed(tmp_path)
        servers.append(process.NURSERY._process.pid)
    assert servers[0] == servers[1] != servers[2]


def _failed(runs) -> bool:
    """Whether a stage was begun, that ends at once for want of its input."""
    with pytest.raises(StageFailed, match="evaluate_base needs base"):
        build(compose(runs), "evaluate_base")
    return True


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
