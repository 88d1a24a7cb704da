"""A process that has imported the heavy libraries, from which stages are forked.

Importing torch, transformers and TRL takes some four seconds, as long as a small stage itself.
Where a fork is safe (Linux, no GPU) a notebook pays that once: the first stage starts this server,
and every stage is still a process of its own, forked before any of them has computed anything.
"""

import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import BinaryIO

from r1repro import artifacts
from r1repro.config import ROOT
from r1repro.errors import StageFailed

PRELOADED = tuple(
    f"r1repro.stages.{name}"
    for name in (
        "base_model", "rl", "sft", "evaluate", "cold_start_data", "rejection_sampling",
        "reward_model",
    )
)  # fmt: skip
"""Modules of stages that are forked; each of them imports torch."""
# A GPU's driver, once asked how many there are, does not survive a fork.
_GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
_LONGEST = 1 << 16


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


class Nursery:
    """The server of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._server: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._last: Child | None = None
        self._started_as: tuple[str, dict[str, str]] | None = None

    def fork(
        self, words: Sequence[str], environment: Mapping[str, str], log: BinaryIO, lock: int
    ) -> Child:
        """Run `python -m r1repro.stages` with these words; `lock` is held as long as it lives.

        Raises StageFailed if the server ends before it has forked.
        """
        server = self._ready(dict(environment), log)
        reads, writes = os.pipe()
        try:
            message = json.dumps(list(words)).encode()
            server.settimeout(None)
            try:
                socket.send_fds(server, [message], [reads, log.fileno(), lock])
                said = _told(server)
            except (ConnectionResetError, BrokenPipeError):
                said = {}
        except BaseException:
            self.close()
            os.close(writes)  # and with it what has been forked already
            raise
        finally:
            os.close(reads)
        if "pid" not in said:
            self.close()
            os.close(writes)
            raise StageFailed(f"the process that stages are forked from ended (log: {log.name})")
        self._last = Child(server, said["pid"], writes)
        return self._last

    def close(self) -> None:
        """Let the server end; it does so too when this process ends."""
        if self._server is not None:
            self._server.close()
        self._server = self._started_as = self._last = None

    def _ready(self, environment: dict[str, str], log: BinaryIO) -> socket.socket:
        # What was imported before an edit of the code, or under other variables, is of no use.
        wanted = (artifacts.code_hash.__wrapped__(), environment)
        alive = self._process is not None and self._process.poll() is None
        if self._last is not None and self._last.poll() is None:
            alive = False  # one was given up: what is said of it is not for the next
        if self._server is None or not alive or self._started_as != wanted:
            self.close()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "r1repro.stages.nursery", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=ROOT,
                    env=environment,
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            self._server, self._started_as = ours, wanted
        return self._server


def gpu_in_sight() -> bool:
    """Whether this machine has a GPU, by its driver's files: nothing is loaded."""
    return any(map(os.path.exists, _GPUS))


def suits(module: str, processes: int) -> bool:
    """Whether a stage of this module can be forked here."""
    if not sys.platform.startswith("linux") or gpu_in_sight():
        return False
    return processes == 1 and module in PRELOADED


def _serve(server: socket.socket) -> None:
    artifacts.code_hash()  # of what is imported now, and what every fork will record
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # or the first collection in a fork copies every page
    while True:
        message, given, _, _ = socket.recv_fds(server, _LONGEST, 3)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            os.setpgid(0, 0)
            server.close()
            _become(json.loads(message), given)
        for number in given:
            os.close(number)
        with suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # whoever comes first: it may be ended as a group from now on
        server.send(json.dumps({"pid": pid}).encode())
        _, status = os.waitpid(pid, 0)
        server.send(json.dumps({"end": os.waitstatus_to_exitcode(status)}).encode())


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
    try:
        _serve(socket.socket(fileno=int(sys.argv[1])))
    except BrokenPipeError:  # who asked is gone
        sys.exit(0)
