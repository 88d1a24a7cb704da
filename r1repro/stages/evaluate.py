"""Stages evaluate_X: checkpoint X on the held-out problems and general items, k samples each.

Every checkpoint gets the prompt format that it was trained with, the base that of R1-Zero;
r1repro.stages.baselines evaluates with other prompts.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config
from r1repro.evaluation import checkpoints
from r1repro.evaluation.rows import row
from r1repro.generation.problem_samples import ask, samples_of
from r1repro.generation.rollouts import Sampling
from r1repro.rewards.correctness import judge
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.tasks.templates import Form
from r1repro.training import snapshots
from r1repro.training.flops import EQUAL_FLOPS


@dataclass(frozen=True)
class Part:
    """Problems with one prompt format, each sampled `samples` times."""

    problems: Sequence[Problem]
    form: Form
    samples: int
    sampling: Sampling


def run(
    config: Config,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    samples: str = "samples_between",
    model: str = "model",
) -> None:
    """Writes evaluation.parquet, one row per problem and sample.

    samples: the setting with the samples of a reasoning problem; model: the folder of the weights.
    """
    ((name, checkpoint),) = inputs.items()
    form = templates.asked(checkpoints.form(config, name))
    write(config, checkpoint.folder / model, parts(config, form, form, samples), folder, progress)


in_depth = partial(run, samples="samples")
"""With more samples per reasoning problem, for the base and R1-Zero."""


def greedy(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """By greedy decoding, which the paper avoids (R1 v1, 3)."""
    settings = replace(config.evaluation, temperature=0.0)
    run(replace(config, evaluation=settings), inputs, folder, progress)


equal_flops = partial(run, model=f"{EQUAL_FLOPS}/model")
"""The policy saved when RL had spent the FLOPs of distillation."""


def curve(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes curve.parquet: the base, R1-Zero's snapshots and R1-Zero on the validation problems.

    Rows of evaluation.parquet with a column `step`; evaluation.curve_samples samples a problem.
    """
    trained = inputs["r1_zero"]
    asked = _validation(config, config.evaluation.curve_samples or 0)
    steps = int(trained.metrics()["step"].max())
    models = {0: inputs["base"].folder / "model", **snapshots.of(trained.folder)}
    models[steps] = trained.folder / "model"
    tables = []
    for done, (step, place) in enumerate(models.items(), start=1):
        rows = measure(config, place, asked, Progress(None), folder, step).assign(step=step)
        tables.append(rows)
        progress.update(done, len(models), **{"pass@1": float(rows["correct"].mean())})
    pd.concat(tables, ignore_index=True).to_parquet(folder / "curve.parquet")


def sampling(config: Config) -> Sampling:
    """Sampling of every checkpoint: by default T 0.6 and top-p 0.95, as in the paper (R1 v1, 3)."""
    settings = config.evaluation
    return Sampling(settings.max_completion_tokens, settings.temperature, settings.top_p)


def validation(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Evaluate an arm of the lab on the validation problems, with R1-Zero's prompt."""
    ((_, arm),) = inputs.items()
    rows = validated(config, arm.folder / "model", progress, folder)
    rows.to_parquet(folder / "evaluation.parquet")


def write(
    config: Config, place: Path, asked: Sequence[Part], folder: Path, progress: Progress
) -> None:
    """Writes evaluation.parquet: `measure` on these parts."""
    rows = measure(config, place, asked, progress, folder)
    rows.to_parquet(folder / "evaluation.parquet")


def validated(config: Config, place: Path, progress: Progress, folder: Path) -> pd.DataFrame:
    """`measure` on the validation problems, with R1-Zero's prompt."""
    asked = _validation(config, config.evaluation.samples)
    return measure(config, place, asked, progress, folder)


def _validation(config: Config, samples: int) -> list[Part]:
    form = templates.asked(checkpoints.form(config, "r1_zero"))
    problems = some(worlds.of(config.task).validation, config.evaluation.problems)
    return [Part(problems, form, samples, sampling(config))]


def parts(
    config: Config, reasoning: Form, general: Form, samples: str = "samples_between"
) -> list[Part]:
    """The held-out problems of the configured split, and the general items; samples: of `run`."""
    settings, world = config.evaluation, worlds.of(config.task)
    problems = some(getattr(world, settings.split), settings.problems)
    items = some(getattr(world, f"general_{settings.split}"), settings.general_items)
    return [
        Part(problems, reasoning, getattr(settings, samples), sampling(config)),
        Part(items, general, settings.general_samples, sampling(config)),
    ]


def some(problems: Sequence[Problem], most: int | None) -> Sequence[Problem]:
    """At most `most` of the problems, at equal distances; None keeps all."""
    if most is None or most >= len(problems):
        return problems
    return [problems[i * len(problems) // most] for i in range(most)]


def measure(
    config: Config,
    place: Path,
    asked: Sequence[Part],
    progress: Progress,
    folder: Path,
    number: int = 0,
) -> pd.DataFrame:
    """Rows of evaluation.parquet for the model in `place`, one per problem and sample.

    Greedy decoding is deterministic: each problem is sampled once and its row repeated.
    folder: the stage's, which keeps every batch until the stage is done.
    number: distinguishes the models that one stage measures.
    """
    settings = config.evaluation
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    tokenizer = load_tokenizer(place)
    total = sum(len(part.problems) * part.samples for part in asked)
    rows: list[dict[str, Any]] = []
    tokens, started = 0, time.perf_counter()
    for index, part in enumerate(asked):
        kept = samples_of(folder, f"{number}-{index}")
        copies = part.samples if part.sampling.temperature == 0 else 1
        for batch in ask(
            model, tokenizer, part.problems, part.sampling, form=part.form,
            samples=part.samples // copies, rollout_batch=settings.rollout_batch,
            seed=config.base_seed, kept=kept,
        ):  # fmt: skip
            # Verify the batch at once; the verdicts are cached for each row.
            judge([problem for problem, _, _ in batch], [said.text for _, _, said in batch])
            for problem, sample, said in batch:
                found = row(problem, sample, said)
                rows += [found | {"sample": sample + copy} for copy in range(copies)]
            tokens += sum(len(completion.token_ids) for _, _, completion in batch)
            reasoning = [found["correct"] for found in rows if found["task"] not in GENERAL]
            right = sum(reasoning) / len(reasoning) if reasoning else 0.0
            speed = tokens / (time.perf_counter() - started)
            progress.update(len(rows), total, **{"pass@1": right, "tokens/s": speed})
    return pd.DataFrame(rows)
