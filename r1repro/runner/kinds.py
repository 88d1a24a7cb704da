"""The kinds of stages: what the stages of one kind have in common, as plain data."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from r1repro.config import Config, EvaluationConfig
from r1repro.evaluation.checkpoints import CHECKPOINTS, about, of_student
from r1repro.runner import estimates


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    version: incremented when the result changes for the same configuration.
    run: "module:function".
    config: the dotted paths of the settings that the result depends on.
    seconds: its estimated time on two CPU cores without a GPU.
    notebook: the one whose cell runs it.
    distributed: runs in `launch.processes` processes; other stages run in one.
    switch: the setting that must be true or not null for the stage to exist.
    half: uses half of the cores, so that another stage can run beside it (r1repro.cores).
    changes: of the settings, by an arm of the lab; part of its key.
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


LOADED = ("engine.precision", "engine.attention")
"""Settings that the result of every stage that loads a model depends on."""
SAMPLED = (*LOADED, "engine.rollouts")
_ADAPTED = "gradient_checkpointing sharded lora_rank lora_alpha quantized unsloth".split()
TRAINED = (*LOADED, *(f"engine.{name}" for name in _ADAPTED), "launch.processes")
CURVE = "evaluation.curve_samples"


def asked_as(checkpoint: str) -> tuple[str, ...]:
    """The settings that determine a checkpoint's prompt format."""
    return tuple(f"{about(checkpoint).model}.{name}" for name in ("path", "hub", "chat"))


def student_form(name: str) -> tuple[str, ...]:
    """Prompt format and traces of a student; empty for a teacher, whose key has its whole shape."""
    if about(name).model == "model":
        return ()
    traces = [f"traces{rest}" for rest in ("", "_prompt", "_completion", "_rows", "_tokens")]
    return (*asked_as(name), *(f"student.{key}" for key in traces))


def evaluation(checkpoint: str, run: str = "run") -> Stage:
    """The stage evaluate_X of a checkpoint X."""
    others = {"curve_samples"} | (set() if run == "in_depth" else {"samples"})
    read = [f.name for f in fields(EvaluationConfig) if f.name not in others]
    settings = ("task", *(f"evaluation.{name}" for name in read), "base_seed")
    return Stage(
        name=f"evaluate_{checkpoint}",
        version=6,
        run=f"r1repro.stages.evaluate:{run}",
        config=(*asked_as(checkpoint), *settings, *SAMPLED),
        seconds=estimates.in_depth if run == "in_depth" else estimates.evaluation,
        inputs=(CHECKPOINTS[checkpoint].trained or checkpoint,),
        switch=switch(checkpoint),
    )


def switch(checkpoint: str) -> str | None:
    found = CHECKPOINTS[checkpoint].switch
    return f"ablation.{found}" if found else None


def asked(name: str, run: str, *searched: str, version: int = 1) -> Stage:
    """The stage evaluate_X of another checkpoint's weights, prompted or decoded differently."""
    stage, run = evaluation(name), f"r1repro.stages.{run}"
    return replace(stage, run=run, version=version, inputs=(*stage.inputs, *searched))


def way(name: str, of: str = "base") -> Stage:
    """The stage evaluate_base_X: the base, or the fine-tuned base, with prompt X."""
    searched = (f"{of}_search",) if name in ("best", "few_shot") else ()
    return asked(f"{of}_{name}", f"baselines:{name}", *searched, version=3)


def otherwise(name: str) -> tuple[Stage, Stage]:
    """A trained checkpoint's evaluations with greedy decoding and with worked examples."""
    return (
        asked(f"{name}_greedy", "evaluate:greedy"),
        asked(f"{name}_few_shot", "baselines:trained_few_shot", "base_search"),
    )


def prompt_search(checkpoint: str) -> Stage:
    """The stage X_search: every prompt at every temperature on the validation problems."""
    asked = "search_samples top_p problems max_completion_tokens rollout_batch".split()
    settings = (*(f"evaluation.{name}" for name in asked), "base_seed")
    return Stage(
        name=f"{checkpoint}_search",
        version=1,
        run="r1repro.stages.baselines:search",
        config=(*asked_as(checkpoint), "task", *settings, *SAMPLED),
        seconds=estimates.search,
        inputs=(checkpoint,),
        switch=switch(checkpoint),
    )


def curve() -> Stage:
    """The stage r1_zero_curve: R1-Zero's snapshots on the validation problems."""
    asked = "temperature top_p max_completion_tokens rollout_batch problems curve_samples".split()
    settings = (*(f"evaluation.{name}" for name in asked), "base_seed")
    return Stage(
        name="r1_zero_curve",
        version=1,
        run="r1repro.stages.evaluate:curve",
        config=(*asked_as("r1_zero"), "task", *settings, *SAMPLED),
        seconds=estimates.curve,
        inputs=("base", "r1_zero"),
        switch=CURVE,
    )


def rl(name: str, *start: str, settings: str = "", run: str = "") -> Stage:
    """A GRPO stage from its first input's policy, with its own settings or another stage's."""
    settings = settings or name
    return Stage(
        name=name,
        version=6 if name == "r1_zero" else 4,
        run=f"r1repro.stages.rl:{run or name}",
        config=(
            *("model", *student_form(name), "task", f"stage.{settings}", "seed"),
            *(("general",) if settings == "r1" else ()),
            *("engine", "launch"),
        ),
        seconds=partial(estimates.rl, settings),
        inputs=start,
        distributed=True,
        switch=switch(name),
    )


def sft(name: str, data: str, base: str = "base", settings: str = "", run: str = "") -> Stage:
    """A stage of supervised fine-tuning of `base` on the data set of stage `data`."""
    settings = settings or name
    return Stage(
        name=name,
        version=4,
        run=f"r1repro.stages.sft:{run or name}",
        config=("model", *student_form(name), "task", f"stage.{settings}", "seed", *TRAINED),
        seconds=partial(estimates.sft, settings, data),
        inputs=(base, data),
        distributed=True,
        switch=switch(name),
    )


def data(name: str, policy: str, *settings: str) -> Stage:
    """A stage that samples `policy` for a data set; settings: more of them than its own."""
    return Stage(
        name=name,
        version=4,
        run=f"r1repro.stages.{name}:run",
        config=("model", "task", f"stage.{name}", *settings, "seed", *SAMPLED),
        seconds=partial(estimates.samples, name),
        inputs=(policy,),
    )


def evaluated(stage: Stage, run: str = "run") -> tuple[Stage, Stage]:
    """A stage that trains a checkpoint, and the checkpoint's evaluation."""
    return stage, evaluation(stage.name, run=run)


def in_notebook(notebook: str, *stages: Stage) -> tuple[Stage, ...]:
    """The stages that a notebook's cells run."""
    return tuple(replace(stage, notebook=notebook) for stage in stages)


def student(name: str) -> tuple[Stage, ...]:
    """A student's stages: base, distilled, RL alone, distilled then RL, and their evaluations."""
    base, alone, equal_flops, distilled, both = of_student(name).values()
    taught = sft(distilled, "rejection_sampling", base, run="distilled")
    plateau = rl(f"{alone}_plateau", base, settings=alone, run="student_rl_plateau")
    stages = (
        Stage(
            name=base,
            version=3,
            run=f"r1repro.stages.base_model:{name}",
            config=(f"student.{name}", "task", f"stage.{base}", "base_seed", *LOADED),
            seconds=partial(estimates.base, base, 15_000),
        ),
        replace(taught, inputs=(*taught.inputs, "teacher_sampling")),
        rl(alone, base, distilled, "rejection_sampling", "dev2", "teacher_sampling",
           run="student_rl"),
        rl(both, distilled, run="distilled_rl"),
        *map(evaluation, (base, distilled, alone, both)),
        evaluation(equal_flops, run="equal_flops"),
        *evaluated(replace(plateau, seconds=partial(estimates.times, 3, plateau.seconds))),
    )  # fmt: skip
    # Their versions were incremented when they were limited to half of the cores.
    return tuple(replace(stage, version=stage.version + 1, half=True) for stage in stages)
