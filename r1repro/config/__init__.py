"""The typed configuration of a run: its schema, how it is composed, what is refused."""

from r1repro.config.compose import (
    SEEDS,
    compose,
    load,
    only,
    runs_folder,
    save,
    sweep,
    values,
)
from r1repro.config.groups import ROOT, choices
from r1repro.config.models import (
    STUDENTS,
    TEACHER,
    from_elsewhere,
    model_key,
    models,
    stronger_teacher,
    with_teacher,
)
from r1repro.config.objective import PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.config.schema import (
    LONGEST_PROMPT,
    PLAIN_ENGINE,
    AllScenarioConfig,
    BaseConfig,
    Config,
    EngineConfig,
    EvaluationConfig,
    ModelConfig,
    OriginConfig,
    RewardModelConfig,
    RLConfig,
    SamplesConfig,
    SFTConfig,
    StudentsConfig,
    TaskConfig,
    rows_together,
)
from r1repro.config.validate import check_model_folder

__all__ = [
    "LONGEST_PROMPT", "PLAIN_ENGINE", "PLAIN_OBJECTIVE", "ROOT", "SEEDS", "STUDENTS", "TEACHER",
    "AllScenarioConfig", "BaseConfig", "Config", "EngineConfig", "EvaluationConfig", "ModelConfig",
    "ObjectiveConfig", "OriginConfig", "RLConfig", "RewardModelConfig", "SFTConfig",
    "SamplesConfig", "StudentsConfig", "TaskConfig", "check_model_folder", "choices", "compose",
    "from_elsewhere", "load", "model_key", "models", "only", "rows_together", "runs_folder",
    "save", "stronger_teacher", "sweep", "values", "with_teacher",
]  # fmt: skip
