"""Builds stages: loads finished results and starts the other stages when their inputs are done."""

import shutil
import signal
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from r1repro import artifacts, cores, marks
from r1repro.artifacts import Damaged, StageResult
from r1repro.errors import StageFailed
from r1repro.runner import processes
from r1repro.runner.processes import REASON, Running
from r1repro.runner.workspace import Workspace

POLL_SECONDS = 0.5
ROOM = 2**16
"""With fewer bytes free than this, a stage without a reason in its log had none to write it in."""


class Display(Protocol):
    """Shows the user the progress of stages."""

    def say(self, sentence: str) -> None:
        """Show a message."""

    def running(self, names: Sequence[str]) -> None:
        """Called about twice a second with the stages that are being built."""

    def done(self, result: StageResult, built: bool) -> None:
        """Called when a stage's result is available; built: false if it was cached."""


def build(space: Workspace, names: Sequence[str], show: Display) -> dict[str, StageResult]:
    """The results of these stages, by name; their inputs must be finished or among them.

    A stage starts when its inputs are finished and cores are free: `half` stages run two at a time,
    all others alone. If a stage fails or the caller is interrupted, the running stages are ended
    and resume from their newest checkpoints the next time. Raises StageFailed with the reason.
    """
    found: dict[str, StageResult] = {}
    older: list[str] = []
    waiting = list(names)
    running: dict[str, _Building] = {}
    try:
        while waiting or running:
            for name in [*waiting]:
                unfinished = {*waiting, *running} & {*space.find(name).inputs}
                if unfinished or not _has_room(space, name, running):
                    continue
                waiting.remove(name)
                result = _load(space, name, show)
                if result is None:
                    running[name] = _Building.begin(space, name, show)
                    continue
                found[name] = result
                if result.manifest.get("code") != _code(space, name):
                    older.append(name)
                show.done(result, built=False)
            if running:
                time.sleep(POLL_SECONDS)
                show.running([*running])
            for name in [*running]:
                if not running[name].is_over(space, show):
                    continue
                log, result = running.pop(name).log, space.load(name)
                if result is None:
                    raise StageFailed(f"stage {name} ended without a result: see {log}")
                found[name] = result
                show.done(result, built=True)
    finally:
        _end([*running.values()], show)
    if older:
        show.say(
            f"cached results of a different code version are used: {', '.join(older)}; "
            f"--from {older[0]} rebuilds from there on"
        )
    return {name: found[name] for name in names}


def _has_room(space: Workspace, name: str, running: Collection[str]) -> bool:
    halves = all(space.find(other).half for other in [name, *running])
    return not running or (halves and len(running) < cores.at_once())


def _load(space: Workspace, name: str, show: Display) -> StageResult | None:
    try:
        return space.load(name)
    except Damaged as error:
        moved = artifacts.set_aside(space.place(name), space.runs)
        show.say(f"{error}. It was moved to {moved}, and {name} is rebuilt.")
        return None


def _code(space: Workspace, name: str) -> str:
    """The mark of the code that builds a stage."""
    return marks.of_function(space.find(name).run)


@dataclass
class _Building:
    """A stage that is being built here, or by another run that holds its lock."""

    name: str
    log: Path
    process: Running | None = None
    began_at: int = 0
    _held: ExitStack | None = None

    @classmethod
    def begin(cls, space: Workspace, name: str, show: Display) -> "_Building":
        building = cls(name, space.work(name) / "log.txt")
        if not building._start(space, show):
            show.say(f"{name} is being built by another run: waiting for it")
        return building

    def _start(self, space: Workspace, show: Display) -> bool:
        folder = space.work(self.name)
        with ExitStack() as stack:
            held = stack.enter_context(artifacts.lock(folder.with_name(folder.name + ".lock")))
            if held is None:
                return False
            self._held = stack.pop_all()
            if space.is_done(self.name):
                return True
            folder.mkdir(parents=True, exist_ok=True)
            begun = folder / "code"
            if not begun.exists():
                begun.write_text(_code(space, self.name))
            elif begun.read_text() != _code(space, self.name):
                show.say(
                    f"{self.name} was started by a different code version and resumes; "
                    f"--from {self.name} starts over"
                )
            out: BinaryIO = self._held.enter_context(self.log.open("ab"))
            self.began_at = out.tell()
            self.process = processes.start(space, self.name, out, held.fileno())
        return True

    def is_over(self, space: Workspace, show: Display) -> bool:
        """Whether the stage has ended. Raises StageFailed with its reason if it failed."""
        if self._held is None:
            return self._start(space, show) and self.process is None
        if self.process is None:
            self.close()
            return True
        code = self.process.exit_code
        if code is None:
            return False
        failed = code and space.work(self.name).exists()
        reason = _reason(self.log, self.began_at, code) if failed else ""
        if failed and (_lacked_memory(code, reason)):
            reason += _turn_down(space, self.name)
        if failed:
            reason += _known(space, self.name)
        self.close()
        # If the work folder is gone, the result was published and only the exit went wrong.
        if failed:
            raise StageFailed(f"stage {self.name} failed: {reason} (log: {self.log})")
        return True

    def close(self) -> None:
        """Give up the lock; the stage has ended."""
        if self._held is not None:
            self._held.close()


def _end(building: Sequence[_Building], show: Display) -> None:
    """End the stages that still run, and say from where they resume."""
    alive = [one for one in building if one.process and one.process.exit_code is None]
    try:
        processes.end([one.process for one in alive if one.process is not None])
    finally:
        for one in building:
            one.close()
    for one in alive:
        saved = [f"step {step}" for step in artifacts.checkpoints(one.log.parent)]
        where = saved[0] if saved else "its beginning"
        show.say(f"{one.name} was stopped; it resumes from {where}")


def failure(space: Workspace, name: str) -> str:
    """ ", since it failed: REASON" if the stage's log ends with a reason, else ""."""
    log = space.work(name) / "log.txt"
    if not log.is_file():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    marked = [line for line in lines[-3:] if line.startswith(REASON)]
    return f", since it failed: {marked[-1].removeprefix(REASON)}" if marked else ""


def _known(space: Workspace, name: str) -> str:
    """What the stage last reported: its step and its memory."""
    lines = artifacts.read_progress(space.work(name), ends=True)
    if not lines:
        return "; it had reported no progress"
    last = lines[-1]
    held = f", having used up to {last['memory'] / 1e9:.1f} GB" if "memory" in last else ""
    return f"; it had reached {last['step']:,} of {last['total']:,}{held}"


def _lacked_memory(code: int, reason: str) -> bool:
    """Whether a stage probably ended for want of memory: the kernel's SIGKILL, or CUDA's error."""
    return code == -signal.SIGKILL or "out of memory" in reason.casefold()


def _turn_down(space: Workspace, name: str) -> str:
    """The settings of the stage that bound its memory."""
    settings = space.settings(space.find(name))
    bounds = ("micro_batch_tokens", "rollout_batch", "batch_tokens")
    found = {
        f"{path}.{bound}": value[bound]
        for path, value in settings.items()
        if isinstance(value, dict)
        for bound in bounds
        if bound in value
    }
    if not found:
        return ", and its settings have no bound of memory"
    return ": lower " + " or ".join(f"{key}={value}" for key, value in found.items())


def _reason(log: Path, start: int, code: int) -> str:
    """The reason of a failure: the signal, or the exception at the end of this session's log."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    if code < 0:
        known = -code in {*signal.Signals}
        how = signal.Signals(-code).name if known else f"signal {-code}"
        hint = ", perhaps because memory ran out" if how == "SIGKILL" else ""
        return f"it was ended by {how}{hint}"
    # Under accelerate the launcher's report follows the stage's exception.
    marked = [line for line in written if line.startswith(REASON)]
    if marked:
        return marked[-1].removeprefix(REASON)
    if shutil.disk_usage(log.parent).free < ROOM:
        return f"No space left on device, not even for its log: free some for {log.parent}"
    return written[-1] if written else f"exit code {code} and no output"
