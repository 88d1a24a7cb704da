"""Stages evaluate_X: checkpoint X on the held-out problems and general items, k samples each.

Every checkpoint gets the prompt format that it was trained with, the base that of R1-Zero;
r1repro.stages.baselines evaluates the base with other prompts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
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
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.tasks.templates import Form
from r1repro.training.flops import EQUAL_FLOPS


@dataclass(frozen=True)
class Part:
    """Problems with one prompt format, each sampled `samples` times."""

    problems: Sequence[Problem]
    form: Form
    samples: int
    sampling: Sampling


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes evaluation.parquet, one row per problem and sample."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / "model", config.evaluation.samples_between
    _evaluate(config, name, place, samples, folder, progress)


def in_depth(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """As `run`, with more samples per reasoning problem, for base and R1-Zero."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / "model", config.evaluation.samples
    _evaluate(config, name, place, samples, folder, progress)


def equal_flops(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """As `run`, for the policy saved when RL had spent the FLOPs of distillation."""
    ((name, checkpoint),) = inputs.items()
    place, samples = checkpoint.folder / EQUAL_FLOPS / "model", config.evaluation.samples_between
    _evaluate(config, name, place, samples, folder, progress)


def sampling(config: Config) -> Sampling:
    """Sampling of every checkpoint: by default T 0.6 and top-p 0.95, as in the paper (R1 v1, 3)."""
    settings = config.evaluation
    return Sampling(settings.max_completion_tokens, settings.temperature, settings.top_p)


def parts(config: Config, reasoning: Form, general: Form, samples: int) -> list[Part]:
    """The held-out problems of the configured split, and the general items."""
    settings, world = config.evaluation, worlds.of(config.task)
    problems = some(getattr(world, settings.split), settings.problems)
    items = some(getattr(world, f"general_{settings.split}"), settings.general_items)
    return [
        Part(problems, reasoning, samples, sampling(config)),
        Part(items, general, settings.general_samples, sampling(config)),
    ]


def some(problems: Sequence[Problem], most: int | None) -> Sequence[Problem]:
    """At most `most` of the problems, at equal distances; None keeps all."""
    if most is None or most >= len(problems):
        return problems
    return [problems[i * len(problems) // most] for i in range(most)]


def measure(config: Config, place: Path, asked: Sequence[Part], progress: Progress) -> pd.DataFrame:
    """Rows of evaluation.parquet for the model in `place`, one per problem and sample.

    Greedy decoding is deterministic: each problem is sampled once and its row repeated.
    """
    settings = config.evaluation
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    tokenizer = load_tokenizer(place)
    total = sum(len(part.problems) * part.samples for part in asked)
    rows: list[dict[str, Any]] = []
    tokens, started = 0, time.perf_counter()
    for part in asked:
        copies = part.samples if part.sampling.temperature == 0 else 1
        for batch in ask(
            model,
            tokenizer,
            part.problems,
            part.sampling,
            form=part.form,
            samples=part.samples // copies,
            rollout_batch=settings.rollout_batch,
            seed=config.base_seed,
        ):
            # Verify the batch at once; the verdicts are cached for each row.
            judge([problem for problem, _, _ in batch], [said.text for _, _, said in batch])
            for problem, sample, said in batch:
                found = row(problem, sample, said)
                rows += [found | {"sample": sample + copy} for copy in range(copies)]
            tokens += sum(len(completion.token_ids) for _, _, completion in batch)
            reasoning = [found["correct"] for found in rows if found["task"] not in GENERAL]
            progress.update(
                len(rows),
                total,
                **{
                    "pass@1": sum(reasoning) / len(reasoning) if reasoning else 0.0,
                    "tokens/s": tokens / (time.perf_counter() - started),
                },
            )
    return pd.DataFrame(rows)


def _evaluate(
    config: Config, name: str, place: Path, samples: int, folder: Path, progress: Progress
) -> None:
    form = templates.asked(templates.form(config, name))
    rows = measure(config, place, parts(config, form, form, samples), progress)
    rows.to_parquet(folder / "evaluation.parquet")
