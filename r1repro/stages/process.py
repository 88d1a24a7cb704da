"""Starts and follows the process of a stage.

Separate processes keep the kernel light and contain crashes. A single process is forked where
possible (r1repro.stages.nursery); several are started by `accelerate launch`.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from r1repro import artifacts
from r1repro.artifacts import Damaged, StageResult
from r1repro.config import ROOT, Config, only, runs_folder, save
from r1repro.errors import R1ReproError, StageFailed
from r1repro.stages import cores, find, nursery, resolve
from r1repro.stages.engines import import_unsloth
from r1repro.stages.nursery import Child
from r1repro.stages.state import keys, load, result_folder, settings, work_folder, worked

POLL_SECONDS = 0.5
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TRL_EXPERIMENTAL_SILENCE": "1",
    "PYTHONUNBUFFERED": "1",
    # Keep freed large blocks: otherwise glibc returns them and every step's logits fault their
    # pages in again. A GRPO update on a CPU takes about an eighth less.
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**32),
}
# accelerate's defaults, given explicitly to avoid a warning.
LAUNCHER = "-m accelerate.commands.launch --num_machines 1 --mixed_precision no".split()
# Any free port, since another stage may run in parallel.
LAUNCHER += ["--dynamo_backend", "no", "--main_process_port", "0"]


def build(
    config: Config,
    name: str,
    follow: Callable[[Path], None] = lambda folder: None,
    announce: Callable[[str], None] = print,
) -> StageResult:
    """The stage's result: loaded, resumed or built from scratch; its inputs must exist.

    `follow` is called about twice a second with the folder of progress.jsonl, `announce` with
    messages for the user. Raises StageFailed with the stage's own reason.
    """
    folder = work_folder(config, name)
    announced = False
    while True:
        with artifacts.lock(folder.with_name(folder.name + ".lock")) as held:
            if held is None:  # another run is building it: follow that
                if not announced:
                    announce(f"{name} is being built by another run: waiting for it")
                    announced = True
                follow(folder)
            else:
                result = _load_or_set_aside(config, name, announce)
                if result is None:
                    _run(config, name, folder, held.fileno(), follow, announce)
                    result = load(config, name)
                    if result is None:
                        raise StageFailed(f"stage {name} ended without a result: see {folder}")
                return result
        time.sleep(POLL_SECONDS)


def _load_or_set_aside(
    config: Config, name: str, announce: Callable[[str], None]
) -> StageResult | None:
    try:
        result = load(config, name)
    except Damaged as error:
        moved = artifacts.set_aside(result_folder(config, name), runs_folder(config))
        announce(f"{error}. It was moved to {moved}, and {name} is rebuilt.")
        return None
    if result is not None and result.manifest.get("code") != artifacts.code_hash():
        announce(
            f"{name}: cached result of a different code version is used; from={name} rebuilds it"
        )
    return result


def _run(
    config: Config,
    name: str,
    folder: Path,
    lock: int,
    follow: Callable[[Path], None],
    announce: Callable[[str], None],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    resolved = folder.with_name(folder.name + ".yaml")
    save(config, resolved)
    words = [name, "--config", str(resolved)]
    begun = folder / "code"
    if not begun.exists():
        begun.write_text(artifacts.code_hash())
    elif begun.read_text() != artifacts.code_hash():
        announce(
            f"{name} was started by a different code version and resumes; from={name} starts over"
        )
    log = folder / "log.txt"
    started = log.stat().st_size if log.exists() else 0
    with log.open("ab") as out:
        process = start(config, name, words, out, lock)
        try:
            while process.poll() is None:
                follow(folder)
                time.sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                _end(process)
    # If the folder is gone, the result was published and only the exit went wrong.
    if process.returncode and folder.exists():
        reason = _reason(log, started, process.returncode)
        raise StageFailed(f"stage {name} failed: {reason} (log: {log})")
    follow(result_folder(config, name))


def start(
    config: Config, name: str, words: Sequence[str], log: BinaryIO, lock: int
) -> "subprocess.Popen[bytes] | Child":
    """Start the stage's process, forked from the fork server where possible.

    Its standard input closes when this process ends for any reason, which ends the stage too.
    """
    # A complete work folder only has to be renamed, by a single process.
    whole = artifacts.is_complete(work_folder(config, name), keys(config)[name])
    processes = 1 if whole else _processes(config, name)
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {
        **os.environ,
        **_one_gpu(config, name),
        **ENVIRONMENT,
        "PYTHONPATH": os.pathsep.join(paths),
    }
    if nursery.suits(find(name, config).run.split(":")[0], processes):
        return nursery.fork(words, environment, log, lock)
    return subprocess.Popen(
        [sys.executable, *launcher(processes), "-m", "r1repro.stages", *words],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
        start_new_session=True,
        pass_fds=(lock,),
    )


def launcher(processes: int) -> list[str]:
    """Python's arguments before `-m MODULE` that start it in that many processes."""
    if processes == 1:
        return []
    # Without --multi_gpu accelerate starts one process on a CPU, and elsewhere follows the user's
    # configuration file.
    return [*LAUNCHER, "--multi_gpu", "--num_processes", str(processes)]


def _one_gpu(config: Config, name: str) -> dict[str, str]:
    """Restrict a single process to one GPU: with several visible the trainer scales its batch."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
    return {"CUDA_VISIBLE_DEVICES": seen.split(",")[0]} if _processes(config, name) == 1 else {}


def _processes(config: Config, name: str) -> int:
    return config.launch.processes if find(name, config).distributed else 1


def _end(process: "subprocess.Popen[bytes] | Child") -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(timeout=5)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _reason(log: Path, start: int, code: int) -> str:
    """The reason of a failure: the signal, or the exception at the end of this session's log."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").split("\n")
    written = [line.strip() for line in lines if line.strip()]
    if code < 0:
        try:
            how = signal.Signals(-code).name
        except ValueError:
            how = f"signal {-code}"
        hint = ", perhaps because memory ran out" if how == "SIGKILL" else ""
        return f"it was ended by {how}{hint}"
    # Under accelerate the launcher's report follows the stage's exception.
    marked = [line for line in written if line.startswith(REASON)]
    if marked:
        return marked[-1].removeprefix(REASON)
    return written[-1] if written else f"exit code {code} and no output"


REASON = "r1repro: "


def end_with_parent() -> None:
    """In the stage's process: exit at once when standard input closes, since its parent is gone."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def run_here(config: Config, name: str) -> None:
    """In the stage's process: run the stage's function and publish its folder as a result."""
    stage, all_keys, runs = find(name, config), keys(config), runs_folder(config)
    inputs = {}
    for other in stage.inputs:
        result = load(config, other)
        if result is None:
            raise R1ReproError(f"{name} needs {other}, which is not built: run {other} first")
        inputs[other] = result
    first = os.environ.get("RANK", "0") == "0"
    folder = work_folder(config, name)
    if not artifacts.is_complete(folder, all_keys[name]):
        started_with = int(os.environ.get("WORLD_SIZE", "1"))
        if started_with != _processes(config, name):
            raise R1ReproError(
                f"launch.processes={config.launch.processes} started {started_with}: "
                "accelerate starts one process per GPU, so give at most the number of GPUs"
            )
        started = time.time()
        before = worked(artifacts.read_progress(folder))
        progress = artifacts.Progress(folder if first else None)
        seen = only(config, stage.config)
        if seen.engine.unsloth:
            import_unsloth()
        # Outside the work folder, so that the logs survive it.
        os.environ.setdefault("TENSORBOARD_LOGGING_DIR", str(runs / "tensorboard" / folder.name))
        os.environ.setdefault("WANDB_PROJECT", "r1repro")
        function = resolve(stage.run)
        if stage.half:
            cores.take_half()
        function(seen, inputs, folder, progress)
        seconds = before + time.time() - started
    else:
        seconds = worked(artifacts.read_progress(folder))
    if first:
        artifacts.publish(
            folder,
            runs,
            name,
            all_keys[name],
            {
                "version": stage.version,
                "config": settings(config, stage),
                "inputs": {other: all_keys[other] for other in stage.inputs},
                "built_from": {o: artifacts.fingerprint(r.folder) for o, r in inputs.items()},
                "code": artifacts.code_hash(),
                "versions": artifacts.versions(),
                "hardware": artifacts.hardware(),
                "processes": _processes(config, name),
                "seconds": round(seconds, 2),
                **artifacts.told(folder),
            },
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        from r1repro.training import sharding  # imports torch, which the kernel must not

        sharding.leave()
