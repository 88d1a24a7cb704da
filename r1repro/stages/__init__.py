"""The stage graph, as plain data.

A stage is a function of its configuration and its inputs' results to one folder:

    def run(
        config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
    ) -> None

It writes what it makes into `folder`, which outlives a kill: it keeps its checkpoints in
`folder/checkpoints` and continues from the newest that is there. When it returns, the folder
becomes a result (r1repro.artifacts). Of `config` it sees what its key is made from; the rest is
None (r1repro.config.only).
"""

import importlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from r1repro.config import Config
from r1repro.errors import R1ReproError


@dataclass(frozen=True)
class Stage:
    """One node of the graph.

    `version` goes up when the stage's results change for the same configuration; `run` is
    "module:function"; `config` lists the dotted paths that its result depends on; `notebook` is
    the one whose cell runs it; `seconds` estimates its cost on two CPU cores without a GPU;
    `distributed` stages are started with `launch.processes` processes, the others with one.
    """

    name: str
    version: int
    run: str
    config: tuple[str, ...]
    seconds: Callable[[Config], float]
    inputs: tuple[str, ...] = ()
    notebook: str | None = None
    distributed: bool = False


def _base_seconds(config: Config) -> float:
    return 20 + config.stage.base.tokens / 7_000


def _r1_zero_seconds(config: Config) -> float:
    grpo = config.stage.r1_zero
    return 10 + grpo.steps * grpo.questions * grpo.generations / 72


def _evaluation_seconds(config: Config) -> float:
    task, evaluation = config.task, config.evaluation
    problems = task.test_problems if evaluation.split == "test" else task.validation_problems
    return 10 + problems * evaluation.samples / 170


STAGES: tuple[Stage, ...] = (
    Stage(
        name="base",
        version=4,
        run="r1repro.stages.base_model:run",
        config=("model", "task", "stage.base", "base_seed"),
        seconds=_base_seconds,
        notebook="00_base_model",
    ),
    Stage(
        name="evaluate_base",
        version=1,
        run="r1repro.stages.evaluate:run",
        config=("task", "evaluation", "base_seed"),
        seconds=_evaluation_seconds,
        inputs=("base",),
        notebook="00_base_model",
    ),
    Stage(
        name="r1_zero",
        version=2,
        run="r1repro.stages.r1_zero:run",
        config=("model", "task", "stage.r1_zero", "seed", "launch"),
        seconds=_r1_zero_seconds,
        inputs=("base",),
        notebook="01_r1_zero_grpo",
        distributed=True,
    ),
    Stage(
        name="evaluate_r1_zero",
        version=1,
        run="r1repro.stages.evaluate:run",
        config=("task", "evaluation", "base_seed"),
        seconds=_evaluation_seconds,
        inputs=("r1_zero",),
        notebook="01_r1_zero_grpo",
    ),
    Stage(
        name="comparison",
        version=1,
        run="r1repro.stages.comparison:run",
        config=(),
        seconds=lambda config: 15,
        inputs=("evaluate_base", "evaluate_r1_zero", "r1_zero"),
        notebook="08_r1_zero_vs_r1",
    ),
)


def graph() -> dict[str, Stage]:
    """The stages by name, inputs before what needs them.

    R1REPRO_STAGES ("module:NAME") puts another tuple in place of STAGES, in this process and in
    those it starts: a side study or a test brings its own.
    """
    stages = resolve(os.environ.get("R1REPRO_STAGES", "r1repro.stages:STAGES"))
    return {stage.name: stage for stage in stages}


def find(name: str) -> Stage:
    """The stage of that name; R1ReproError lists those there are."""
    stages = graph()
    if name not in stages:
        raise R1ReproError(f"there is no stage {name}: the stages are {', '.join(stages)}")
    return stages[name]


def resolve(dotted: str):  # type: ignore[no-untyped-def]
    """The object that "module:name" means."""
    module, name = dotted.split(":")
    return getattr(importlib.import_module(module), name)
