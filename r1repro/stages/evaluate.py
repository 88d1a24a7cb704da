"""Stages evaluate_X: checkpoint X on the held-out problems and general items, k samples each.

The prompt is the R1-Zero template for every checkpoint, the base too: else learning the template
would be mistaken for learning to reason.
"""

import time
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.evaluation.rows import row
from r1repro.generation.ask import ask
from r1repro.generation.sampler import Sampling
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import mini_world, templates
from r1repro.tasks.problem import REASONING
from r1repro.training.flops import EQUAL_FLOPS


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes evaluation.parquet: a row a problem and sample."""
    (checkpoint,) = inputs.values()
    place, samples = checkpoint.folder / "model", config.evaluation.samples_between
    _evaluate(config, checkpoint, place, samples, folder, progress)


def in_depth(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """The same with more samples of each reasoning problem: base, R1-Zero and R1."""
    (checkpoint,) = inputs.values()
    place, samples = checkpoint.folder / "model", config.evaluation.samples
    _evaluate(config, checkpoint, place, samples, folder, progress)


def equal_flops(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """The same of the policy as it was when the FLOPs of distillation were spent."""
    (checkpoint,) = inputs.values()
    place, samples = checkpoint.folder / EQUAL_FLOPS / "model", config.evaluation.samples_between
    _evaluate(config, checkpoint, place, samples, folder, progress)


def _evaluate(
    config: Config,
    checkpoint: StageResult,
    place: Path,
    samples: int,
    folder: Path,
    progress: Progress,
) -> None:
    settings, world = config.evaluation, mini_world.of(config.task)
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    words = load_tokenizer(place)
    asked = (
        (getattr(world, settings.split), samples),
        (getattr(world, f"general_{settings.split}"), settings.samples_between),
    )
    total = sum(len(problems) * times for problems, times in asked)
    rows: list[dict[str, Any]] = []
    tokens, started = 0, time.perf_counter()
    for problems, times in asked:
        for batch in ask(
            model,
            words,
            problems,
            Sampling(settings.max_completion_tokens, settings.temperature, settings.top_p),
            template=templates.name_for(config.model.path),
            samples=times,
            rollout_batch=settings.rollout_batch,
            seed=config.base_seed,
        ):
            rows += [row(*answer) for answer in batch]
            tokens += sum(len(completion.token_ids) for _, _, completion in batch)
            reasoning = [found["correct"] for found in rows if found["task"] in REASONING]
            progress.update(
                len(rows),
                total,
                **{
                    "pass@1": sum(reasoning) / len(reasoning),
                    "tokens/s": tokens / (time.perf_counter() - started),
                },
            )
    pd.DataFrame(rows).to_parquet(folder / "evaluation.parquet")
