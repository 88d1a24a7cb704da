"""The models of a configuration, where they come from, and their precision."""

import json
from pathlib import Path

from r1repro import cores
from r1repro.config.schema import GGUF, Config, ModelConfig, OriginConfig, StudentsConfig

TEACHER = "student.teacher"
"""The key of the stronger teacher, which is sampled but not trained."""
SMALL = 256
"""Largest hidden size of a mini model. At 128, bfloat16 samples no faster than float32 even on
cores that multiply it in hardware, since the time goes into many small operations."""


def models(config: Config) -> dict[str, ModelConfig]:
    """The trained models, teacher and students, by their keys."""
    return {
        "model": config.model,
        "student.qwen": config.student.qwen,
        "student.llama": config.student.llama,
    }


def stronger_teacher(student: StudentsConfig) -> OriginConfig:
    """The model named by `student.teacher`; its shape is read from its folder."""
    assert student.teacher is not None
    place = Path(student.teacher)
    return OriginConfig(
        name=place.name.partition("@")[0],
        path=str(place) if place.is_absolute() else None,
        hub=None if place.is_absolute() else student.teacher,
        chat=student.teacher_chat,
    )


def with_teacher(config: Config) -> dict[str, OriginConfig]:
    """`models`, and the stronger teacher if there is one."""
    if config.student.teacher is None:
        return {**models(config)}
    return {**models(config), TEACHER: stronger_teacher(config.student)}


def from_elsewhere(config: Config) -> dict[str, OriginConfig]:
    """The pretrained models, by the setting that names each."""
    return {
        key if key == TEACHER else f"{key}.{'path' if model.path else 'hub'}": model
        for key, model in with_teacher(config).items()
        if not model.made_here
    }


def precision(config: Config) -> str:
    """engine.precision, with "auto" replaced by what suits this machine and the main model.

    That is bfloat16 with a GPU or cores that multiply it, and float32 elsewhere and for mini
    models.
    """
    if config.engine.precision != "auto":
        return config.engine.precision
    if config.model.made_here or _is_small(config.model):
        return "float32"
    fast = cores.gpu_in_sight() or cores.multiply_bfloat16()
    return "bfloat16" if fast else "float32"


def _is_small(model: OriginConfig) -> bool:
    """Whether a folder holds a model of a mini model's width; no check of the folder itself."""
    if model.path is None or model.path.endswith(GGUF):
        return False
    try:
        shape = json.loads((Path(model.path) / "config.json").read_text(encoding="utf-8"))
        return int(shape["hidden_size"]) <= SMALL
    except (OSError, ValueError, KeyError, TypeError):
        return False
