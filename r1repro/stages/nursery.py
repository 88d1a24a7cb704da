"""A process that has imported the heavy libraries, from which stages are forked.

Importing torch, transformers and TRL takes some four seconds, as long as a small stage itself.
Where a fork is safe (Linux, no GPU) a run pays that once: its first stage starts this server, and
every stage is still a process of its own, forked before any of them has computed anything.

The server is asked through a socket in a private folder. The folder belongs to the process that
made it, the whole sequence's or else a notebook's own kernel, and the server ends with that. The
socket is named by the code and the environment of its server: who wants others finds none.
"""

import atexit
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import BinaryIO

from r1repro import artifacts
from r1repro.config import ROOT
from r1repro.errors import R1ReproError, StageFailed
from r1repro.stages import cores

PRELOADED = tuple(
    f"r1repro.stages.{name}"
    for name in (
        "base_model", "rl", "sft", "evaluate", "cold_start_data", "rejection_sampling",
        "reward_model",
    )
)  # fmt: skip
"""Modules of stages that are forked; each of them imports torch."""
_LONGEST = 1 << 16
_LONGEST_NAME = 107
FOLDER = "R1REPRO_NURSERY"
"""The variable that names the folder of sockets to those who share it."""
_OWNER = "owner"  # a pipe that its owner holds open
_STARTING = threading.Lock()
_STARTED: list["subprocess.Popen[bytes]"] = []
"""The server that this process has started, if it had to."""


class Child:
    """A forked stage, with as much of subprocess.Popen's interface as its follower needs."""

    returncode: int | None

    def __init__(self, server: socket.socket, pid: int, stdin: int) -> None:
        self.pid, self.returncode = pid, None
        self._server, self._stdin = server, stdin

    def poll(self) -> int | None:
        return self._ended(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Raises subprocess.TimeoutExpired after `timeout` seconds."""
        found = self._ended(timeout)
        if found is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return found

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None:
            self._server.settimeout(timeout)
            try:
                said = _told(self._server)
            except (BlockingIOError, TimeoutError):
                return None
            # Without a server nobody knows how it ended; its standard input ends below.
            self.returncode = said["end"] if said else -9
            self._server.close()
            os.close(self._stdin)
        return self.returncode


def _told(server: socket.socket) -> dict[str, int]:
    """The server's next message, {} if it is gone: {"pid"} of a fork, {"end"} of how one ended."""
    try:
        said = server.recv(_LONGEST)
    except (ConnectionResetError, BrokenPipeError):
        said = b""
    found: dict[str, int] = json.loads(said) if said else {}
    return found


@contextmanager
def shared() -> Iterator[None]:
    """In the body, this process and all that are started in it fork from the same server."""
    folder, owner = _own_folder()
    before = os.environ.get(FOLDER)
    os.environ[FOLDER] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[FOLDER]
        else:
            os.environ[FOLDER] = before
        os.close(owner)
        shutil.rmtree(folder, ignore_errors=True)


def fork(words: Sequence[str], environment: Mapping[str, str], log: BinaryIO, lock: int) -> Child:
    """Run `python -m r1repro.stages` with these words; `lock` is held as long as it lives.

    Raises StageFailed if the server ends before it has forked, and R1ReproError where the folder
    for temporary files has too long a name.
    """
    with _STARTING:
        server = _connected(dict(environment), log)
    reads, writes = os.pipe()
    try:
        try:
            socket.send_fds(server, [json.dumps(list(words)).encode()], [reads, log.fileno(), lock])
            said = _told(server)
        except (ConnectionResetError, BrokenPipeError):
            said = {}
        if "pid" not in said:
            raise StageFailed(f"the process that stages are forked from ended (log: {log.name})")
    except BaseException:
        server.close()
        os.close(writes)  # and with it what has been forked already
        raise
    finally:
        os.close(reads)
    return Child(server, said["pid"], writes)


def _own_folder() -> tuple[Path, int]:
    """A new folder for sockets, and the number of an open file: servers end when it is closed."""
    folder = Path(tempfile.mkdtemp(prefix="r1repro-"))
    os.mkfifo(folder / _OWNER)
    return folder, os.open(folder / _OWNER, os.O_RDWR)


@cache
def _kernels_folder() -> Path:
    """The folder of this process, which stays open until it ends."""
    folder, _ = _own_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _connected(environment: dict[str, str], log: BinaryIO) -> socket.socket:
    """A connection to the server with this code and environment, started where there is none."""
    given = environment.pop(FOLDER, None)
    owned = given is not None and (Path(given) / _OWNER).exists()
    folder = Path(given) if given is not None and owned else _kernels_folder()
    # What was imported before an edit of the code, or under other variables, is of no use.
    wanted = artifacts.digest([artifacts.code_hash.__wrapped__(), environment])
    place = folder / wanted[:12]
    if len(os.fsencode(place)) > _LONGEST_NAME:
        raise R1ReproError(
            f"{place} has too long a name for a socket, of which {_LONGEST_NAME} characters are "
            "accepted: set TMPDIR to a shorter folder"
        )
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        asked.connect(str(place))
    except (FileNotFoundError, ConnectionRefusedError):
        place.unlink(missing_ok=True)  # of one that died
        _start(place, environment, log)
        asked.connect(str(place))
    return asked


def _start(place: Path, environment: dict[str, str], log: BinaryIO) -> None:
    """Start a server that listens at `place`; whoever connects waits until it has imported."""
    for other in _STARTED:  # with other code or variables; what was forked from it goes on
        other.terminate()
        other.wait()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listens:
        listens.bind(str(place))
        listens.listen()
        started = subprocess.Popen(
            [sys.executable, "-m", "r1repro.stages.nursery", str(listens.fileno()), str(place)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
            env=environment,
            start_new_session=True,
            pass_fds=(listens.fileno(),),
        )
    _STARTED[:] = [started]


def suits(module: str, processes: int) -> bool:
    """Whether a stage of this module can be forked here."""
    # A GPU's driver, once asked how many there are, does not survive a fork.
    if not sys.platform.startswith("linux") or cores.gpu_in_sight():
        return False
    return processes == 1 and module in PRELOADED


def _serve(listens: socket.socket, folder: Path) -> None:
    owner = os.open(folder / _OWNER, os.O_RDONLY | os.O_NONBLOCK)
    artifacts.code_hash()  # of what is imported now, and what every fork will record
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # or the first collection in a fork copies every page
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those below
    while _is_owned(owner):
        if listens.fileno() not in select.select([listens.fileno(), owner], [], [])[0]:
            continue
        asked, _ = listens.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listens.close()  # or who asks a server that died would wait for it
            os.close(owner)
            _keep(asked)
        asked.close()
    shutil.rmtree(folder, ignore_errors=True)  # the owner may have been killed


def _is_owned(pipe: int) -> bool:
    """Whether somebody holds the other end; nobody writes to it."""
    try:
        return bool(os.read(pipe, 1))
    except BlockingIOError:
        return True


def _keep(asked: socket.socket) -> None:
    """In a fork for each who asks: fork the stage, tell of its end, and end."""
    with suppress(BrokenPipeError, ConnectionResetError):  # who asked is gone
        message, given, _, _ = socket.recv_fds(asked, _LONGEST, 3)
        if message:
            pid = os.fork()
            if pid == 0:
                os.setpgid(0, 0)
                asked.close()
                _become(json.loads(message), given)
            for number in given:
                os.close(number)
            with suppress(PermissionError, ProcessLookupError):
                os.setpgid(pid, pid)  # whoever comes first: it may be ended as a group from now on
            asked.send(json.dumps({"pid": pid}).encode())
            _, status = os.waitpid(pid, 0)
            asked.send(json.dumps({"end": os.waitstatus_to_exitcode(status)}).encode())
    os._exit(0)


def _become(words: list[str], given: Sequence[int]) -> None:
    """In the fork: take standard input and the log as given, run the stage, and end."""
    from r1repro.stages.__main__ import main

    code = 1
    try:
        stdin, log, _ = given
        for number, place in ((stdin, 0), (log, 1), (log, 2)):
            os.dup2(number, place)
        sys.argv = ["r1repro.stages", *words]
        code = main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), Path(sys.argv[2]).parent)
