"""The typed configuration: composed and validated once, before anything runs.

`compose` reads the command line's settings; notebooks and stages use `save` and `load`.
"""

import difflib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from r1repro import records
from r1repro.errors import R1ReproError, offered

ROOT = Path(__file__).resolve().parents[1]
"""The checkout: conf/, notebooks/ and a relative `runs` are resolved against it."""

GROUPS = ("scale", "model", "task", "student", "ablation")
ARCHITECTURES = ("qwen2", "qwen3", "llama")
SPLITS = ("test", "validation")
LANGUAGES = ("en", "zh")
ENGINE_CHOICES = {
    "precision": ("float32", "bfloat16"),
    "attention": ("sdpa", "eager", "flash_attention_2"),
    "rollouts": ("own", "vllm", "vllm_server"),
    "report_to": ("none", "tensorboard", "wandb", "trackio"),
}
CLUSTERS = ("here", "local", "slurm")
HUB_SCALES = ("smoke", "gpu", "paper")
"""The scales with settings for pretrained models, in conf/hub/."""
LONGEST_PROMPT = 64
"""Positions, in tokens, reserved for a prompt with its template."""


@dataclass(frozen=True)
class ModelConfig:
    """The policy's shape. With `hub` or `path` the base is pretrained, else it is trained here.

    hub: a model of the Hugging Face hub, NAME@COMMIT, or NAME for the latest; its shape is given
        here for `r1repro plan`.
    path: a folder in HF format, which takes precedence over `hub`.
    chat: prompt format from the cold start on, one of tasks/prompts/; the stages before it use the
        paper's base format.
    """

    name: str = "mini_qwen"
    architecture: str = "qwen3"
    hidden_size: int = 128
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    intermediate_size: int = 384
    max_position: int = 1_024
    vocabulary: int = 2_560
    tied: bool = True
    hub: str | None = None
    path: str | None = None
    chat: str = "mini"

    @property
    def made_here(self) -> bool:
        """Whether the base is trained from random weights."""
        return self.path is None and self.hub is None


@dataclass(frozen=True)
class TaskConfig:
    """Which problems, and how many of each split.

    train, test: data sets of r1repro/tasks/sources.py, those of `test` joined by "+"; null is the
        mini world. Without `test` a part of the training problems is held out.
    path, test_path: your own files instead; prompt, answer, level: their fields; language: the
        language of their questions.
    max_level: hardest level of the mini world; 6 to 8 are longer chains of larger numbers, and
        countdown from four numbers.
    """

    name: str = "mini"
    world_seed: int = 4
    validation_problems: int = 200
    test_problems: int = 1_000
    train: str | None = None
    test: str | None = None
    path: str | None = None
    test_path: str | None = None
    prompt: str = "question"
    answer: str = "answer"
    level: str | None = None
    language: str = "en"
    max_level: int = 5


@dataclass(frozen=True)
class BaseConfig:
    """Pretraining: total tokens, and learning rates of Muon (matrices) and AdamW (the rest)."""

    tokens: int = 2_300_000
    batch_tokens: int = 1_024
    lr_matrices: float = 1e-2
    lr_rest: float = 8e-3
    warmup_fraction: float = 0.05
    weight_decay: float = 0.0
    log_every: int = 20
    save_every: int = 200


@dataclass(frozen=True)
class RLConfig:
    """GRPO with the KL term in the loss: `questions` x `generations` completions per step.

    The reward is the weighted sum of the rule-based rewards. The defaults are R1-Zero's.
    format_of_right: reward accuracy only if the answer is in its tag, and the format only of right
        answers; false rewards each independently, as in the paper.
    rollout_batch: completions sampled at a time, which bounds the KV cache.
    micro_batch_tokens: tokens of a forward and backward pass. On two CPU cores 2,048 take four
        fifths of the time of 8,192, since the logits stay in the cache.
    """

    steps: int = 140
    questions: int = 16
    generations: int = 16
    max_completion_tokens: int = 256
    lr_matrices: float = 1.3e-3
    lr_rest: float = 1.3e-3
    beta: float = 0.001
    epsilon: float = 0.2
    temperature: float = 1.0
    steps_per_generation: int = 1
    reference_sync_steps: int = 40
    format_of_right: bool = True
    accuracy_weight: float = 1.0
    format_weight: float = 1.0
    language_weight: float = 0.0
    preference_weight: float = 0.0
    rollout_batch: int = 2_048
    micro_batch_tokens: int = 2_048
    save_every: int = 20
    sample_every: int = 10

    def rollout_parts(self, rows: int) -> int:
        """Number of equal parts, in whole groups, in which a process samples `rows` completions."""
        groups = max(1, rows // self.generations)
        fitting = (n for n in range(1, groups) if groups % n == 0)
        return next((n for n in fitting if rows // n <= self.rollout_batch), groups)


@dataclass(frozen=True)
class AllScenarioConfig(RLConfig):
    """RL on reasoning prompts, mixed with general prompts in the last part of the steps.

    general_from: share of the steps before the first general prompt (R1: 1,300 of 1,700).
    general_share: share of general questions in every later step.
    """

    general_from: float = 0.75
    general_share: float = 0.5


@dataclass(frozen=True)
class SFTConfig:
    """Supervised fine-tuning on completions, cosine schedule to a tenth of the rate.

    rows_at_once: most rows per forward pass; the gradients of a batch are accumulated.
    """

    epochs: int = 3
    batch_size: int = 32
    rows_at_once: int = 64
    lr_matrices: float = 6e-3
    lr_rest: float = 6e-3
    log_every: int = 5
    save_every: int = 25


@dataclass(frozen=True)
class RFTConfig(SFTConfig):
    """Rejection-sampling fine-tuning of the base on as many samples as R1-Zero draws.

    keep_all: train on all samples, for scale=smoke, where no answer is right.
    """

    keep_all: bool = False


@dataclass(frozen=True)
class SamplesConfig:
    """A data set of `questions` x `samples` samples of a policy, at most `kept` per question.

    keep_all: drop nothing, for scale=smoke, where no answer is right.
    """

    questions: int = 1_500
    samples: int = 4
    kept: int = 2
    temperature: float = 1.0
    max_completion_tokens: int = 256
    rollout_batch: int = 2_048
    keep_all: bool = False


@dataclass(frozen=True)
class RejectionConfig(SamplesConfig):
    """Rejection sampling; `general_share` of the data set is general (R1: 200k of 800k)."""

    questions: int = 1_600
    general_share: float = 0.25


@dataclass(frozen=True)
class RewardModelConfig:
    """The preference reward model: pairs from `samples` answers to each general prompt."""

    questions: int = 1_200
    samples: int = 4
    temperature: float = 1.0
    max_completion_tokens: int = 64
    rollout_batch: int = 2_048
    epochs: int = 3
    batch_size: int = 32
    rows_at_once: int = 64
    lr_matrices: float = 5e-3
    lr_rest: float = 5e-3
    log_every: int = 5
    save_every: int = 25


def rows_together(settings: SFTConfig | RewardModelConfig, processes: int = 1) -> int:
    """Largest equal part of a process's batch that is at most rows_at_once, in rows."""
    share = settings.batch_size // processes
    most = min(share, settings.rows_at_once)
    return next(rows for rows in range(most, 0, -1) if share % rows == 0)


@dataclass(frozen=True)
class StagesConfig:
    """Settings of each training stage, by its name."""

    base: BaseConfig = field(default_factory=BaseConfig)
    r1_zero: RLConfig = field(default_factory=RLConfig)
    base_rft: RFTConfig = field(default_factory=RFTConfig)
    cold_start_data: SamplesConfig = field(default_factory=SamplesConfig)
    dev1: SFTConfig = field(default_factory=SFTConfig)
    # RL from a fine-tuned policy uses a quarter of R1-Zero's rate: at half of it Dev2 lost three
    # points on the validation problems of an earlier world, at a quarter one.
    dev2: RLConfig = field(
        default_factory=lambda: RLConfig(
            steps=24, lr_matrices=3.5e-4, lr_rest=3.5e-4, language_weight=1.0
        )
    )
    rejection_sampling: RejectionConfig = field(default_factory=RejectionConfig)
    dev3: SFTConfig = field(default_factory=SFTConfig)
    reward_model: RewardModelConfig = field(default_factory=RewardModelConfig)
    r1: AllScenarioConfig = field(
        default_factory=lambda: AllScenarioConfig(
            steps=24,
            lr_matrices=3.5e-4,
            lr_rest=3.5e-4,
            temperature=0.7,
            language_weight=1.0,
            preference_weight=1.0,
        )  # fmt: skip
    )
    qwen_base: BaseConfig = field(default_factory=lambda: BaseConfig(tokens=1_600_000))
    # Llama has no QK-norm, and its base hardly learns at Qwen3's rates.
    llama_base: BaseConfig = field(
        default_factory=lambda: BaseConfig(tokens=1_600_000, lr_matrices=5e-3, lr_rest=4e-3)
    )
    # Each rate of a student is the best of three on the validation problems (docs/paper.md).
    qwen_distilled: SFTConfig = field(default_factory=SFTConfig)
    llama_distilled: SFTConfig = field(default_factory=SFTConfig)
    # Enough steps to spend the FLOPs of distillation: 64 spent 89 % (Qwen) and 99 % (Llama) of them
    # in one run. A run that spends fewer has no comparison at equal FLOPs.
    qwen_rl: RLConfig = field(default_factory=lambda: RLConfig(steps=76))
    llama_rl: RLConfig = field(
        default_factory=lambda: RLConfig(steps=76, lr_matrices=6.5e-4, lr_rest=6.5e-4)
    )
    qwen_distilled_rl: RLConfig = field(
        default_factory=lambda: RLConfig(
            steps=16, lr_matrices=7e-4, lr_rest=7e-4, language_weight=1.0
        )
    )
    llama_distilled_rl: RLConfig = field(
        default_factory=lambda: RLConfig(
            steps=16, lr_matrices=3.5e-4, lr_rest=3.5e-4, language_weight=1.0
        )
    )


@dataclass(frozen=True)
class StudentsConfig:
    """The two students of distillation, each with its own base.

    traces: a stronger teacher's answers instead of Dev2's, as a file or a data set of the hub;
        traces_prompt, traces_completion: its fields; traces_rows: most rows, each of at most
        traces_tokens tokens.
    teacher: a stronger teacher, a model folder or a model of the hub, that answers the questions of
        rejection sampling; its answers pass the same filters. teacher_chat: its prompt format, one
        of tasks/prompts/; teacher_tokens: most tokens of an answer, null for Dev2's cap.
    """

    name: str = "mini"
    traces: str | None = None
    traces_prompt: str = "problem"
    traces_completion: str = "generations"
    traces_rows: int = 20_000
    traces_tokens: int = 8_192
    teacher: str | None = None
    teacher_chat: str = "qwen"
    teacher_tokens: int | None = None
    qwen: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            name="mini_qwen", hidden_size=96, layers=3, intermediate_size=288
        )
    )
    llama: ModelConfig = field(
        default_factory=lambda: ModelConfig(
            name="mini_llama",
            architecture="llama",
            hidden_size=96,
            layers=3,
            intermediate_size=288,
        )  # fmt: skip
    )


@dataclass(frozen=True)
class AblationConfig:
    """Which ablations run beside the plain sequence."""

    name: str = "none"
    base_rft: bool = False
    base_forced: bool = False
    permuted_rewards: bool = False
    format_only: bool = False
    equal_weights: bool = False
    no_language_reward: bool = False
    reasoning_only: bool = False
    preference_throughout: bool = False
    rl_plateau: bool = False


@dataclass(frozen=True)
class EvaluationConfig:
    """How a checkpoint is sampled on the held-out problems; `split` "validation" is for trials.

    samples: per reasoning problem, for base and R1-Zero; `samples_between`: the same for the other
        checkpoints; `general_samples`: per general item; `search_samples`: per validation problem
        in the search for the best prompt of the base.
    """

    split: str = "test"
    samples: int = 16
    samples_between: int = 4
    general_samples: int = 2
    search_samples: int = 2
    temperature: float = 0.6
    top_p: float = 0.95
    max_completion_tokens: int = 256
    rollout_batch: int = 2_048


@dataclass(frozen=True)
class EngineConfig:
    """How models are loaded, trained and sampled.

    precision: of the computation. Full fine-tuning keeps float32 weights and computes under
        autocast; with LoRA the frozen weights have this precision, as do models that only sample.
    attention: attention implementation, as named by transformers.
    sharded: shard weights, gradients and optimizer state over the processes (FSDP2); rollouts use
        a full copy of the weights.
    lora_rank: rank of the adapters, which are merged at the end of a stage; 0 trains the weights
        themselves. quantized: frozen weights in 4 bits (QLoRA).
    rollouts: our sampler ("own"), vLLM in the same process ("vllm"), or for training on a server
        at `vllm_server` ("vllm_server"; sampling with fixed weights then uses vLLM in-process).
    report_to: where the trainers log besides metrics.parquet.
    """

    precision: str = "float32"
    attention: str = "sdpa"
    gradient_checkpointing: bool = False
    sharded: bool = False
    lora_rank: int = 0
    lora_alpha: int = 64
    quantized: bool = False
    unsloth: bool = False
    rollouts: str = "own"
    vllm_server: str = "http://localhost:8000"
    report_to: str = "none"


PLAIN_ENGINE = EngineConfig()
"""Full models in float32, our sampler."""


@dataclass(frozen=True)
class LaunchConfig:
    """Number of processes of a training stage (started by `accelerate launch` if above one).

    Every process holds the whole model, unless engine.sharded is true.
    cluster: where `r1repro run` runs: "here", or as a submitit job on "slurm" or in the background
        ("local"). A Slurm job gets one GPU per process, and `hours`, `cpus` and `memory` (GiB).
    """

    processes: int = 1
    cluster: str = "here"
    partition: str | None = None
    hours: int = 24
    cpus: int = 8
    memory: int = 64


@dataclass(frozen=True)
class Config:
    """Everything a run depends on."""

    seed: int = 0
    base_seed: int = 0
    runs: str = "runs"
    scale: str = "laptop"
    model: ModelConfig = field(default_factory=ModelConfig)
    task: TaskConfig = field(default_factory=TaskConfig)
    stage: StagesConfig = field(default_factory=StagesConfig)
    student: StudentsConfig = field(default_factory=StudentsConfig)
    ablation: AblationConfig = field(default_factory=AblationConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    launch: LaunchConfig = field(default_factory=LaunchConfig)


SEEDS = ("seed", "base_seed")
"""Settings that may differ between the runs of a joint report."""
FLAGS = ("from", "until")
"""Flags of the command line that look like settings."""
# Settings that change no result, as does every save_every.
RESULT_FREE = (
    "runs",
    "scale",
    "engine.vllm_server",
    "engine.report_to",
    *(f"launch.{name}" for name in ("cluster", "partition", "hours", "cpus", "memory")),
)


def compose(overrides: Sequence[str] = ()) -> Config:
    """Compose conf/ with Hydra overrides such as `scale=smoke` or `seed=3`.

    Raises R1ReproError with the key, its value and what is accepted.
    """
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if not (ROOT / "conf").is_dir():
        raise R1ReproError(
            f"no folder conf/ in {ROOT}: r1repro runs from a checkout; "
            "clone it and install with `pip install -e .`"
        )
    texts = list(overrides)
    for text in texts:
        _check_override(text)
    # A frozen dataclass gives a read-only node, into which Hydra cannot merge conf/.
    schema = OmegaConf.structured(Config)
    _make_writable(schema)
    ConfigStore.instance().store(name="schema", node=schema)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(version_base="1.3", config_dir=str(ROOT / "conf")):
            node = hydra_compose("config", overrides=texts)
            if node.student.name == "hub" and node.scale in HUB_SCALES:
                # Pretrained models have their own steps, rates and lengths.
                node = hydra_compose("config", overrides=[f"hub={node.scale}", *texts])
        config = OmegaConf.to_object(node)
    except (HydraException, OmegaConfBaseException) as error:
        reason = " ".join(str(error.__cause__ or error).split())
        raise R1ReproError(f"the configuration cannot be composed: {reason}") from error
    assert isinstance(config, Config)
    # Stages run from the checkout, but typed paths are relative to the working directory.
    student = config.student
    if student.traces is not None and Path(student.traces).suffix in records.SUFFIXES:
        student = replace(student, traces=_absolute(student.traces))
    if student.teacher is not None and _is_folder(student.teacher):
        student = replace(student, teacher=_absolute(student.teacher))
    config = replace(
        config,
        task=_resolved_task(config.task),
        model=_resolved(config.model),
        student=replace(student, qwen=_resolved(student.qwen), llama=_resolved(student.llama)),
    )
    validate(config)
    return config


def sweep(overrides: Sequence[str]) -> list[Config]:
    """One configuration per value of a comma list such as `seed=0,1,2`.

    Raises R1ReproError if the configurations differ in anything but one seed.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
    except HydraException as error:
        raise R1ReproError(
            f"the overrides cannot be read: {' '.join(str(error).split())}"
        ) from error
    choices = [
        [f"{one.get_key_element()}={value}" for value in one.sweep_string_iterator()]
        if one.is_sweep_override()
        else [str(one.input_line)]
        for one in parsed
    ]
    for one, found in zip(parsed, choices, strict=True):
        if len(found) > 1 and one.key_or_group not in SEEDS:
            raise R1ReproError(
                f"{one.input_line} varies {one.key_or_group}, and --multirun joins runs that "
                f"differ only in {' or '.join(SEEDS)}: run each value separately"
            )
    if sum(len(found) > 1 for found in choices) > 1:
        raise R1ReproError(
            "seed and base_seed are both lists, which makes runs that share a base and are not "
            "independent: vary one of them"
        )
    for found in choices:
        if doubled := sorted({word for word in found if found.count(word) > 1}):
            raise R1ReproError(f"{doubled[0]} is given twice: give each seed once")
    return [compose(words) for words in itertools.product(*choices)]


M = TypeVar("M", bound=ModelConfig)


def _resolved(model: M) -> M:
    if model.path is None:
        return model
    return replace(model, path=_absolute(model.path))


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())


def _is_folder(text: str) -> bool:
    """Whether the text names a folder rather than a model of the hub."""
    return text.startswith(("/", ".", "~")) or Path(text).is_dir()


def _resolved_task(task: TaskConfig) -> TaskConfig:
    if task.path is None:
        return task
    name = "own" if task.name == "mini" else task.name
    test = None if task.test_path is None else _absolute(task.test_path)
    return replace(task, name=name, path=_absolute(task.path), test_path=test)


def models(config: Config) -> dict[str, ModelConfig]:
    """The shapes of the trained models, teacher and students, by their keys."""
    return {
        "model": config.model,
        "student.qwen": config.student.qwen,
        "student.llama": config.student.llama,
    }


TEACHER = "student.teacher"
"""The key of the stronger teacher, which is sampled but not trained."""


def stronger_teacher(student: StudentsConfig) -> ModelConfig:
    """The model named by `student.teacher`; its shape is read from its folder."""
    assert student.teacher is not None
    place = Path(student.teacher)
    return ModelConfig(
        name=place.name.partition("@")[0],
        path=str(place) if place.is_absolute() else None,
        hub=None if place.is_absolute() else student.teacher,
        chat=student.teacher_chat,
    )


def with_teacher(config: Config) -> dict[str, ModelConfig]:
    """`models`, and the stronger teacher if there is one."""
    if config.student.teacher is None:
        return models(config)
    return {**models(config), TEACHER: stronger_teacher(config.student)}


def from_elsewhere(config: Config) -> dict[str, ModelConfig]:
    """The pretrained models, by the setting that names each."""
    return {
        key if key == TEACHER else f"{key}.{'path' if model.path else 'hub'}": model
        for key, model in with_teacher(config).items()
        if not model.made_here
    }


STUDENTS = ("qwen", "llama")


def model_key(checkpoint: str) -> str:
    """The key in `models` of a checkpoint's model: a student's, or the teacher's."""
    student = next((name for name in STUDENTS if checkpoint.startswith(f"{name}_")), None)
    return "model" if student is None else f"student.{student}"


def save(config: Config, path: Path) -> None:
    """Write the resolved configuration as YAML, atomically."""
    from omegaconf import OmegaConf

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(OmegaConf.to_yaml(OmegaConf.structured(config)), encoding="utf-8")
    part.replace(path)


def load(path: Path | str) -> Config:
    """Read a file written by `save`. Raises R1ReproError if it is missing or malformed."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    path = Path(path)
    if not path.is_file():
        raise R1ReproError(
            f"no configuration at {path}: "
            "give the resolved.yaml of a run, or leave config_path empty"
        )
    schema = OmegaConf.structured(Config)
    _make_writable(schema)
    try:
        config = OmegaConf.to_object(OmegaConf.merge(schema, OmegaConf.load(path)))
    except (OmegaConfBaseException, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise R1ReproError(
            f"{path} is not a configuration of this version ({reason}): compose it again"
        ) from error
    assert isinstance(config, Config)
    validate(config)
    return config


def values(config: Config, path: str) -> Any:
    """The value at a dotted path as plain data, without the settings that change no result."""
    node: Any = config
    for word in path.split("."):
        node = getattr(node, word)
    return _plain(node, path)


def only(config: Config, paths: Sequence[str]) -> Config:
    """The configuration with None for all but `paths` and the settings that change no result.

    Stages get this, so that a stage that uses a setting outside its key fails.
    """
    saving = (p for p in _accepted_types() if p.endswith(".save_every"))
    return _only(config, "", (*paths, *RESULT_FREE, *saving))


def runs_folder(config: Config) -> Path:
    """The folder of all results; a relative `runs` is resolved against the checkout."""
    return (ROOT / Path(config.runs).expanduser()).resolve()


def validate(config: Config) -> None:
    """Raise R1ReproError for values that are out of range or incompatible."""
    _check_ranges(config)
    for group in GROUPS:
        name = config.scale if group == "scale" else getattr(config, group).name
        if name not in choices(group):
            raise _refused(group, name, _choices_listed(group, name))
    if config.evaluation.split not in SPLITS:
        raise _refused("evaluation.split", config.evaluation.split, f"one of {_listed(SPLITS)}")
    for key, model in models(config).items():
        _check_shape(key, model)
    for name, node in vars(config.stage).items():
        key = f"stage.{name}"
        if isinstance(node, RLConfig):
            _check_rl(key, node, config.launch.processes)
        if isinstance(node, SFTConfig | RewardModelConfig):
            processes = config.launch.processes
            if node.batch_size % processes:
                accepted = f"a multiple of launch.processes={processes}"
                raise _refused(f"{key}.batch_size", node.batch_size, accepted)
        if isinstance(node, BaseConfig) and node.save_every % node.log_every:
            accepted = f"a multiple of {key}.log_every={node.log_every}"
            raise _refused(f"{key}.save_every", node.save_every, accepted)
    sources = {key: model.path or model.hub for key, model in models(config).items()}
    if None in sources.values() and any(sources.values()):
        key = next(key for key, source in sources.items() if source is None)
        other = next(key for key, source in sources.items() if source)
        raise _refused(
            f"{key}.path",
            "null",
            f"a model folder, like {other}, or {key}.hub a model of the hub: models made here and "
            "others are asked in different templates and do not go together",
        )
    if config.student.name == "hub" and config.scale not in HUB_SCALES:
        raise _refused(
            "scale",
            config.scale,
            f"one of {_listed(HUB_SCALES)} with model={config.model.name}, since the other scales "
            "have the rates and lengths of the mini world",
        )
    _check_task(config)
    share = config.stage.rejection_sampling.general_share
    if share >= 1:
        raise _refused("stage.rejection_sampling.general_share", share, "from 0 to below 1")
    _check_engine(config)
    _check_positions(config)
    for key, model in from_elsewhere(config).items():
        if model.path is not None:
            check_model_folder(key, model.path)


def _check_task(config: Config) -> None:
    task = config.task
    if task.language not in LANGUAGES:
        raise _refused("task.language", task.language, f"one of {_listed(LANGUAGES)}")
    for key, path in (("path", task.path), ("test_path", task.test_path)):
        if path is not None and not Path(path).is_file():
            raise _refused(f"task.{key}", path, "a file that is there, .jsonl, .json or .parquet")
    if task.name == "own" and task.path is None:
        raise _refused("task.path", "null", "with task=own a file of questions and answers")
    endless = task.train is None or task.train.startswith("reasoning_gym:")
    if task.test is not None and task.path is None and endless:
        raise _refused("task.test", task.test, "null where problems are drawn without end")
    if task.test_path is not None and task.path is None:
        raise _refused("task.test_path", task.test_path, "a file only beside task.path")
    traces = config.student.traces
    is_file = traces is not None and Path(traces).suffix in records.SUFFIXES
    if traces is not None and config.model.made_here:
        raise _refused(
            "student.traces", traces, "null with models made here, which read the mini world alone"
        )
    if traces is not None and is_file and not Path(traces).is_file():
        raise _refused("student.traces", traces, "a file that is there, or a data set of the hub")
    teacher = config.student.teacher
    if teacher is not None and traces is not None:
        raise _refused(TEACHER, teacher, "null with student.traces: the students learn from one")
    if teacher is not None and config.model.made_here:
        raise _refused(
            TEACHER, teacher, "null with models made here, which read the mini world alone"
        )
    if config.model.made_here and (task.path or task.train):
        raise _refused(
            "task",
            task.name,
            f"mini with model={config.model.name}, which is made here and knows the mini world "
            "alone; scale=gpu model=qwen2.5-0.5b, or another of the hub, or model=local with "
            "model.path=FOLDER takes any task",
        )


def _check_shape(key: str, model: ModelConfig) -> None:
    if model.architecture not in ARCHITECTURES:
        accepted = f"one of {_listed(ARCHITECTURES)}"
        raise _refused(f"{key}.architecture", model.architecture, accepted)
    if model.heads % model.kv_heads:
        accepted = f"a divisor of {key}.heads={model.heads}"
        raise _refused(f"{key}.kv_heads", model.kv_heads, accepted)
    if model.head_dim % 2:
        raise _refused(f"{key}.head_dim", model.head_dim, "an even number (rotary positions)")


def _check_engine(config: Config) -> None:
    """Check combinations; r1repro.stages.engines checks what is installed."""
    engine, launch = config.engine, config.launch
    for name, accepted in ENGINE_CHOICES.items():
        if getattr(engine, name) not in accepted:
            raise _refused(f"engine.{name}", getattr(engine, name), f"one of {_listed(accepted)}")
    if engine.quantized and engine.lora_rank == 0:
        raise _refused(
            "engine.quantized", "true", "false unless engine.lora_rank is above 0, since weights "
            "in 4 bits are not trained themselves",
        )  # fmt: skip
    if engine.sharded and (launch.processes == 1 or engine.lora_rank or engine.unsloth):
        raise _refused(
            "engine.sharded", "true", "false unless launch.processes is above 1 and whole weights "
            "are trained (engine.lora_rank=0, engine.unsloth=false)",
        )  # fmt: skip
    if engine.rollouts != "own" and engine.quantized:
        raise _refused(
            "engine.rollouts", engine.rollouts, "own with engine.quantized=true, since weights in "
            "4 bits are not handed to vLLM",
        )  # fmt: skip
    if engine.attention == "flash_attention_2" and engine.precision == "float32":
        raise _refused(
            "engine.attention", engine.attention, "sdpa or eager with engine.precision=float32"
        )
    if launch.cluster not in CLUSTERS:
        raise _refused("launch.cluster", launch.cluster, f"one of {_listed(CLUSTERS)}")


def _check_positions(config: Config) -> None:
    """Check that completions fit the models' positions; models from folders are not checked."""
    nodes = [(f"stage.{name}", node) for name, node in vars(config.stage).items()]
    for key, node in [*nodes, ("evaluation", config.evaluation)]:
        tokens = getattr(node, "max_completion_tokens", None)
        for name, model in models(config).items():
            if tokens is None or model.path is not None:
                continue
            if model.hub is not None and tokens > model.max_position:
                raise _refused(
                    f"{key}.max_completion_tokens",
                    tokens,
                    f"at most {name}.max_position={model.max_position} of {model.name}",
                )
            if model.hub is not None:
                continue
            if tokens + LONGEST_PROMPT > model.max_position:
                raise _refused(
                    f"{key}.max_completion_tokens",
                    tokens,
                    f"at most {model.max_position - LONGEST_PROMPT}, that is {name}.max_position="
                    f"{model.max_position} less {LONGEST_PROMPT} for the prompt, unless "
                    "model= names one of the hub or model.path= gives one of yours",
                )


def _check_rl(key: str, grpo: RLConfig, processes: int) -> None:
    if grpo.generations < 2:
        raise _refused(
            f"{key}.generations",
            grpo.generations,
            "at least 2, since an advantage compares the answers of one group",
        )
    if grpo.questions % processes:
        raise _refused(
            f"{key}.questions", grpo.questions, f"a multiple of launch.processes={processes}"
        )
    if grpo.save_every % grpo.steps_per_generation:
        raise _refused(
            f"{key}.save_every",
            grpo.save_every,
            f"a multiple of steps_per_generation={grpo.steps_per_generation}, "
            "since only there a run can resume bit for bit",
        )
    if grpo.steps % grpo.steps_per_generation:
        raise _refused(
            f"{key}.steps",
            grpo.steps,
            f"a multiple of steps_per_generation={grpo.steps_per_generation}, "
            "since completions are sampled for that many steps at once",
        )
    if grpo.accuracy_weight == grpo.format_weight == 0:
        raise _refused(f"{key}.accuracy_weight", 0, "one of the two reward weights above zero")


def choices(group: str) -> list[str]:
    """The choices in conf/ for one of GROUPS."""
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


def _choices_listed(group: str, wrong: str) -> str:
    return f"one of {offered(wrong, choices(group), f'conf/{group}/ has')}"


# Range of a number, by the last part of its key; all others are integers of at least 1.
_RANGES: dict[str, tuple[float, float, str]] = {
    "seed": (0, 2**32 - 1, "a whole number from 0 to 4294967295"),
    "base_seed": (0, 2**32 - 1, "a whole number from 0 to 4294967295"),
    "world_seed": (0, 2**32 - 1, "a whole number from 0 to 4294967295"),
    "warmup_fraction": (0, 1, "from 0 to 1"),
    "weight_decay": (0, 1, "from 0 to 1"),
    "lr_matrices": (0, 1, "from 0 to 1"),
    "lr_rest": (0, 1, "from 0 to 1"),
    "beta": (0, 100, "zero or more"),
    "epsilon": (0, 1000, "zero or more"),
    "temperature": (1e-3, 100, "above zero"),
    "top_p": (1e-6, 1, "above 0 and at most 1"),
    "accuracy_weight": (0, 1e6, "zero or more"),
    "format_weight": (0, 1e6, "zero or more"),
    "language_weight": (0, 1e6, "zero or more"),
    "preference_weight": (0, 1e6, "zero or more"),
    "general_from": (0, 1, "from 0 to 1"),
    "general_share": (0, 1, "from 0 to 1"),
    "max_level": (1, 8, "a level from 1 to 8"),
    "lora_rank": (0, 4096, "0, which trains the weights themselves, or more"),
}


def _check_ranges(config: Config) -> None:
    for key, value in _leaves(config):
        if isinstance(value, (str, bool)) or value is None:
            continue
        low, high, accepted = _RANGES.get(
            key.rsplit(".", 1)[-1], (1, 2**40, "a whole number of at least 1")
        )
        if not low <= value <= high:
            raise _refused(key, value, accepted)


def check_model_folder(key: str, path: str) -> None:
    """Raise R1ReproError unless this is a model folder whose tokenizer can write tags and sums."""
    folder = Path(path).expanduser()
    missing = [f for f in ("config.json", "tokenizer.json") if not (folder / f).is_file()]
    if missing:
        raise _refused(
            key, path, f"a model folder in HF format; it has no {' and no '.join(missing)}"
        )
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower, for example on a pointer file
        raise _refused(key, path, "a model folder whose tokenizer.json can be read") from error
    # The characters and tags of the mini world's problems and answers.
    for text in ("0123456789", "+-*=", "(1)", "<think>", "</think>", "<answer>", "</answer>", "数"):
        read = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
        if "".join(read.split()) != text:
            raise _refused(
                key,
                path,
                f"a model whose tokenizer round-trips the tasks' characters; this one decodes "
                f"{text!r} as {read!r}",
            )


def _check_override(text: str) -> None:
    """Raise R1ReproError for an override that Hydra rejects at length or silently accepts."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    malformed = R1ReproError(
        f"`{text}` is not a setting: write key=value, such as seed=3 or stage.r1_zero.steps=200"
    )
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        raise malformed from error
    if not override.key_or_group:
        raise malformed
    key = override.key_or_group
    if key in FLAGS:
        raise R1ReproError(
            f"`{text}` is not a setting: write `--{key} STAGE` after `r1repro run` or `plan`"
        )
    if override.is_delete() or override.is_add() or override.is_force_add():
        raise R1ReproError(
            f"`{text}` would add or delete a key: only key=value for a key that exists is accepted"
        )
    if override.is_sweep_override():
        raise R1ReproError(f"`{text}` has several values: give one, or use --multirun for seeds")
    if key in GROUPS:
        if override.value() not in choices(key):
            raise _refused(key, override.value(), _choices_listed(key, str(override.value())))
        return
    accepted = _accepted_types()
    if key not in accepted:
        inside = [name for name in accepted if name.startswith(key + ".")]
        known = inside or difflib.get_close_matches(key, list(accepted), n=1, cutoff=0.0)
        hint = (
            f"its keys are {offered(key, inside, 'r1repro/config.py has')}"
            if inside
            else f"the nearest one is {known[0]}"
        )
        word = "is a group of settings" if inside else "is not a setting"
        raise R1ReproError(f"`{key}` in `{text}` {word}: {hint}")
    value, kinds = override.value(), accepted[key]
    if value is None and type(None) in kinds:
        return
    if bool in kinds:
        fits = isinstance(value, bool)
    elif str in kinds:
        fits = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    else:
        fits = isinstance(value, int | float if float in kinds else int)
        fits = fits and not isinstance(value, bool)
    if not fits:
        names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
        name = names[kinds[0]]
        raise _refused(key, value, name)


def _accepted_types() -> dict[str, tuple[type, ...]]:
    def walk(kind: type, prefix: str) -> Iterator[tuple[str, tuple[type, ...]]]:
        for name, hint in get_type_hints(kind).items():
            if is_dataclass(hint):
                yield from walk(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
            else:
                yield f"{prefix}{name}", get_args(hint) or (hint,)

    return dict(walk(Config, ""))


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for f in fields(node):
        value = getattr(node, f.name)
        if is_dataclass(value):
            yield from _leaves(value, f"{prefix}{f.name}.")
        else:
            yield prefix + f.name, value


def _plain(node: Any, path: str) -> Any:
    if not is_dataclass(node):
        return node
    inner = ((f.name, f"{path}.{f.name}".lstrip(".")) for f in fields(node))
    return {
        name: _plain(getattr(node, name), inside)
        for name, inside in inner
        if inside not in RESULT_FREE and name != "save_every"
    }


def _only(node: Any, path: str, kept: Sequence[str]) -> Any:
    if any(path == keep or path.startswith(keep + ".") for keep in kept):
        return node
    if not is_dataclass(node) or not any(keep.startswith(path) for keep in kept):
        return None
    inner = {f.name: f"{path}.{f.name}".lstrip(".") for f in fields(node)}
    whole: Any = node
    return replace(whole, **{n: _only(getattr(node, n), p, kept) for n, p in inner.items()})


def _make_writable(node: Any) -> None:
    from omegaconf import OmegaConf

    OmegaConf.set_readonly(node, None)
    for key in node:
        child = node._get_node(key)
        if OmegaConf.is_config(child):
            _make_writable(child)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)


def _refused(key: str, value: object, accepted: str) -> R1ReproError:
    return R1ReproError(f"{key}={value} is not accepted: {key} takes {accepted}")
