"""Starts and ends the process of a stage.

Separate processes keep the caller light and contain crashes. A single process is forked from a
server that has imported torch, transformers and TRL (multiprocessing's forkserver), so that a run
pays the four seconds of these imports once; several are started by `accelerate launch`.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from pkgutil import resolve_name
from types import ModuleType
from typing import Any, BinaryIO

from r1repro import artifacts, code_marks
from r1repro.config import ROOT, Config, only, save
from r1repro.cores import take_half
from r1repro.errors import R1ReproError
from r1repro.runner.graph import Stage, find
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
PRELOADED = [*(f"r1repro.stages.{name}" for name in _STAGES), "r1repro.runner.kept_sources"]
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
    """A started stage; `poll` gives its exit code: None while it runs, negative after a signal."""

    pid: int
    poll: Callable[[], int | None]


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
        env={**os.environ, **_environment(processes)},
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
        while any(one.poll() is None for one in running) and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        _signal([one for one in running if one.poll() is None], signal.SIGKILL)


def _signal(running: Sequence[Running], sign: signal.Signals) -> None:
    for one in running:
        with suppress(ProcessLookupError):
            os.killpg(one.pid, sign)


def _fork(config: Config, name: str, log: BinaryIO, lock: int) -> Running:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    added, main = _environment(1), sys.modules["__main__"]
    # A Connection reaches the fork with its file descriptor, and closes this duplicate.
    files = [Connection(os.dup(number)) for number in (log.fileno(), lock)]
    given = (config, name, code_marks.of_function(find(name, config).run), *files)
    process = context.Process(
        target=_forked, args=(*given, {**os.environ, **added}), name=f"r1repro {name}"
    )
    before = {key: os.environ[key] for key in added if key in os.environ}
    try:
        os.environ.update(added)
        forkserver.ensure_running()
    finally:  # one by one: a notebook's kernel may be starting from this environment
        for key in added.keys() - before.keys():
            del os.environ[key]
        os.environ.update(before)
    try:
        sys.modules["__main__"] = ModuleType("__main__")  # the fork would import the caller's
        process.start()
    finally:
        sys.modules["__main__"] = main
    assert process.pid is not None
    return Running(process.pid, lambda: process.exitcode)


def _forked(
    config: Config,
    name: str,
    code: str,
    log: Connection,
    lock: Connection,
    environment: dict[str, str],
) -> None:
    """In the fork: start a session, redirect output to the log, run the stage, and exit.

    lock: kept open, so that the stage stays locked until this process ends.
    """
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number in (1, 2):
        os.dup2(log.fileno(), number)
    if code != code_marks.of_function(find(name, config).run):
        raise SystemExit(
            f"{REASON}the code was changed since this session started: restart it to use the change"
        )
    parent = multiprocessing.parent_process()
    assert parent is not None
    end_with(parent.sentinel)
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


def end_with(parent: int) -> None:
    """Kill this process group once `parent`, a sentinel or a pipe from the parent, is closed."""

    def watch() -> None:
        wait([parent])
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()


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
        function = resolve_name(stage.run)
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
    """What a result's manifest records of how it was made."""
    told = space.work(stage.name) / artifacts.FACTS
    return {
        "version": stage.version,
        "config": space.settings(stage),
        "inputs": {other: space.keys[other] for other in stage.inputs},
        # Two results with the same key differ in their manifests.
        "built_from": {o: artifacts.sha256(r.folder / "manifest.json") for o, r in inputs.items()},
        "code": code_marks.of_function(stage.run),
        "versions": artifacts.versions(),
        "hardware": artifacts.hardware(),
        "processes": space.processes(stage.name),
        "seconds": round(seconds, 2),
        **({"facts": json.loads(told.read_text(encoding="utf-8"))} if told.is_file() else {}),
    }


def _environment(processes: int) -> dict[str, str]:
    """What a stage's process adds to the environment of this one."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    found = {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths)}
    if processes == 1:  # with several GPUs visible the trainer scales its batch
        found["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    return found
