"""Stages that are forked: each a process of its own, that ends with who asked for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1repro import config
from r1repro.config import ROOT
from r1repro.errors import R1ReproError, StageFailed
from r1repro import cores
from r1repro.runner import processes
from r1repro.runner import processes
from r1repro.runner.workspace import Workspace
from r1repro.runner.processes import build

pytestmark = pytest.mark.skipif(
    not nursery.suits("r1repro.stages.base_model", 1), reason="no fork is made here"
)


def compose(runs, *more):
    return config.compose(["scale=smoke", "stage.base.tokens=20000", f"runs={runs}", *more])


def test_what_is_not_safe_is_not_forked(monkeypatch):
    assert not nursery.suits("r1repro.stages.base_model", 2)
    assert not nursery.suits("r1repro.stages.comparison", 1)
    monkeypatch.setattr(cores, "_GPUS", (str(ROOT),))
    assert not nursery.suits("r1repro.stages.base_model", 1)
    monkeypatch.undo()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not nursery.suits("r1repro.stages.base_model", 1)


def test_a_forked_stage_fails_with_its_own_reason(tmp_path):
    assert _failed(tmp_path)
    assert build(compose(tmp_path), "base").manifest["stage"] == "base"


def test_a_dead_server_is_replaced(tmp_path):
    assert _failed(tmp_path)
    dead = nursery._STARTED[-1]
    dead.kill()
    dead.wait()
    assert _failed(tmp_path), "in a new one"
    assert nursery._STARTED[-1] is not dead


def test_a_stage_that_nobody_watches_over_ends(tmp_path, monkeypatch):
    started = []
    start = process.start

    def killed(*words):
        started.append(start(*words))
        os.kill(_parent(started[0].pid), signal.SIGKILL)
        return started[-1]

    with monkeypatch.context() as patch:
        patch.setattr(process, "start", killed)
        with pytest.raises(StageFailed, match="SIGKILL"):
            build(compose(tmp_path, "stage.base.tokens=2000000"), "base")
    until = time.monotonic() + 20
    while _alive(started[0].pid):
        assert time.monotonic() < until, "the fork outlives its keeper and its standard input"
        time.sleep(0.1)
    server = nursery._STARTED[-1]
    assert _failed(tmp_path) and nursery._STARTED[-1] is server


def test_it_ends_with_the_process_that_asked(tmp_path):
    code = (
        "from r1repro.config import compose\n"
        "from r1repro.stages import nursery, process\n"
        "start = process.start\n"
        "def told(*words):\n"
        "    found = start(*words); print(found.pid, nursery._STARTED[-1].pid, flush=True)\n"
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
    while not (Workspace(found).work("base") / "progress.jsonl").is_file():
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
        servers.append(nursery._STARTED[-1].pid)
    assert servers[0] == servers[1] != servers[2]
    assert not _alive(servers[0]) and _alive(servers[2])


ASKS = """
import sys
from r1repro.config import compose
from r1repro.errors import StageFailed
from r1repro.runner import processes
from r1repro.runner import processes
try:
    process.build(compose(['scale=smoke', f'runs={sys.argv[1]}']), 'evaluate_base')
except StageFailed as error:
    assert "evaluate_base needs base" in str(error), error
print(*(server.pid for server in nursery._STARTED), flush=True)
"""


def test_processes_share_one_server_that_ends_with_its_owner(tmp_path):
    with nursery.shared():
        server, none = _asked(tmp_path), _asked(tmp_path)
        assert server and not none, "who comes later finds one"
        folder = Path(os.environ[nursery.FOLDER])
        assert folder.stat().st_mode & 0o077 == 0, "nobody else may ask"
    assert nursery.FOLDER not in os.environ and not folder.exists()
    _gone(int(server))


def test_a_shared_server_ends_when_its_owner_is_killed(tmp_path):
    code = (
        "import os, subprocess, sys\n"
        "from r1repro.stages import nursery\n"
        "with nursery.shared():\n"
        "    subprocess.run([sys.executable, '-c', *sys.argv[1:]], check=True)\n"
        "    print(os.environ[nursery.FOLDER], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code, ASKS, str(tmp_path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    server, folder = int(owner.stdout.readline()), Path(owner.stdout.readline().strip())
    assert _alive(server) and folder.is_dir()
    owner.kill()
    owner.communicate()
    _gone(server)
    assert not folder.exists()


def test_a_folder_whose_owner_is_gone_is_not_used(tmp_path, monkeypatch):
    monkeypatch.setenv(nursery.FOLDER, str(tmp_path / "gone"))
    assert _failed(tmp_path)


def test_too_long_a_name_is_refused(tmp_path, monkeypatch):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    (folder / "owner").touch()
    monkeypatch.setenv(nursery.FOLDER, str(folder))
    with pytest.raises(R1ReproError, match="set TMPDIR to a shorter folder"):
        build(compose(tmp_path), "evaluate_base")


def _asked(runs) -> str:
    """The pids of the servers that another process had to start for a stage."""
    asks = [sys.executable, "-c", ASKS, str(runs)]
    return subprocess.run(
        asks, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


def _gone(pid: int) -> None:
    until = time.monotonic() + 20
    while _alive(pid):
        assert time.monotonic() < until, "the server goes on though nobody owns it"
        time.sleep(0.1)


def _parent(pid: int) -> int:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])


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
