"""Checkpoints of our own loops: whole or not there, newest first."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

COMPLETE = "complete"
"""The file that a checkpoint gets last; without it a kill came in between."""


def save(
    folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, rows: list[Any]
) -> None:
    """Write checkpoints/checkpoint-STEP by one rename, then drop the older ones."""
    final = folder / "checkpoints" / f"checkpoint-{step}"
    part = final.with_name(f".{final.name}.{os.getpid()}")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    tensors = {name: p.detach().contiguous() for name, p in model.named_parameters()}
    save_file(tensors, part / "model.safetensors")
    torch.save(optimizer.state_dict(), part / "optimizer.pt")
    (part / "rows.json").write_text(json.dumps(rows))
    (part / COMPLETE).touch()
    part.rename(final)
    for other in final.parent.iterdir():
        if other != final:
            shutil.rmtree(other)


def restore(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[int, list[Any]]:
    """Load the newest checkpoint into model and optimizer; (step, rows), or (0, []) for none."""
    newest = newest_checkpoint(folder)
    if newest is None:
        return 0, []
    saved = load_file(newest / "model.safetensors")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(saved[name])
    optimizer.load_state_dict(torch.load(newest / "optimizer.pt", weights_only=True))
    return int(newest.name.split("-")[1]), json.loads((newest / "rows.json").read_text())


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoints/checkpoint-STEP of the highest step in a stage's working folder."""
    found = [p.parent for p in (folder / "checkpoints").glob(f"checkpoint-*/{COMPLETE}")]
    return max(found, key=lambda path: int(path.name.split("-")[1]), default=None)
