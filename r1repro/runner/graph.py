"""The stage graph, as plain data.

A stage is a function of its configuration and its inputs' results to one folder:

    def run(
        config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
    ) -> None

It writes its outputs into `folder`, which survives a kill: checkpoints are in `folder/checkpoints`
and the stage resumes from the newest. When it returns, the folder becomes a result
(r1repro.artifacts). Settings of `config` that do not enter the stage's key are None
(r1repro.config.only).
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from operator import attrgetter

from r1repro.config import (
    STUDENTS,
    TEACHER,
    Config,
    EvaluationConfig,
    RLConfig,
    SamplesConfig,
    SFTConfig,
    model_key,
)
from r1repro.errors import R1ReproError, offered


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    `version` is incremented when the result changes for the same configuration; `run` is
    "module:function"; `config` lists the dotted paths that the result depends on; `notebook` is
    the one whose cell runs it; `seconds` estimates its time on two CPU cores without a GPU;
    `distributed` stages run in `launch.processes` processes, the others in one; a stage with a
    `switch` exists only if that setting is true or not null; a `half` stage uses half of the
    cores, so that another can run beside it (r1repro.cores).
    """

    name: str
    version: int
    run: str
    config: tuple[str, ...]
    seconds: Callable[[Config], float]
    inputs: tuple[str, ...] = ()
    notebook: str | None = None
    distributed: bool = False
    switch: str | None = None
    half: bool = False


_LOADED = ("engine.precision", "engine.attention")
"""Settings that the result of every stage that loads a model depends on."""
_SAMPLED = (*_LOADED, "engine.rollouts")
_TRAINED = (
    *_LOADED,
    *(
        f"engine.{name}"
        for name in (
            "gradient_checkpointing",
            "sharded",
            "lora_rank",
            "lora_alpha",
            "quantized",
            "unsloth",
        )
    ),
    "launch.processes",
)
LATER = ("evaluation.problems", "evaluation.general_items")
"""Settings that enter a key only where they are set, since results were stored before they came."""
GENERAL_ITEMS = 1_110  # of the test split, the same at every scale
NO_LIMIT = 10**9


# Measured on two CPU cores; larger models are slower. The students' stages, with smaller models on
# one core, take about as long as the teacher's on both.
def _base_seconds(config: Config) -> float:
    return 8 + config.stage.base.tokens / 11_500


def _student_base_seconds(name: str) -> Callable[[Config], float]:
    return lambda config: 8 + getattr(config.stage, name).tokens / 15_000


def _rl_seconds(name: str) -> Callable[[Config], float]:
    def seconds(config: Config) -> float:
        settings: RLConfig = getattr(config.stage, name)
        return 6 + settings.steps * settings.questions * settings.generations / 110

    return seconds


def _sft_seconds(name: str, data: str) -> Callable[[Config], float]:
    def seconds(config: Config) -> float:
        made: SamplesConfig = getattr(config.stage, data)
        settings: SFTConfig = getattr(config.stage, name)
        return 6 + made.questions * made.kept * settings.epochs / 290

    return seconds


def _samples_seconds(name: str) -> Callable[[Config], float]:
    def seconds(config: Config) -> float:
        settings: SamplesConfig = getattr(config.stage, name)
        return 6 + settings.questions * settings.samples / 500

    return seconds


def _reward_model_seconds(config: Config) -> float:
    settings = config.stage.reward_model
    return 6 + settings.questions * (settings.epochs / 550 + settings.samples / 750)


def _evaluation_seconds(config: Config) -> float:
    evaluation = config.evaluation
    asked = _problems(config) * evaluation.samples_between
    return 5 + (asked + _general(config)) / 300


def _in_depth_seconds(config: Config) -> float:
    evaluation = config.evaluation
    return 5 + (_problems(config) * evaluation.samples + _general(config)) / 330


def _search_seconds(config: Config) -> float:
    ways, answers = 8, 1 + 3 * config.evaluation.search_samples
    problems = min(config.task.validation_problems, config.evaluation.problems or NO_LIMIT)
    return 5 + problems * ways * answers / 200


def _rft_data_seconds(config: Config) -> float:
    rl = config.stage.r1_zero
    return 6 + rl.steps * rl.questions * rl.generations / 500


def _problems(config: Config) -> int:
    task = config.task
    there = task.test_problems if config.evaluation.split == "test" else task.validation_problems
    return min(there, config.evaluation.problems or NO_LIMIT)


def _general(config: Config) -> int:
    evaluation = config.evaluation
    return min(GENERAL_ITEMS, evaluation.general_items or NO_LIMIT) * evaluation.general_samples


def _asked_as(checkpoint: str) -> tuple[str, ...]:
    """The settings that determine a checkpoint's prompt format."""
    return tuple(f"{model_key(checkpoint)}.{name}" for name in ("path", "hub", "chat"))


def _student_form(name: str) -> tuple[str, ...]:
    """Prompt format and traces of a student; empty for a teacher, whose key has its whole shape."""
    if model_key(name) == "model":
        return ()
    traces = [f"traces{rest}" for rest in ("", "_prompt", "_completion", "_rows", "_tokens")]
    return (*_asked_as(name), *(f"student.{key}" for key in traces))


def _evaluation(
    checkpoint: str,
    notebook: str,
    policy: str | None = None,
    run: str = "run",
    ablation: str | None = None,
) -> Stage:
    """The stage evaluate_X of a checkpoint X, trained by the stage `policy` (default X)."""
    read = [f.name for f in fields(EvaluationConfig) if f.name != "samples" or run == "in_depth"]
    return Stage(
        name=f"evaluate_{checkpoint}",
        version=5,
        run=f"r1repro.stages.evaluate:{run}",
        config=(
            *_asked_as(checkpoint),
            "task",
            *(f"evaluation.{name}" for name in read),
            "base_seed",
            *_SAMPLED,
        ),
        seconds=_in_depth_seconds if run == "in_depth" else _evaluation_seconds,
        inputs=(policy or checkpoint,),
        notebook=notebook,
        switch=ablation and f"ablation.{ablation}",
    )


def _way(name: str) -> Stage:
    """The stage evaluate_base_X: the base with another prompt."""
    stage = _evaluation(f"base_{name}", "00_base_model", policy="base")
    searched = ("base_search",) if name in ("best", "few_shot") else ()
    return replace(
        stage,
        run=f"r1repro.stages.baselines:{name}",
        version=2,
        inputs=(*stage.inputs, *searched),
    )


def _rl(
    name: str,
    start: tuple[str, ...],
    notebook: str,
    settings: str,
    run: str | None = None,
    ablation: str | None = None,
) -> Stage:
    """A GRPO stage; the first input is the initial policy."""
    return Stage(
        name=name,
        version=5 if name == "r1_zero" else 3,
        run=f"r1repro.stages.rl:{run or name}",
        config=(
            *("model", *_student_form(name), "task", f"stage.{settings}", "seed"),
            *("engine", "launch"),
        ),
        seconds=_rl_seconds(settings),
        inputs=start,
        notebook=notebook,
        distributed=True,
        switch=ablation and f"ablation.{ablation}",
    )


def _sft(
    name: str,
    base: str,
    data: str,
    notebook: str,
    settings: str,
    run: str | None = None,
    ablation: str | None = None,
) -> Stage:
    """A stage of supervised fine-tuning of `base` on the data set of stage `data`."""
    return Stage(
        name=name,
        version=4,
        run=f"r1repro.stages.sft:{run or name}",
        config=("model", *_student_form(name), "task", f"stage.{settings}", "seed", *_TRAINED),
        seconds=_sft_seconds(settings, data),
        inputs=(base, data),
        notebook=notebook,
        distributed=True,
        switch=ablation and f"ablation.{ablation}",
    )


def _student(name: str) -> tuple[Stage, ...]:
    """A student's stages: base, distilled, RL alone, distilled then RL, and their evaluations."""
    notebook = "07_distillation"
    base, distilled, rl = f"{name}_base", f"{name}_distilled", f"{name}_rl"
    both, plateau = f"{name}_distilled_rl", f"{name}_rl_plateau"
    taught = _sft(distilled, base, "rejection_sampling", notebook, distilled, run="distilled")
    stages = (
        Stage(
            name=base,
            version=3,
            run=f"r1repro.stages.base_model:{name}",
            config=(f"student.{name}", "task", f"stage.{base}", "base_seed", *_LOADED),
            seconds=_student_base_seconds(base),
            notebook=notebook,
        ),
        replace(taught, inputs=(*taught.inputs, "teacher_sampling")),
        _rl(
            rl, (base, distilled, "rejection_sampling", "dev2", "teacher_sampling"), notebook, rl,
            run="student_rl",
        ),
        _rl(both, (distilled,), notebook, both, run="distilled_rl"),
        *(_evaluation(checkpoint, notebook) for checkpoint in (base, distilled, rl, both)),
        _evaluation(f"{rl}_equal_flops", notebook, policy=rl, run="equal_flops"),
        replace(
            _rl(plateau, (base,), notebook, rl, run="student_rl_plateau", ablation="rl_plateau"),
            seconds=lambda config: 3 * _rl_seconds(rl)(config),
        ),
        _evaluation(plateau, notebook, ablation="rl_plateau"),
    )  # fmt: skip
    # Their versions were incremented when they were limited to half of the cores.
    return tuple(replace(stage, version=stage.version + 1, half=True) for stage in stages)


_CHAIN: tuple[Stage, ...] = (
    Stage(
        name="base",
        version=7,
        run="r1repro.stages.base_model:run",
        config=("model", "task", "stage.base", "base_seed", *_LOADED),
        seconds=_base_seconds,
        notebook="00_base_model",
    ),
    _evaluation("base", "00_base_model", run="in_depth"),
    Stage(
        name="base_search",
        version=1,
        run="r1repro.stages.baselines:search",
        config=(
            *_asked_as("base"),
            "task",
            *(f"evaluation.{name}" for name in ("search_samples", "top_p", "problems")),
            *(f"evaluation.{name}" for name in ("max_completion_tokens", "rollout_batch")),
            "base_seed",
            *_SAMPLED,
        ),
        seconds=_search_seconds,
        inputs=("base",),
        notebook="00_base_model",
    ),
    *(_way(name) for name in ("best", "plain", "begun", "few_shot")),
    replace(_way("forced"), switch="ablation.base_forced"),
    Stage(
        name="base_rft_data",
        version=1,
        run="r1repro.stages.baselines:rft_data",
        config=("model", "task", "stage.r1_zero", "stage.base_rft.keep_all", "seed", *_SAMPLED),
        seconds=_rft_data_seconds,
        inputs=("base",),
        notebook="01_r1_zero_grpo",
        switch="ablation.base_rft",
    ),
    replace(
        _sft(
            "base_rft", "base", "base_rft_data", "01_r1_zero_grpo", "base_rft",
            ablation="base_rft",
        ),
        seconds=lambda config: _rft_data_seconds(config) / 2,
    ),
    _evaluation("base_rft", "01_r1_zero_grpo", ablation="base_rft"),
    _rl("r1_zero", ("base",), "01_r1_zero_grpo", "r1_zero"),
    _evaluation("r1_zero", "01_r1_zero_grpo", run="in_depth"),
    _rl(
        "r1_zero_permuted", ("base",), "01_r1_zero_grpo", "r1_zero", ablation="permuted_rewards"
    ),
    _evaluation("r1_zero_permuted", "01_r1_zero_grpo", ablation="permuted_rewards"),
    _rl("r1_zero_format_only", ("base",), "01_r1_zero_grpo", "r1_zero", ablation="format_only"),
    _evaluation("r1_zero_format_only", "01_r1_zero_grpo", ablation="format_only"),
    _rl("r1_zero_equal_weights", ("base",), "01_r1_zero_grpo", "r1_zero", ablation="equal_weights"),
    _evaluation("r1_zero_equal_weights", "01_r1_zero_grpo", ablation="equal_weights"),
    Stage(
        name="cold_start_data",
        version=3,
        run="r1repro.stages.cold_start_data:run",
        config=("model", "task", "stage.cold_start_data", "seed", *_SAMPLED),
        seconds=_samples_seconds("cold_start_data"),
        inputs=("r1_zero",),
        notebook="02_cold_start_sft",
    ),
    _sft("dev1", "base", "cold_start_data", "02_cold_start_sft", "dev1"),
    _evaluation("dev1", "02_cold_start_sft"),
    _rl("dev2", ("dev1",), "03_reasoning_rl", "dev2"),
    _evaluation("dev2", "03_reasoning_rl"),
    _rl(
        "dev2_no_language_reward", ("dev1",), "03_reasoning_rl", "dev2",
        ablation="no_language_reward",
    ),
    _evaluation("dev2_no_language_reward", "03_reasoning_rl", ablation="no_language_reward"),
    Stage(
        name="rejection_sampling",
        version=3,
        run="r1repro.stages.rejection_sampling:run",
        config=("model", "task", "stage.rejection_sampling", "seed", *_SAMPLED),
        seconds=_samples_seconds("rejection_sampling"),
        inputs=("dev2",),
        notebook="04_rejection_sampling",
    ),
    Stage(
        name="teacher_sampling",
        version=3,
        run="r1repro.stages.rejection_sampling:by_teacher",
        config=(
            TEACHER,
            f"{TEACHER}_chat",
            f"{TEACHER}_tokens",
            *("task", "stage.rejection_sampling", "seed"),
            *_SAMPLED,
        ),
        seconds=_samples_seconds("rejection_sampling"),
        notebook="04_rejection_sampling",
        switch=TEACHER,
    ),
    _sft("dev3", "base", "rejection_sampling", "05_mixed_sft", "dev3"),
    _evaluation("dev3", "05_mixed_sft"),
    _sft(
        "dev3_reasoning_only", "base", "rejection_sampling", "05_mixed_sft", "dev3",
        ablation="reasoning_only",
    ),
    _evaluation("dev3_reasoning_only", "05_mixed_sft", ablation="reasoning_only"),
    Stage(
        name="reward_model",
        version=3,
        run="r1repro.stages.reward_model:run",
        config=("model", "task", "stage.reward_model", "seed", "engine", "launch.processes"),
        seconds=_reward_model_seconds,
        inputs=("dev2", "dev3", "rejection_sampling"),
        notebook="06_all_scenario_rl",
        distributed=True,
    ),
    _rl("r1", ("dev3", "reward_model"), "06_all_scenario_rl", "r1"),
    _evaluation("r1", "06_all_scenario_rl"),
    _rl(
        "r1_preference_throughout", ("dev3", "reward_model"), "06_all_scenario_rl", "r1",
        ablation="preference_throughout",
    ),
    _evaluation(
        "r1_preference_throughout", "06_all_scenario_rl", ablation="preference_throughout"
    ),
    *_student("qwen"),
    *_student("llama"),
)  # fmt: skip

STAGES: tuple[Stage, ...] = (
    *_CHAIN,
    Stage(
        name="comparison",
        version=7,
        run="r1repro.stages.comparison:run",
        config=(),
        seconds=lambda config: 16,
        inputs=(
            *(s.name for s in _CHAIN if s.name.startswith("evaluate_")),
            "base_search",
            *("r1_zero", "dev2", "r1", "rejection_sampling", "teacher_sampling"),
            *(f"{s}_{arm}" for s in STUDENTS for arm in ("distilled", "rl", "distilled_rl")),
        ),
        notebook="08_r1_zero_vs_r1",
    ),
)


def graph(config: Config | None = None) -> dict[str, Stage]:
    """The stages by name in topological order; with a `config`, only those that it runs.

    R1REPRO_STAGES ("module:NAME") replaces STAGES by another tuple, in this process and its
    children, for side studies and tests.
    """
    stages = resolve(os.environ.get("R1REPRO_STAGES", "r1repro.runner.graph:STAGES"))
    found = {stage.name: stage for stage in stages if config is None or _runs(stage, config)}
    return {
        name: replace(stage, inputs=tuple(other for other in stage.inputs if other in found))
        for name, stage in found.items()
    }


def _runs(stage: Stage, config: Config) -> bool:
    return stage.switch is None or bool(attrgetter(stage.switch)(config))


def find(name: str, config: Config | None = None) -> Stage:
    """The stage of that name. Raises R1ReproError if it is unknown or its switch is off."""
    stages = graph(config)
    if name not in stages:
        switch = graph()[name].switch if name in graph() else None
        if switch is not None:
            value = "MODEL" if switch == TEACHER else "true"
            raise R1ReproError(f"stage {name} is off: set {switch}={value} to run it")
        known = offered(name, stages, "`r1repro plan` lists")
        raise R1ReproError(f"there is no stage {name}: the stages are {known}")
    return stages[name]


def resolve(dotted: str):  # type: ignore[no-untyped-def]
    """The object named by "module:name"."""
    module, name = dotted.split(":")
    return getattr(importlib.import_module(module), name)
