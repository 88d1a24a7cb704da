"""Stages evaluate_X: checkpoint X on the held-out problems and general items, k samples each.

Every checkpoint is asked in the form that it was trained in, the base in R1-Zero's: else learning
the template would be mistaken for learning to reason.
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
from r1repro.rewards.accuracy import judge
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import GENERAL
from r1repro.training.flops import EQUAL_FLOPS


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes evaluation.parquet: a row a problem and sample."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / "model", config.evaluation.samples_between
    _evaluate(config, name, place, samples, folder, progress)


def in_depth(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """The same with more samples of each reasoning problem: base, R1-Zero and R1."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / "model", config.evaluation.samples
    _evaluate(config, name, place, samples, folder, progress)


def equal_flops(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """The same of the policy as it was when the FLOPs of distillation were spent."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / EQUAL_FLOPS / "model", config.evaluation.samples_between
    _evaluate(config, name, place, samples, folder, progress)


def _evaluate(
    config: Config,
    name: str,
    place: Path,
    samples: int,
    folder: Path,
    progress: Progress,
) -> None:
    settings, world = config.evaluation, worlds.of(config.task)
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
            template=templates.form(config, name),
            samples=times,
            rollout_batch=settings.rollout_batch,
            seed=config.base_seed,
        ):
            # What the verifier has to say about these, it says at once, and each row finds it said.
            judge([problem for problem, _, _ in batch], [said.text for _, _, said in batch])
            rows += [row(*answer) for answer in batch]
            tokens += sum(len(completion.token_ids) for _, _, completion in batch)
            reasoning = [found["correct"] for found in rows if found["task"] not in GENERAL]
            progress.update(
                len(rows),
                total,
                **{
                    "pass@1": sum(reasoning) / len(reasoning),
                    "tokens/s": tokens / (time.perf_counter() - started),
                },
            )
    pd.DataFrame(rows).to_parquet(folder / "evaluation.parquet")
