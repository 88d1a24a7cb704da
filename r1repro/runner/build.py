"""Builds stages: loads finished results and starts the other stages when their inputs are done."""

import shutil
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from r1repro import artifacts, code_marks, cores
from r1repro.artifacts import Damaged, StageResult
from r1repro.errors import StageFailed
from r1repro.runner import processes
from r1repro.runner.processes import REASON, Running
from r1repro.runner.workspace import Workspace

POLL_SECONDS = 0.5
ROOM = 2**16
"""With fewer bytes free than this, a stage may have had no room for the reason in its log."""


class Display(Protocol):
    """Shows a person the progress of stages."""

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
                halves = all(space.find(other).half for other in (name, *running))
                has_room = not running or (halves and len(running) < cores.at_once())
                if unfinished or not has_room:
                    continue
                waiting.remove(name)
                result = _load(space, name, show)
                if result is None:
                    running[name] = _Building(space, name, show)
                    continue
                found[name] = result
                if result.manifest.get("code") != code_marks.of_function(space.find(name).run):
                    older.append(name)
                show.done(result, built=False)
            if running:
                time.sleep(POLL_SECONDS)
                show.running([*running])
            for name in [*running]:
                if not running[name].is_over():
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


def _load(space: Workspace, name: str, show: Display) -> StageResult | None:
    try:
        return space.load(name)
    except Damaged as error:
        moved = artifacts.set_aside(space.place(name), space.runs)
        show.say(f"{error}. It was moved to {moved}, and {name} is rebuilt.")
        return None


class _Building:
    """A stage that is being built here, or by another run that holds its lock."""

    def __init__(self, space: Workspace, name: str, show: Display) -> None:
        self.space, self.name, self.show = space, name, show
        self.folder = space.work(name)
        self.log = self.folder / "log.txt"
        self.process: Running | None = None
        self.held = ExitStack()
        if not self._start():
            show.say(f"{name} is being built by another run: waiting for it")

    def _start(self) -> bool:
        """Start the stage unless it is finished; returns whether no other run builds it."""
        with ExitStack() as stack:
            held = stack.enter_context(self.space.lock(self.name))
            if held is None:
                return False
            if self.space.is_done(self.name):
                return True
            self.folder.mkdir(parents=True, exist_ok=True)
            begun = self.folder / "code"
            code = code_marks.of_function(self.space.find(self.name).run)
            if not begun.exists():
                begun.write_text(code)
            elif begun.read_text() != code:
                self.show.say(
                    f"{self.name} was started by a different code version and resumes; "
                    f"--from {self.name} starts over"
                )
            out = stack.enter_context(self.log.open("ab"))
            self.began_at = out.tell()
            self.process = processes.start(self.space, self.name, out, held.fileno())
            self.held = stack.pop_all()
        return True

    def is_over(self) -> bool:
        """Whether the stage has ended. Raises StageFailed with its reason if it failed."""
        if self.process is None:
            return self._start() and self.process is None
        code = self.process.poll()
        if code is None:
            return False
        with self.held:  # until the log is read
            # If the work folder is gone, the result was published and only the exit went wrong.
            if code and self.folder.exists():
                reason = self._reason(code)
                # SIGKILL is most likely from the kernel's out-of-memory killer.
                if code == -signal.SIGKILL or "out of memory" in reason.casefold():
                    reason += _turn_down(self.space, self.name)
                reason += self._reached()
                raise StageFailed(f"stage {self.name} failed: {reason} (log: {self.log})")
        return True

    def _reason(self, code: int) -> str:
        """The reason of a failure: the signal, or the end of this session's log."""
        if code < 0:
            known = -code in {*signal.Signals}
            how = signal.Signals(-code).name if known else f"signal {-code}"
            hint = ", perhaps because memory ran out" if how == "SIGKILL" else ""
            return f"it was ended by {how}{hint}"
        written = _lines(self.log, self.began_at)
        # Under accelerate the launcher's report follows the stage's exception.
        if marked := _marked(written):
            return marked
        if shutil.disk_usage(self.folder).free < ROOM:
            return f"No space left on device, not even for its log: free some for {self.folder}"
        return written[-1] if written else f"exit code {code} and no output"

    def _reached(self) -> str:
        """What the stage last reported: its step and its memory."""
        lines = artifacts.read_progress(self.folder, ends=True)
        if not lines:
            return "; it had reported no progress"
        last = lines[-1]
        held = f", having used up to {last['memory'] / 1e9:.1f} GB" if "memory" in last else ""
        return f"; it had reached {last['step']:,} of {last['total']:,}{held}"


def _end(building: Sequence[_Building], show: Display) -> None:
    """End the stages that still run, and say where each resumes."""
    alive = {one: one.process for one in building if one.process and one.process.poll() is None}
    try:
        processes.end([*alive.values()])
    finally:
        for one in building:
            one.held.close()
    for one in alive:
        saved = [f"step {step}" for step in artifacts.checkpoints(one.folder)]
        where = saved[0] if saved else "its beginning"
        show.say(f"{one.name} was stopped; it resumes from {where}")


def failure(space: Workspace, name: str) -> str:
    """What an error says of a stage that is not built: the reason at the end of its log, if any."""
    log = space.work(name) / "log.txt"
    reason = _marked(_lines(log)[-3:]) if log.is_file() else None
    return f", since it failed: {reason}" if reason else ""


def _lines(log: Path, start: int = 0) -> list[str]:
    """The lines of a log from a byte on, without blank ones."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").split("\n")
    return [line.strip() for line in lines if line.strip()]


def _marked(lines: Sequence[str]) -> str | None:
    """The last reason of a failure among the lines of a log."""
    marked = [line for line in lines if line.startswith(REASON)]
    return marked[-1].removeprefix(REASON) if marked else None


def _turn_down(space: Workspace, name: str) -> str:
    """The settings of the stage that bound its memory."""
    bounds = ("micro_batch_tokens", "rollout_batch", "batch_tokens")
    found = [
        f"{path}.{bound}={value[bound]}"
        for path, value in space.settings(space.find(name)).items()
        if isinstance(value, dict)
        for bound in bounds
        if bound in value
    ]
    return f": lower {' or '.join(found)}" if found else ", and no setting of it bounds its memory"
