"""Resuming a killed training from its newest checkpoint.

Our own loops save and restore atomic checkpoints here; TRL's trainers do so in trainers.py. A
killed stage keeps its folder, and runner/build.py starts it there again.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

COMPLETE = "complete"
"""Marker file written last; a checkpoint without it is incomplete."""


def save(
    folder: Path, step: int, model: nn.Module, optimizer: torch.optim.Optimizer, rows: list[Any]
) -> None:
    """Write checkpoints/checkpoint-STEP with one rename, then delete older checkpoints."""
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
    """Load the newest checkpoint in place; (step, rows), or (0, []) if there is none."""
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
    """The complete checkpoint with the highest step in a stage's working folder."""
    complete = [p.parent for p in (folder / "checkpoints").glob(f"checkpoint-*/{COMPLETE}")]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)
