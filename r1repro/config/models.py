"""The models of a configuration: which there are, and where they are from."""

from pathlib import Path

from r1repro.config.schema import Config, ModelConfig, OriginConfig, StudentsConfig

TEACHER = "student.teacher"
"""The key of the stronger teacher, which is sampled but not trained."""


def models(config: Config) -> dict[str, ModelConfig]:
    """The shapes of the trained models, teacher and students, by their keys."""
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
