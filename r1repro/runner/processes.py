"""Starts and ends the process of a stage.

Separate processes keep the caller light and contain crashes. A single process is forked from a
server that has imported torch, transformers and TRL (multiprocessing's forkserver), so that a run
pays the four seconds of these imports once; several are started by `accelerate launch`.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver, reduction
from multiprocessing.connection import wait
from types import ModuleType
from typing import Any, BinaryIO

from r1repro import artifacts, marks
from r1repro.config import ROOT, Config, only, save
from r1repro.cores import take_half
from r1repro.errors import R1ReproError
from r1repro.runner.graph import Stage, find, resolve
from r1repro.runner.progress import worked
from r1repro.runner.workspace import Workspace

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PYTHONUNBUFFERED": "1",
    # Keep freed large blocks: otherwise glibc returns them and every step's logits fault their
    # pages in again. A GRPO update on a CPU takes about an eighth less.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
_STAGES = "base_model rl sft evaluate cold_start_data rejection_sampling reward_model".split()
PRELOADED = [*(f"r1repro.stages.{name}" for name in _STAGES), "r1repro.runner.held"]
# accelerate's defaults, given explicitly to avoid a warning. Port 0 is any free port, since another
# stage may run in parallel.
LAUNCHER = "-m accelerate.commands.launch --num_machines 1 --mixed_precision no".split()
LAUNCHER += ["--dynamo_backend", "no", "--main_process_port", "0"]
GRACE_SECONDS = 4.0
"""A stage that is told to end has this long to save a checkpoint."""
REASON = "r1repro: "
"""Prefix of the last line in the log of a failed stage."""


@dataclass(frozen=True)
class Running:
    """A started stage."""

    pid: int
    poll: Callable[[], int | None]

    @property
    def exit_code(self) -> int | None:
        """None while it runs, negative after a signal."""
        return self.poll()


def start(space: Workspace, name: str, log: BinaryIO, lock: int) -> Running:
    """Start the stage's process, which writes to `log`, holds `lock` and ends with this process."""
    processes = space.processes(name)
    # A complete work folder only has to be renamed, by a single process.
    if artifacts.is_complete(space.work(name), space.keys[name]):
        processes = 1
    if processes == 1 and not space.config.engine.unsloth:
        return _fork(space.config, name, log, lock)
    resolved = space.work(name).with_suffix(".yaml")
    save(space.config, resolved)
    launched = subprocess.Popen(
        [sys.executable, *launcher(processes), "-m", "r1repro.runner", name, str(resolved)],
        stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT,
        env={**os.environ, **ENVIRONMENT, **_paths(), **_one_gpu(processes)},
        start_new_session=True, pass_fds=(lock,),
    )  # fmt: skip
    return Running(launched.pid, launched.poll)


def launcher(processes: int) -> list[str]:
    """Python's arguments before `-m MODULE` that start it in that many processes."""
    if processes == 1:
        return []
    # Without --multi_gpu accelerate starts one process on a CPU, and elsewhere follows the user's
    # configuration file.
    return [*LAUNCHER, "--multi_gpu", "--num_processes", str(processes)]


def end(running: Sequence[Running]) -> None:
    """End stages and their child processes: SIGTERM, on which a training saves a checkpoint, then
    SIGKILL after GRACE_SECONDS, or at once if this process is interrupted again."""
    try:
        _signal(running, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while any(one.exit_code is None for one in running) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        _signal([one for one in running if one.exit_code is None], signal.SIGKILL)


def _signal(running: Sequence[Running], sign: signal.Signals) -> None:
    for one in running:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, sign)


def _fork(config: Config, name: str, log: BinaryIO, lock: int) -> Running:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with _environment({**ENVIRONMENT, **_paths()}):
        forkserver.ensure_running()
    process = context.Process(
        target=_forked,
        args=(
            config, name, marks.of_function(find(name, config).run),
            _Passed(log.fileno()), _Passed(lock),
            {**os.environ, **ENVIRONMENT, **_one_gpu(1)},
        ),
        name=f"r1repro {name}",
    )  # fmt: skip
    with _no_main():
        process.start()
    assert process.pid is not None
    return Running(process.pid, lambda: process.exitcode)


class _Passed:
    """A file descriptor that is pickled as its duplicate in the child process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self.number),)


def _received(passed: Any) -> int:
    number: int = passed.detach()
    return number


def _forked(
    config: Config, name: str, code: str, log: int, lock: int, environment: dict[str, str]
) -> None:
    """In the fork: start a session, redirect output to the log, run the stage, and exit.

    lock: kept open, so that the stage stays locked until this process ends.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(log, number)
    if code != marks.of_function(find(name, config).run):
        raise SystemExit(
            f"{REASON}the code was changed since this session started: restart it to use the change"
        )
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()
    # Not os._exit: multiprocessing then frees semaphores, and would warn about them otherwise.
    raise SystemExit(run_reported(config, name))


def run_reported(config: Config, name: str) -> int:
    """Run the stage in this process; returns the exit code, after printing why a stage failed."""
    try:
        run_here(Workspace(config), name)
    except Exception as error:
        traceback.print_exc()
        message = " ".join(str(error).split())
        print(f"{REASON}{type(error).__name__}" + (f": {message}" if message else ""), flush=True)
        return 1
    return 0


def end_with_stdin() -> None:
    """In a launched process: exit at once when standard input closes, since its parent is gone."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


def _end_with(sentinel: Any) -> None:
    wait([sentinel])
    os.killpg(0, signal.SIGKILL)


def run_here(space: Workspace, name: str) -> None:
    """In the stage's process: run the stage's function and publish its folder as a result."""
    stage, config = space.find(name), space.config
    inputs = {}
    for other in stage.inputs:
        result = space.load(other, whole=True)
        if result is None:
            raise R1ReproError(f"{name} needs {other}, which is not built: build {other} first")
        inputs[other] = result
    folder, processes = space.work(name), int(os.environ.get("WORLD_SIZE", "1"))
    first = os.environ.get("RANK", "0") == "0"
    seconds, started = worked(artifacts.read_progress(folder, ends=True)), time.time()
    if not artifacts.is_complete(folder, space.keys[name]):
        if processes != space.processes(name):
            raise R1ReproError(
                f"launch.processes={config.launch.processes} started {processes}: accelerate "
                "starts one process per GPU, so give at most the number of GPUs"
            )
        seen = only(config, stage.config)
        if seen.engine.unsloth:
            from r1repro.stages.engines import import_unsloth

            import_unsloth()
        # Outside the work folder, so that the logs survive it.
        boards = space.runs / "tensorboard" / folder.name
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(boards))
        os.environ.setdefault("WANDB_PROJECT", "r1repro")
        function = resolve(stage.run)
        if stage.half:
            take_half()
        function(seen, inputs, folder, artifacts.Progress(folder if first else None))
        seconds += time.time() - started
    if first:
        facts = _facts(space, stage, inputs, seconds)
        artifacts.publish(folder, space.runs, name, space.keys[name], facts)
    if processes > 1:
        from r1repro.training import sharding  # imports torch, which the kernel must not

        sharding.leave()


def _facts(
    space: Workspace, stage: Stage, inputs: artifacts.Inputs, seconds: float
) -> dict[str, Any]:
    """What the manifest of a result says of its making."""
    return {
        "version": stage.version,
        "config": space.settings(stage),
        "inputs": {other: space.keys[other] for other in stage.inputs},
        "built_from": {o: artifacts.fingerprint(r.folder) for o, r in inputs.items()},
        "code": marks.of_function(stage.run),
        "versions": artifacts.versions(),
        "hardware": artifacts.hardware(),
        "processes": space.processes(stage.name),
        "seconds": round(seconds, 2),
        **artifacts.told(space.work(stage.name)),
    }


def _one_gpu(processes: int) -> dict[str, str]:
    """Restrict a single process to one GPU: with several visible the trainer scales its batch."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[0]} if processes == 1 else {}


def _paths() -> dict[str, str]:
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:  # one by one: a notebook's kernel may be starting from this environment
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _no_main() -> Iterator[None]:
    """Keep multiprocessing from importing the caller's main module in the fork."""
    before = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = before
