"""The typed configuration of a run: its schema, how it is composed, what is refused."""

from r1repro.config.compose import (
    SEEDS,
    compose,
    load,
    only,
    runs_folder,
    save,
    sweep,
    unset,
    values,
)
from r1repro.config.engine import PLAIN_ENGINE, EngineConfig
from r1repro.config.groups import ROOT, choices
from r1repro.config.models import (
    TEACHER,
    from_elsewhere,
    models,
    stronger_teacher,
    with_teacher,
)
from r1repro.config.objective import LABS, OF_TOKENS, PLAIN_OBJECTIVE, ObjectiveConfig
from r1repro.config.ranges import changed, refused
from r1repro.config.schema import (
    CAPS,
    GGUF,
    LONGEST_PROMPT,
    AllScenarioConfig,
    BaseConfig,
    Config,
    EvaluationConfig,
    GeneralConfig,
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
from r1repro.config.validate import check_model_folder, check_places

__all__ = [
    "CAPS", "GGUF", "LABS", "LONGEST_PROMPT", "OF_TOKENS", "PLAIN_ENGINE", "PLAIN_OBJECTIVE",
    "ROOT", "SEEDS", "TEACHER", "AllScenarioConfig", "BaseConfig", "Config", "EngineConfig",
    "EvaluationConfig", "GeneralConfig", "ModelConfig", "ObjectiveConfig", "OriginConfig",
    "RLConfig", "RewardModelConfig", "SFTConfig", "SamplesConfig", "StudentsConfig",
    "TaskConfig", "changed", "check_model_folder", "check_places", "choices", "compose",
    "from_elsewhere", "load", "models", "only", "refused", "rows_together", "runs_folder",
    "save", "stronger_teacher", "sweep", "unset", "values", "with_teacher",
]  # fmt: skip
