"""A fork server that has imported the heavy libraries and from which stages are forked.

Importing torch, transformers and TRL takes about four seconds, as long as a small stage. Where
forking is safe (Linux, no GPU) a run pays that once: its first stage starts this server, and every
stage is a separate process, forked before anything has been computed.

Clients connect through a socket in a private folder, which belongs to the process that created it,
that of the whole run or a notebook's kernel; the server ends with it. The socket's name is a hash
of code and environment, so that a client never gets a server with others.
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
"""Modules of stages to fork; each imports torch."""
_LONGEST = 1 << 16
_LONGEST_NAME = 107
FOLDER = "R1REPRO_NURSERY"
"""Environment variable with the folder of sockets, for processes that share a server."""
_OWNER = "owner"  # a pipe that the owner holds open
_STARTING = threading.Lock()
_STARTED: list["subprocess.Popen[bytes]"] = []
"""The server that this process started, if any."""


class Child:
    """A forked stage, with the part of subprocess.Popen's interface that is used here."""

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
                message = _receive(self._server)
            except (BlockingIOError, TimeoutError):
                return None
            # Without the server the exit code is unknown; closing standard input ends the stage.
            self.returncode = message["end"] if message else -9
            self._server.close()
            os.close(self._stdin)
        return self.returncode


def _receive(server: socket.socket) -> dict[str, int]:
    """The server's next message: {"pid"} of a fork, {"end"}, its exit code, or {} if it is gone."""
    try:
        data = server.recv(_LONGEST)
    except (ConnectionResetError, BrokenPipeError):
        data = b""
    message: dict[str, int] = json.loads(data) if data else {}
    return message


@contextmanager
def shared() -> Iterator[None]:
    """Within the body, this process and its children fork from the same server."""
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
    """Run `python -m r1repro.stages` with these arguments; the child inherits and holds `lock`.

    Raises StageFailed if the server ends before it has forked, and R1ReproError if the temporary
    folder's name is too long for a socket.
    """
    with _STARTING:
        server = _connected(dict(environment), log)
    reads, writes = os.pipe()
    try:
        try:
            socket.send_fds(server, [json.dumps(list(words)).encode()], [reads, log.fileno(), lock])
            message = _receive(server)
        except (ConnectionResetError, BrokenPipeError):
            message = {}
        if "pid" not in message:
            raise StageFailed(f"the process that stages are forked from ended (log: {log.name})")
    except BaseException:
        server.close()
        os.close(writes)  # ends the child if it is already forked
        raise
    finally:
        os.close(reads)
    return Child(server, message["pid"], writes)


def _own_folder() -> tuple[Path, int]:
    """A new folder for sockets, and a file descriptor whose closing ends their servers."""
    folder = Path(tempfile.mkdtemp(prefix="r1repro-"))
    os.mkfifo(folder / _OWNER)
    return folder, os.open(folder / _OWNER, os.O_RDWR)


@cache
def _kernels_folder() -> Path:
    """This process's own folder of sockets, which lives until the process ends."""
    folder, _ = _own_folder()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _connected(environment: dict[str, str], log: BinaryIO) -> socket.socket:
    """Connect to the server with this code and environment, starting it if there is none."""
    given = environment.pop(FOLDER, None)
    owned = given is not None and (Path(given) / _OWNER).exists()
    folder = Path(given) if given is not None and owned else _kernels_folder()
    # A server with older code or other variables must not be used.
    wanted = artifacts.digest([artifacts.code_hash.__wrapped__(), environment])
    place = folder / wanted[:12]
    if len(os.fsencode(place)) > _LONGEST_NAME:
        raise R1ReproError(
            f"{place} is too long for the name of a socket, which may have {_LONGEST_NAME} bytes: "
            "set TMPDIR to a shorter folder"
        )
    asked = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        asked.connect(str(place))
    except (FileNotFoundError, ConnectionRefusedError):
        place.unlink(missing_ok=True)  # left by a dead server
        _start(place, environment, log)
        asked.connect(str(place))
    return asked


def _start(place: Path, environment: dict[str, str], log: BinaryIO) -> None:
    """Start a server that listens at `place`; clients wait until it has finished importing."""
    for other in _STARTED:  # with other code or variables; its forked stages keep running
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
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # reap forked children automatically
    while _is_owned(owner):
        if listens.fileno() not in select.select([listens.fileno(), owner], [], [])[0]:
            continue
        asked, _ = listens.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listens.close()  # otherwise clients of a dead server would wait for ever
            os.close(owner)
            _keep(asked)
        asked.close()
    shutil.rmtree(folder, ignore_errors=True)  # the owner may have been killed


def _is_owned(pipe: int) -> bool:
    """Whether the owner still holds the other end of the pipe, to which nothing is written."""
    try:
        return bool(os.read(pipe, 1))
    except BlockingIOError:
        return True


def _keep(asked: socket.socket) -> None:
    """In a fork per client: fork the stage, report its exit code, and exit."""
    with suppress(BrokenPipeError, ConnectionResetError):  # the client is gone
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
                os.setpgid(pid, pid)  # parent or child, whichever is first; the group can be killed
            asked.send(json.dumps({"pid": pid}).encode())
            _, status = os.waitpid(pid, 0)
            asked.send(json.dumps({"end": os.waitstatus_to_exitcode(status)}).encode())
    os._exit(0)


def _become(words: list[str], given: Sequence[int]) -> None:
    """In the fork: redirect standard input and output, run the stage, and exit."""
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
