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
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import attrgetter
from typing import Any

from r1repro.config import LABS, TEACHER, Config, lab
from r1repro.errors import R1ReproError, offered
from r1repro.evaluation.checkpoints import EVALUATIONS, STUDENTS, about, of_student
from r1repro.runner import estimates, kinds
from r1repro.runner.kinds import CURVE, Stage

_BASE = Stage(
    name="base", version=7, run="r1repro.stages.base_model:run",
    config=("model", "task", "stage.base", "base_seed", *kinds.LOADED),
    seconds=partial(estimates.base, "base", 11_500),
)  # fmt: skip


def _small() -> Iterator[Stage]:
    """A base of half the width with its best prompt, R1-Zero from it, and their evaluations."""
    for stage in (
        replace(_BASE, name="small_base", version=1, run="r1repro.stages.base_model:small"),
        replace(kinds.prompt_search("small_base"), name="small_search"),
        kinds.rl("small_zero", "small_base", settings="r1_zero"),
    ):
        seconds = partial(estimates.small, stage.seconds)
        yield replace(stage, switch="ablation.small_base", seconds=seconds)
    yield from map(kinds.evaluation, ("small_base", "small_zero"))
    yield kinds.asked("small_base_best", "baselines:best", "small_search")


_CHAIN: tuple[Stage, ...] = (
    *kinds.in_notebook(
        "00_base_model",
        *kinds.evaluated(_BASE, run="in_depth"),
        kinds.prompt_search("base"),
        *map(kinds.way, ("best", "plain", "begun", "few_shot", "forced")),
    ),
    *kinds.in_notebook(
        "01_r1_zero_grpo",
        replace(
            kinds.data("base_rft_data", "base", estimates.rft_data, "stage.r1_zero",
                  "stage.base_rft.keep_all"),
            version=1, run="r1repro.stages.baselines:rft_data", switch="ablation.base_rft",
        ),
        *kinds.evaluated(replace(kinds.sft("base_rft", "base_rft_data"), seconds=estimates.rft)),
        kinds.prompt_search("base_rft"),
        kinds.way("best", "base_rft"),
        *kinds.evaluated(kinds.rl("r1_zero", "base"), run="in_depth"),
        *kinds.otherwise("r1_zero"),
        kinds.curve(),
        *_small(),
        *kinds.evaluated(kinds.rl("r1_zero_permuted", "base", settings="r1_zero")),
        *kinds.evaluated(kinds.rl("r1_zero_format_only", "base", settings="r1_zero")),
        *kinds.evaluated(kinds.rl("r1_zero_equal_weights", "base", settings="r1_zero")),
    ),
    *kinds.in_notebook(
        "02_cold_start_sft",
        kinds.data("cold_start_data", "r1_zero", partial(estimates.samples, "cold_start_data")),
        *kinds.evaluated(kinds.sft("dev1", "cold_start_data")),
    ),
    *kinds.in_notebook(
        "03_reasoning_rl",
        *kinds.evaluated(kinds.rl("dev2", "dev1")),
        *kinds.evaluated(kinds.rl("dev2_no_language_reward", "dev1", settings="dev2")),
    ),
    *kinds.in_notebook(
        "04_rejection_sampling",
        kinds.data("rejection_sampling", "dev2", partial(estimates.samples, "rejection_sampling"),
              "stage.rejection_sampling", "general"),
        Stage(
            name="teacher_sampling", version=4, run="r1repro.stages.rejection_sampling:by_teacher",
            config=(TEACHER, f"{TEACHER}_chat", f"{TEACHER}_tokens", "task",
                    "stage.rejection_sampling", "general", "seed", *kinds.SAMPLED),
            seconds=partial(estimates.samples, "rejection_sampling"), switch=TEACHER,
        ),
    ),
    *kinds.in_notebook(
        "05_mixed_sft",
        *kinds.evaluated(kinds.sft("dev3", "rejection_sampling")),
        *kinds.evaluated(kinds.sft("dev3_reasoning_only", "rejection_sampling", settings="dev3")),
        *kinds.evaluated(kinds.sft("dev3_unfiltered", "rejection_sampling", settings="dev3")),
    ),
    *kinds.in_notebook(
        "06_all_scenario_rl",
        Stage(
            name="reward_model", version=5, run="r1repro.stages.reward_model:run",
            config=("model", "task", "stage.reward_model", "general", "seed", "engine",
                    "launch.processes"),
            seconds=estimates.reward_model, inputs=("dev2", "dev3", "rejection_sampling"),
            distributed=True,
        ),
        *kinds.evaluated(kinds.rl("r1", "dev3", "reward_model")),
        *kinds.otherwise("r1"),
        *kinds.evaluated(
            kinds.rl("r1_preference_throughout", "dev3", "reward_model", settings="r1")
        ),
    ),
    *kinds.in_notebook("07_distillation", *kinds.student("qwen"), *kinds.student("llama")),
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
    """The base, and the arms of a notebook of the lab or of all, each with its evaluation.

    Hardly a stage waits for another, so they are made two at a time, each on half of the threads.
    Their versions are as before that: rounding differs, as it does between machines.
    """
    left, first = dict(lab.shown_in(chosen)), [base]
    for notebook in LABS if chosen == "all" else (chosen,):
        shown = [name for name, arm in left.items() if notebook in arm.shown_in]
        judged = any(left[name].learned_steps for name in shown)
        pairs = [_arm(name, left.pop(name).changes) for name in shown]
        own = [stage for stage in (_WHY, _ITERATIVE) if stage.name == notebook]
        if judged:
            own.append(_PROCESS)
        if notebook == "on_and_off_policy":
            own += [_START, replace(_OFFLINE, changes=lab.arms()[lab.REFERENCE].changes)]
        beside = (replace(s, half=True) for s in (*own, *(s for pair in pairs for s in pair)))
        yield from kinds.in_notebook(f"lab/{notebook}", *first, *beside)
        first = []


_WHY = Stage(
    name="why_rl",
    version=3,
    run="r1repro.stages.why_rl:run",
    config=("model", "task", "stage.r1_zero", "stage.dev1", "seed", "engine", "launch.processes"),
    seconds=estimates.why,
    inputs=("base",),
)
_OFFLINE = Stage(
    name="offline_data",
    version=1,
    run="r1repro.stages.offline:data",
    config=("model", "task", "stage.r1_zero", "stage.base_rft.keep_all", "seed", *kinds.SAMPLED),
    seconds=estimates.offline_data,
    inputs=("base",),
)
"""The samples of the arms that learn from data made beforehand; `_lab` adds how many they are."""
_START = replace(
    kinds.evaluation("r1_zero", run="in_depth"), name=lab.START, version=1, run=lab.EVALUATE,
    inputs=("base",), seconds=estimates.validation,
)  # fmt: skip
_PROCESS = Stage(
    name=lab.PROCESS,
    version=1,
    run="r1repro.stages.process_model:run",
    config=(
        *("model", "task", "stage.r1_zero.max_completion_tokens", "stage.reward_model"),
        *("stage.base_rft.keep_all", "seed", "engine", "launch.processes"),
    ),
    seconds=estimates.process_model,
    inputs=("base",),
)
_ITERATIVE = Stage(
    name=lab.ITERATIVE,
    version=1,
    run="r1repro.stages.iterative:run",
    config=(
        *("model", "task", "stage.r1_zero", "stage.reward_model", "stage.base_rft.keep_all"),
        *(f"evaluation.{name}" for name in ("samples", "problems", "temperature", "top_p")),
        *("evaluation.max_completion_tokens", "evaluation.rollout_batch", "base_seed"),
        *("seed", "engine", "launch.processes"),
    ),
    seconds=estimates.iterative,
    inputs=("base",),
)


def _arm(arm: str, changes: tuple[tuple[str, Any], ...]) -> tuple[Stage, Stage]:
    """An arm of the lab, and its evaluation on the validation problems."""
    name = f"{lab.STAGE}{arm}"
    one = lab.arms()[arm]
    if one.offline is None:
        judge = (lab.PROCESS,) if one.learned_steps else ()
        trained = kinds.rl("r1_zero", one.start, *judge, run=name)
    else:
        trained = kinds.sft("base_rft", _OFFLINE.name)
        rates = ("stage.r1_zero.lr_matrices", "stage.r1_zero.lr_rest")
        trained = replace(
            trained, run=f"r1repro.stages.offline:{name}", switch=None,
            config=(*trained.config, *rates),
        )  # fmt: skip
    return (
        replace(
            trained, name=name, version=1, changes=changes, seconds=partial(estimates.arm, arm)
        ),
        replace(
            kinds.evaluation("r1_zero", run="in_depth"), name=lab.evaluation(arm), version=1,
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


def model_of_stage(stage: Stage) -> str:
    """Key of the model that the stage uses."""
    if stage.switch == TEACHER:
        return TEACHER
    return about(stage.name).model


def resolve(dotted: str):  # type: ignore[no-untyped-def]
    """The object named by "module:name"."""
    module, name = dotted.split(":")
    return getattr(importlib.import_module(module), name)
