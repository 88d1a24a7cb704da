"""The stage graph, as plain data.

A stage is a function of its configuration and its inputs' results to one folder:

    def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None

It writes its outputs into `folder`, which survives a kill: checkpoints are in `folder/checkpoints`
and the stage resumes from the newest. When it returns, the folder becomes a result
(r1repro.artifacts). Settings of `config` that do not enter the stage's key are None
(r1repro.config.only).
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from operator import attrgetter
from pkgutil import resolve_name

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
_RFT_DATA = Stage(
    name="base_rft_data",
    version=1,
    run="r1repro.stages.baselines:rft_data",
    config=("model", "task", "stage.r1_zero", "stage.base_rft.keep_all", "seed", *kinds.SAMPLED),
    seconds=partial(estimates.rl, "r1_zero", rate=500),
    inputs=("base",),
    switch="ablation.base_rft",
)


def _small() -> Iterator[Stage]:
    """A base of half the width with its best prompt, R1-Zero from it, and their evaluations."""
    for stage in (
        replace(_BASE, name="small_base", version=1, run="r1repro.stages.base_model:small"),
        replace(kinds.prompt_search("small_base"), name="small_search"),
        kinds.rl("small_zero", "small_base", settings="r1_zero"),
    ):
        seconds = partial(estimates.times, 0.5, stage.seconds)
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
        _RFT_DATA,
        *kinds.evaluated(
            replace(kinds.sft("base_rft", "base_rft_data"),
                    seconds=partial(estimates.times, 0.5, _RFT_DATA.seconds))
        ),
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
        kinds.data("cold_start_data", "r1_zero"),
        *kinds.evaluated(kinds.sft("dev1", "cold_start_data")),
    ),
    *kinds.in_notebook(
        "03_reasoning_rl",
        *kinds.evaluated(kinds.rl("dev2", "dev1")),
        *kinds.evaluated(kinds.rl("dev2_no_language_reward", "dev1", settings="dev2")),
    ),
    *kinds.in_notebook(
        "04_rejection_sampling",
        kinds.data("rejection_sampling", "dev2", "general"),
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
        seconds=lambda config: 16,
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
    stages = resolve_name(os.environ.get("R1REPRO_STAGES", "r1repro.runner.graph:STAGES"))
    found = {
        stage.name: stage
        for stage in stages
        if config is None or stage.switch is None or attrgetter(stage.switch)(config)
    }
    if config is not None and config.lab != "none":
        found = {stage.name: stage for stage in _lab(found["base"], config.lab)}
    return {
        name: replace(stage, inputs=tuple(other for other in stage.inputs if other in found))
        for name, stage in found.items()
    }


def _lab(base: Stage, chosen: str) -> Iterator[Stage]:
    """The base, and the arms of a notebook of the lab or of all, each with its evaluation.

    Hardly any stage waits for another, so they run two at a time, each on half of the threads.
    Their versions did not change with that: rounding differs, as it does between machines.
    """
    left, first = dict(lab.shown_in(chosen)), [base]
    for notebook in LABS if chosen == "all" else (chosen,):
        shown = [name for name, arm in left.items() if notebook in arm.shown_in]
        arms = {name: left.pop(name) for name in shown}
        own = [stage for stage in (_WHY, _ITERATIVE) if stage.name == notebook]
        if any(arm.learned_steps for arm in arms.values()):
            own.append(_PROCESS)
        if notebook == "on_and_off_policy":
            own += [_validated(lab.START, "base"), _offline()]
        for name, arm in arms.items():
            own += [_arm(name, arm), _validated(lab.evaluation(name), lab.stage(name))]
        half = (replace(stage, half=True) for stage in own)
        yield from kinds.in_notebook(f"lab/{notebook}", *first, *half)
        first = []


_WHY = Stage(
    name="why_rl",
    version=3,
    run="r1repro.stages.why_rl:run",
    config=("model", "task", "stage.r1_zero", "stage.dev1", "seed", "engine", "launch.processes"),
    seconds=estimates.why,
    inputs=("base",),
)
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


def _offline() -> Stage:
    """The samples of the arms that learn from data made beforehand."""
    return replace(
        _RFT_DATA,
        name="offline_data",
        run="r1repro.stages.offline:data",
        seconds=estimates.offline_data,
        switch=None,
        changes=lab.arms()[lab.REFERENCE].changes,
    )


def _arm(name: str, arm: lab.Arm) -> Stage:
    """The stage that trains an arm of the lab."""
    stage = lab.stage(name)
    if arm.offline is None:
        judge = (lab.PROCESS,) if arm.learned_steps else ()
        trained = kinds.rl("r1_zero", arm.start, *judge, run=stage)
    else:
        trained = kinds.sft("base_rft", "offline_data")
        rates = ("stage.r1_zero.lr_matrices", "stage.r1_zero.lr_rest")
        run, config = f"r1repro.stages.offline:{stage}", (*trained.config, *rates)
        trained = replace(trained, run=run, config=config, switch=None)
    seconds = partial(estimates.arm, name)
    return replace(trained, name=stage, version=1, changes=arm.changes, seconds=seconds)


def _validated(name: str, checkpoint: str) -> Stage:
    """The stage that evaluates an arm, or the base, on the validation problems."""
    return replace(
        kinds.evaluation("r1_zero", run="in_depth"), name=name, version=1, run=lab.EVALUATE,
        inputs=(checkpoint,), seconds=estimates.validation,
    )  # fmt: skip


def find(name: str, config: Config | None = None) -> Stage:
    """The stage of that name. Raises R1ReproError if it is unknown or its switch is off."""
    stages = graph(config)
    if name in stages:
        return stages[name]
    off = graph().get(name)
    if off is not None and off.switch is not None:
        value = {TEACHER: "MODEL", CURVE: "16"}.get(off.switch, "true")
        raise R1ReproError(f"stage {name} is off: set {off.switch}={value} to run it")
    known = offered(name, stages, "`r1repro plan` lists")
    raise R1ReproError(f"there is no stage {name}: the stages are {known}")


def model_of_stage(stage: Stage) -> str:
    """Key of the model that the stage uses."""
    return TEACHER if stage.switch == TEACHER else about(stage.name).model
