"""The stage graph, as plain data.

A stage is a function of its configuration and its inputs' results to one folder:

    def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None

It writes its outputs into `folder`, which survives a kill: checkpoints are in `folder/checkpoints`
and the stage resumes from the newest. When it returns, the folder becomes a result
(r1repro.artifacts). Settings of `config` that do not enter the stage's key are None
(r1repro.config.only).
"""

import importlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from operator import attrgetter
from typing import Any

from r1repro.config import LABS, TEACHER, Config, EvaluationConfig, lab
from r1repro.errors import R1ReproError, offered
from r1repro.evaluation.checkpoints import CHECKPOINTS, EVALUATIONS, STUDENTS, about, of_student
from r1repro.runner import estimates


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    `version` is incremented when the result changes for the same configuration; `run` is
    "module:function"; `config` lists the dotted paths that the result depends on; `notebook` is
    the one whose cell runs it; `seconds` estimates its time on two CPU cores without a GPU;
    `distributed` stages run in `launch.processes` processes, the others in one; a stage with a
    `switch` exists only if that setting is true or not null; a `half` stage uses half of the
    cores, so that another can run beside it (r1repro.cores); `changes` of the settings, in an arm
    of the lab, are a part of its key.
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
    changes: tuple[tuple[str, Any], ...] = ()


_LOADED = ("engine.precision", "engine.attention")
"""Settings that the result of every stage that loads a model depends on."""
_SAMPLED = (*_LOADED, "engine.rollouts")
_ADAPTED = "gradient_checkpointing sharded lora_rank lora_alpha quantized unsloth".split()
_TRAINED = (*_LOADED, *(f"engine.{name}" for name in _ADAPTED), "launch.processes")
CURVE = "evaluation.curve_samples"


def _asked_as(checkpoint: str) -> tuple[str, ...]:
    """The settings that determine a checkpoint's prompt format."""
    return tuple(f"{about(checkpoint).model}.{name}" for name in ("path", "hub", "chat"))


def _student_form(name: str) -> tuple[str, ...]:
    """Prompt format and traces of a student; empty for a teacher, whose key has its whole shape."""
    if about(name).model == "model":
        return ()
    traces = [f"traces{rest}" for rest in ("", "_prompt", "_completion", "_rows", "_tokens")]
    return (*_asked_as(name), *(f"student.{key}" for key in traces))


def _evaluation(checkpoint: str, run: str = "run") -> Stage:
    """The stage evaluate_X of a checkpoint X."""
    others = {"curve_samples"} | (set() if run == "in_depth" else {"samples"})
    read = [f.name for f in fields(EvaluationConfig) if f.name not in others]
    settings = ("task", *(f"evaluation.{name}" for name in read), "base_seed")
    return Stage(
        name=f"evaluate_{checkpoint}",
        version=6,
        run=f"r1repro.stages.evaluate:{run}",
        config=(*_asked_as(checkpoint), *settings, *_SAMPLED),
        seconds=estimates.in_depth if run == "in_depth" else estimates.evaluation,
        inputs=(CHECKPOINTS[checkpoint].trained or checkpoint,),
        switch=_switch(checkpoint),
    )


def _switch(checkpoint: str) -> str | None:
    found = CHECKPOINTS[checkpoint].switch
    return f"ablation.{found}" if found else None


def _asked(name: str, run: str, *searched: str, version: int = 1) -> Stage:
    """The stage evaluate_X of weights that another evaluation has too, asked in another way."""
    stage, run = _evaluation(name), f"r1repro.stages.{run}"
    return replace(stage, run=run, version=version, inputs=(*stage.inputs, *searched))


def _way(name: str) -> Stage:
    """The stage evaluate_base_X: the base with another prompt."""
    searched = ("base_search",) if name in ("best", "few_shot") else ()
    return _asked(f"base_{name}", f"baselines:{name}", *searched, version=3)


def _otherwise(name: str) -> tuple[Stage, Stage]:
    """A trained checkpoint's evaluations by greedy decoding and after worked examples."""
    return (
        _asked(f"{name}_greedy", "evaluate:greedy"),
        _asked(f"{name}_few_shot", "baselines:trained_few_shot", "base_search"),
    )


def _curve() -> Stage:
    """The stage r1_zero_curve: R1-Zero's snapshots on the validation problems."""
    asked = "temperature top_p max_completion_tokens rollout_batch problems curve_samples".split()
    settings = (*(f"evaluation.{name}" for name in asked), "base_seed")
    return Stage(
        name="r1_zero_curve",
        version=1,
        run="r1repro.stages.evaluate:curve",
        config=(*_asked_as("r1_zero"), "task", *settings, *_SAMPLED),
        seconds=estimates.curve,
        inputs=("base", "r1_zero"),
        switch=CURVE,
    )


def _rl(name: str, *start: str, settings: str = "", run: str = "") -> Stage:
    """A GRPO stage from the policy of its first input, with the settings of a stage (its own)."""
    settings = settings or name
    return Stage(
        name=name,
        version=6 if name == "r1_zero" else 4,
        run=f"r1repro.stages.rl:{run or name}",
        config=(
            *("model", *_student_form(name), "task", f"stage.{settings}", "seed"),
            *(("general",) if settings == "r1" else ()),
            *("engine", "launch"),
        ),
        seconds=partial(estimates.rl, settings),
        inputs=start,
        distributed=True,
        switch=_switch(name),
    )


def _sft(name: str, data: str, base: str = "base", settings: str = "", run: str = "") -> Stage:
    """A stage of supervised fine-tuning of `base` on the data set of stage `data`."""
    settings = settings or name
    return Stage(
        name=name,
        version=4,
        run=f"r1repro.stages.sft:{run or name}",
        config=("model", *_student_form(name), "task", f"stage.{settings}", "seed", *_TRAINED),
        seconds=partial(estimates.sft, settings, data),
        inputs=(base, data),
        distributed=True,
        switch=_switch(name),
    )


def _data(name: str, policy: str, seconds: Callable[[Config], float], *settings: str) -> Stage:
    """A stage that samples `policy` for a data set."""
    return Stage(
        name=name,
        version=4,
        run=f"r1repro.stages.{name}:run",
        config=("model", "task", *(settings or (f"stage.{name}",)), "seed", *_SAMPLED),
        seconds=seconds,
        inputs=(policy,),
    )


def _evaluated(stage: Stage, run: str = "run") -> tuple[Stage, Stage]:
    """A stage that trains a checkpoint, and the checkpoint's evaluation."""
    return stage, _evaluation(stage.name, run=run)


def _in(notebook: str, *stages: Stage) -> tuple[Stage, ...]:
    """These stages, run by the cells of that notebook."""
    return tuple(replace(stage, notebook=notebook) for stage in stages)


def _student(name: str) -> tuple[Stage, ...]:
    """A student's stages: base, distilled, RL alone, distilled then RL, and their evaluations."""
    base, rl, equal_flops, distilled, both = of_student(name).values()
    plateau = f"{rl}_plateau"
    taught = _sft(distilled, "rejection_sampling", base, run="distilled")
    long = _rl(plateau, base, settings=rl, run="student_rl_plateau")
    stages = (
        Stage(
            name=base,
            version=3,
            run=f"r1repro.stages.base_model:{name}",
            config=(f"student.{name}", "task", f"stage.{base}", "base_seed", *_LOADED),
            seconds=partial(estimates.base, base, 15_000),
        ),
        replace(taught, inputs=(*taught.inputs, "teacher_sampling")),
        _rl(rl, base, distilled, "rejection_sampling", "dev2", "teacher_sampling",
            run="student_rl"),
        _rl(both, distilled, run="distilled_rl"),
        *map(_evaluation, (base, distilled, rl, both)),
        _evaluation(equal_flops, run="equal_flops"),
        *_evaluated(replace(long, seconds=partial(estimates.plateau, rl))),
    )  # fmt: skip
    # Their versions were incremented when they were limited to half of the cores.
    return tuple(replace(stage, version=stage.version + 1, half=True) for stage in stages)


_BASE = Stage(
    name="base", version=7, run="r1repro.stages.base_model:run",
    config=("model", "task", "stage.base", "base_seed", *_LOADED),
    seconds=partial(estimates.base, "base", 11_500),
)  # fmt: skip
_SEARCHED = "search_samples top_p problems max_completion_tokens rollout_batch".split()
_SEARCH = Stage(
    name="base_search", version=1, run="r1repro.stages.baselines:search",
    config=(*_asked_as("base"), "task", *(f"evaluation.{name}" for name in _SEARCHED), "base_seed",
            *_SAMPLED),
    seconds=estimates.search, inputs=("base",),
)  # fmt: skip


def _small() -> Iterator[Stage]:
    """A base of half the width with its best prompt, R1-Zero from it, and their evaluations."""
    for stage in (
        replace(_BASE, name="small_base", version=1, run="r1repro.stages.base_model:small"),
        replace(_SEARCH, name="small_search", inputs=("small_base",)),
        _rl("small_zero", "small_base", settings="r1_zero"),
    ):
        seconds = partial(estimates.small, stage.seconds)
        yield replace(stage, switch="ablation.small_base", seconds=seconds)
    yield from map(_evaluation, ("small_base", "small_zero"))
    yield _asked("small_base_best", "baselines:best", "small_search")


_CHAIN: tuple[Stage, ...] = (
    *_in(
        "00_base_model",
        *_evaluated(_BASE, run="in_depth"),
        _SEARCH,
        *map(_way, ("best", "plain", "begun", "few_shot", "forced")),
    ),
    *_in(
        "01_r1_zero_grpo",
        replace(
            _data("base_rft_data", "base", estimates.rft_data, "stage.r1_zero",
                  "stage.base_rft.keep_all"),
            version=1, run="r1repro.stages.baselines:rft_data", switch="ablation.base_rft",
        ),
        *_evaluated(replace(_sft("base_rft", "base_rft_data"), seconds=estimates.rft)),
        *_evaluated(_rl("r1_zero", "base"), run="in_depth"),
        *_otherwise("r1_zero"),
        _curve(),
        *_small(),
        *_evaluated(_rl("r1_zero_permuted", "base", settings="r1_zero")),
        *_evaluated(_rl("r1_zero_format_only", "base", settings="r1_zero")),
        *_evaluated(_rl("r1_zero_equal_weights", "base", settings="r1_zero")),
    ),
    *_in(
        "02_cold_start_sft",
        _data("cold_start_data", "r1_zero", partial(estimates.samples, "cold_start_data")),
        *_evaluated(_sft("dev1", "cold_start_data")),
    ),
    *_in(
        "03_reasoning_rl",
        *_evaluated(_rl("dev2", "dev1")),
        *_evaluated(_rl("dev2_no_language_reward", "dev1", settings="dev2")),
    ),
    *_in(
        "04_rejection_sampling",
        _data("rejection_sampling", "dev2", partial(estimates.samples, "rejection_sampling"),
              "stage.rejection_sampling", "general"),
        Stage(
            name="teacher_sampling", version=4, run="r1repro.stages.rejection_sampling:by_teacher",
            config=(TEACHER, f"{TEACHER}_chat", f"{TEACHER}_tokens", "task",
                    "stage.rejection_sampling", "general", "seed", *_SAMPLED),
            seconds=partial(estimates.samples, "rejection_sampling"), switch=TEACHER,
        ),
    ),
    *_in(
        "05_mixed_sft",
        *_evaluated(_sft("dev3", "rejection_sampling")),
        *_evaluated(_sft("dev3_reasoning_only", "rejection_sampling", settings="dev3")),
        *_evaluated(_sft("dev3_unfiltered", "rejection_sampling", settings="dev3")),
    ),
    *_in(
        "06_all_scenario_rl",
        Stage(
            name="reward_model", version=5, run="r1repro.stages.reward_model:run",
            config=("model", "task", "stage.reward_model", "general", "seed", "engine",
                    "launch.processes"),
            seconds=estimates.reward_model, inputs=("dev2", "dev3", "rejection_sampling"),
            distributed=True,
        ),
        *_evaluated(_rl("r1", "dev3", "reward_model")),
        *_otherwise("r1"),
        *_evaluated(_rl("r1_preference_throughout", "dev3", "reward_model", settings="r1")),
    ),
    *_in("07_distillation", *_student("qwen"), *_student("llama")),
)  # fmt: skip

STAGES: tuple[Stage, ...] = (
    *_CHAIN,
    Stage(
        name="comparison",
        version=7,
        run="r1repro.stages.comparison:run",
        config=(),
        seconds=estimates.comparison,
        inputs=(
            *(s.name for s in _CHAIN if s.name in EVALUATIONS),
            "base_search",
            *("r1_zero", "dev2", "r1", "rejection_sampling", "teacher_sampling"),
            *(of_student(s)[arm] for s in STUDENTS for arm in ("distilled", "rl", "distilled_rl")),
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
    if config is not None and config.lab != "none":
        found = {stage.name: stage for stage in _lab(found["base"], config.lab)}
    return {
        name: replace(stage, inputs=tuple(other for other in stage.inputs if other in found))
        for name, stage in found.items()
    }


def _lab(base: Stage, chosen: str) -> Iterator[Stage]:
    """The base, and the arms of a notebook of the lab or of all, each with its evaluation."""
    left, first = dict(lab.shown_in(chosen)), [base]
    for notebook in LABS if chosen == "all" else (chosen,):
        shown = [name for name, arm in left.items() if notebook in arm.shown_in]
        pairs = [_arm(name, left.pop(name).changes) for name in shown]
        own = [_WHY] if notebook == "why_rl" else []
        yield from _in(f"lab/{notebook}", *first, *own, *(s for pair in pairs for s in pair))
        first = []


_WHY = Stage(
    name="why_rl",
    version=1,
    run="r1repro.stages.why_rl:run",
    config=("model", "task", "stage.r1_zero", "stage.dev1", "seed", "engine", "launch.processes"),
    seconds=estimates.why,
    inputs=("base",),
)


def _arm(arm: str, changes: tuple[tuple[str, Any], ...]) -> tuple[Stage, Stage]:
    """An arm of the lab, and its evaluation on the validation problems."""
    name = f"{lab.STAGE}{arm}"
    return (
        replace(
            _rl("r1_zero", "base", run=name), name=name, version=1, changes=changes,
            seconds=partial(estimates.arm, arm),
        ),
        replace(
            _evaluation("r1_zero", run="in_depth"), name=lab.evaluation(arm), version=1,
            run=lab.EVALUATE, inputs=(name,), seconds=estimates.validation,
        ),
    )  # fmt: skip


def _runs(stage: Stage, config: Config) -> bool:
    return stage.switch is None or bool(attrgetter(stage.switch)(config))


def find(name: str, config: Config | None = None) -> Stage:
    """The stage of that name. Raises R1ReproError if it is unknown or its switch is off."""
    stages = graph(config)
    if name not in stages:
        switch = graph()[name].switch if name in graph() else None
        if switch is not None:
            value = {TEACHER: "MODEL", CURVE: "16"}.get(switch, "true")
            raise R1ReproError(f"stage {name} is off: set {switch}={value} to run it")
        known = offered(name, stages, "`r1repro plan` lists")
        raise R1ReproError(f"there is no stage {name}: the stages are {known}")
    return stages[name]


def resolve(dotted: str):  # type: ignore[no-untyped-def]
    """The object named by "module:name"."""
    module, name = dotted.split(":")
    return getattr(importlib.import_module(module), name)
