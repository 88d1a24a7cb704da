"""Forked stages: they report their own failures and end with the parent process."""

import signal
import subprocess
import sys
import time

import pytest
import torch

from r1repro import code_marks, config
from r1repro.config import ROOT
from r1repro.errors import StageFailed
from r1repro.runner.workspace import Workspace
from tests.quiet import Quiet, made


def compose(runs, *more):
    return config.compose(["scale=smoke", "stage.base.tokens=20000", f"runs={runs}", *more])


def test_a_forked_stage_fails_with_its_own_reason(tmp_path):
    with pytest.raises(StageFailed, match="evaluate_base needs base"):
        made(compose(tmp_path), "evaluate_base")
    result = made(compose(tmp_path), "base")
    assert result.manifest["stage"] == "base" and result.manifest["hardware"]["threads"] >= 1
    assert result.manifest["hardware"]["instructions"] == torch.backends.cpu.get_cpu_capability()


def test_the_callers_main_module_is_not_run_again(tmp_path):
    """A script without a guard, such as a student's, would otherwise start a run in every fork."""
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nprint('once', flush=True)\n"
        "from r1repro.config import compose\nfrom tests.quiet import made\n"
        f"made(compose(['scale=smoke', 'stage.base.tokens=20000', 'runs={tmp_path}']), 'base')\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=ROOT, env=_with_root(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("once") == 1
    log = next((tmp_path / "cache").glob("base-*/log.txt"))
    assert "once" not in log.read_text()


def test_it_ends_with_the_process_that_asked(tmp_path):
    code = (
        "from r1repro.config import compose\n"
        "from r1repro.runner import processes\n"
        "from tests.quiet import made\n"
        "start = processes.start\n"
        "def told(*words):\n"
        "    found = start(*words); print(found.pid, flush=True)\n"
        "    return found\n"
        "processes.start = told\n"
        f"long = ['scale=smoke', 'stage.base.tokens=2000000', 'runs={tmp_path}']\n"
        "made(compose(long), 'base')\n"
    )
    asked = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    stage = int(asked.stdout.readline())
    found = Workspace(compose(tmp_path, "stage.base.tokens=2000000"))
    until = time.monotonic() + 60
    while not (found.work("base") / "progress.jsonl").is_file():
        assert time.monotonic() < until and asked.poll() is None
        time.sleep(0.1)
    asked.send_signal(signal.SIGKILL)
    asked.wait()
    while _alive(stage):
        assert time.monotonic() < until, "it outlives its parent"
        time.sleep(0.1)


def test_changed_code_is_refused_by_a_server_that_holds_the_old(tmp_path, monkeypatch):
    made(compose(tmp_path), "base")
    monkeypatch.setattr(code_marks, "of_function", lambda dotted: "newer")
    with pytest.raises(StageFailed, match="the code was changed since this session started"):
        made(compose(tmp_path), "base", "evaluate_base", show=Quiet())


def _with_root():
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False
