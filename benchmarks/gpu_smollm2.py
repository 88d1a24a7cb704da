"""SmolLM2 on one GPU: R1-Zero on generated word problems, by the pipeline's own stages."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks import gpu_speed
from r1repro import artifacts
from r1repro.config import Config, RLConfig, compose
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import form
from r1repro.evaluation.metrics import differences, summarize
from r1repro.planning import preflight
from r1repro.runner.build import build
from r1repro.runner.sequence import Terminal
from r1repro.runner.workspace import Workspace
from r1repro.tasks import worlds

# Whole weights, since the comparison with stock TRL and the peak are of these. The rate is a guess:
# 40 steps of it move the weights about as far as RL usually does in many more.
SETTINGS = """
    scale=gpu task=word_problems task.train=word_problems:en task.max_level=2
    task.test_problems=200 task.validation_problems=20
    engine.precision=bfloat16 engine.gradient_checkpointing=false engine.lora_rank=0
    stage.r1_zero.steps=40 stage.r1_zero.questions=16 stage.r1_zero.generations=8
    stage.r1_zero.max_completion_tokens=128 stage.r1_zero.micro_batch_tokens=32768
    stage.r1_zero.lr_matrices=3e-5 stage.r1_zero.lr_rest=3e-5
    evaluation.samples=4 evaluation.max_completion_tokens=128 evaluation.rollout_batch=1024
    evaluation.general_items=1 evaluation.general_samples=1
""".split()
REHEARSED = """
    scale=smoke task=word_problems task.train=word_problems:en task.max_level=2
    task.test_problems=8 task.validation_problems=8 engine.precision=bfloat16 engine.lora_rank=0
    stage.r1_zero.max_completion_tokens=8 evaluation.max_completion_tokens=8
    evaluation.problems=8 evaluation.general_items=1
""".split()
MEASURED = {"before": "evaluate_base", "after": "evaluate_r1_zero"}
METRICS = ("reasoning/pass@1", "format_valid", "length")


def overrides(place: str, runs: Path, rehearsed: bool) -> list[str]:
    """The run's settings for the model in a folder or a GGUF file."""
    # No student is built; without these two the hub's would be asked for.
    models = [f"{key}.path={place}" for key in ("model", "student.qwen", "student.llama")]
    return [*(REHEARSED if rehearsed else SETTINGS), "model=local", *models, f"runs={runs}"]


def speed(words: Sequence[str], settings: RLConfig, stock_rows: Sequence[int]) -> dict[str, Any]:
    """`gpu_speed.of_folder` of the model on its word problems."""
    config = compose(words)
    folder = built(config, "base")["base"].folder / "model"
    problems = list(islice(worlds.of(config.task).train(0), 2 * settings.questions))
    return gpu_speed.of_folder(folder, problems, settings, stock_rows, form(config, "r1_zero"))


def built(config: Config, *names: str) -> dict[str, artifacts.StageResult]:
    """The results of these stages; a stage that is finished is loaded.

    Raises R1ReproError for a model that cannot be used, and StageFailed.
    """
    preflight.check(config)
    space = Workspace(config)
    return build(space, names, Terminal(space, names))


def trained(words: Sequence[str]) -> dict[str, Any]:
    """What is `told` of R1-Zero and both evaluations once they are built, or the time is over."""
    config = compose(words)
    try:
        built(config, "base", MEASURED["before"], "r1_zero", MEASURED["after"])
    except (R1ReproError, TimeoutError) as error:
        return told(config) | {"failed": str(error)}
    return told(config)


def told(config: Config) -> dict[str, Any]:
    """What is there of the training, finished or not.

    curve: accuracy, format, length and tokens per second by step. before, after, change: each
    metric of the held-out problems with its 95 % interval. The mini pipeline runs beside it, so
    that the tokens per second are not the model's alone.
    """
    space = Workspace(config)
    place = space.place("r1_zero") if space.is_done("r1_zero") else space.work("r1_zero")
    lines = artifacts.read_progress(place)
    rows = {
        when: result.evaluation()
        for when, name in MEASURED.items()
        if (result := space.load(name)) is not None
    }
    tables = {when: summarize(table) for when, table in rows.items()}
    if len(rows) == len(MEASURED):
        tables["change"] = differences(rows["before"], rows["after"])
    return {
        "steps": config.stage.r1_zero.steps,
        "held_out_problems": config.task.test_problems,
        "samples": config.evaluation.samples,
        "curve": [{"step": line["step"], **line["figures"]} for line in lines],
        **{
            when: {name: table[name].as_dict() for name in METRICS}
            for when, table in tables.items()
        },
    }
