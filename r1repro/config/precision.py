"""The precision that engine.precision=auto stands for on this machine."""

import json
from pathlib import Path

from r1repro import cores
from r1repro.config.schema import GGUF, Config, OriginConfig

AUTO = "auto"
SMALL = 256
"""Largest hidden size of a mini model. At 128 bfloat16 samples as fast as float32 where a core
multiplies it in hardware, since many small operations are what is left."""


def chosen(config: Config) -> str:
    """engine.precision, with "auto" replaced by what the machine and the teacher's size call for.

    It is bfloat16 with a GPU or cores that multiply it, and float32 elsewhere and for mini models.
    """
    if config.engine.precision != AUTO:
        return config.engine.precision
    if config.model.made_here or _is_small(config.model):
        return "float32"
    fast = cores.gpu_in_sight() or cores.multiply_bfloat16()
    return "bfloat16" if fast else "float32"


def _is_small(model: OriginConfig) -> bool:
    """Whether a folder holds a model of a mini model's width; what cannot be read is refused
    later."""
    if model.path is None or model.path.endswith(GGUF):
        return False
    try:
        shape = json.loads((Path(model.path) / "config.json").read_text(encoding="utf-8"))
        return int(shape["hidden_size"]) <= SMALL
    except (OSError, ValueError, KeyError, TypeError):
        return False
