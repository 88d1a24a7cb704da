"""Resuming an interrupted training from its newest checkpoint.

Our own loop saves and restores checkpoints here, TRL's trainers in trainers.py. A killed stage
keeps its folder, where runner/build.py starts it again. On SIGTERM, which an interrupted runner
sends, a training saves a checkpoint after the current step and ends.
"""

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from r1repro import artifacts
from r1repro.artifacts import COMPLETE
from r1repro.training import sharding


@contextmanager
def stop_asked() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether SIGTERM has arrived; meanwhile the signal ends nothing.

    Outside the main thread, and with several processes, which could stop at different steps, it
    ends the process as usual.
    """
    asked = threading.Event()
    if sharding.processes() > 1 or threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        yield asked.is_set
    finally:
        signal.signal(signal.SIGTERM, before)


def stop(step: int) -> NoReturn:
    """End this process, after a checkpoint at `step`."""
    raise SystemExit(f"stopped on request after step {step}, which is kept as a checkpoint")


def save(
    folder: Path,
    step: int,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    rows: list[Any],
    rest: Any = None,
) -> None:
    """Write checkpoints/checkpoint-STEP with one rename, then delete older checkpoints.

    rows: metrics; rest: what else is to be restored, as plain data.
    """
    final = folder / "checkpoints" / f"checkpoint-{step}"
    part = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    save_weights(part / "model.safetensors", model.named_parameters())
    torch.save(optimizer.state_dict(), part / "optimizer.pt")
    (part / "rows.json").write_text(json.dumps(rows))
    (part / "rest.json").write_text(json.dumps(rest))
    mark_complete(part)
    shutil.rmtree(final, ignore_errors=True)  # a damaged one of the same step
    part.rename(final)
    for other in final.parent.iterdir():
        if other != final:
            shutil.rmtree(other)


def restore(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[Any], Any]:
    """Load the newest checkpoint in place; (step, rows, rest), or (0, [], None) without one."""
    newest = newest_checkpoint(folder)
    if newest is None:
        return 0, [], None
    load_weights(newest / "model.safetensors", model.named_parameters())
    optimizer.load_state_dict(torch.load(newest / "optimizer.pt", weights_only=True))
    rows, rest = (json.loads((newest / f"{name}.json").read_text()) for name in ("rows", "rest"))
    return int(newest.name.split("-")[1]), rows, rest


def save_weights(
    file: Path, parameters: Iterable[tuple[str, nn.Parameter]], wanted: bool = True
) -> None:
    """Write parameters; sharded ones are gathered, by every process, and written where `wanted`."""
    tensors = {}
    for name, parameter in parameters:
        whole = sharding.full(parameter.detach())
        if wanted:
            tensors[name] = whole.cpu().contiguous()
    if tensors:
        save_file(tensors, file)


@torch.no_grad()
def load_weights(file: Path, parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
    """Load in place what `save_weights` wrote."""
    saved = load_file(file)
    for name, parameter in parameters:
        parameter.copy_(sharding.shared_as(parameter, saved[name].to(parameter.device)))


def mark_complete(checkpoint: Path) -> None:
    """Write the checkpoint's COMPLETE file: the sha256 of the others."""
    artifacts.write_sums(checkpoint / COMPLETE, artifacts.files_in(checkpoint))


def newest_checkpoint(folder: Path) -> Path | None:
    """The undamaged checkpoint with the highest step; prints why newer ones are damaged."""
    for checkpoint in artifacts.checkpoints(folder).values():
        wrong = artifacts.damage(checkpoint / COMPLETE)
        if wrong is None:
            return checkpoint
        print(f"{checkpoint} is not used: {wrong}; the stage resumes from before", flush=True)
    return None
