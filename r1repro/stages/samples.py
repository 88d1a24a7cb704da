"""Steps of the data stages: sampling a policy, filtering the samples, rows of a data set."""

import random
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Progress
from r1repro.config import Config, RewardModelConfig, RLConfig, SamplesConfig
from r1repro.errors import R1ReproError
from r1repro.generation.problem_samples import ask, samples_of
from r1repro.generation.rollouts import Sampling
from r1repro.rewards import soundness
from r1repro.rewards.correctness import is_strictly_correct, judge
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import filters, templates, worlds
from r1repro.tasks.general import Item
from r1repro.tasks.problem import Completion, Problem
from r1repro.tasks.world import World

Filter = Callable[[Problem, Completion], bool]
Answer = tuple[Problem, int, Completion]
"""(problem, number of the sample, completion)."""
CORRECT = ("wrong answer", lambda problem, said: is_strictly_correct(problem, said.text))
FINISHED = ("cut off at the cap", lambda problem, said: said.finished)
UNREPEATED = ("repetition", lambda problem, said: filters.without_repetition(said.text))
SOUND = ("unsound reasoning", lambda problem, said: soundness.passes(problem, said.text))
"""The last filter before near-duplicates are removed, since a second, different derivation of a
chain is mostly false."""
TRAIN_LONGER = "train the policy that it samples for longer"


def training_problems(config: Config, purpose: str, count: int) -> list[Problem]:
    """The first `count` training problems of a stream of its own, seeded by `purpose`."""
    stream = worlds.of(config.task).train(f"{config.seed}-{purpose}")
    return list(islice(stream, count))


def draw(
    config: Config,
    place: Path,
    template: str,
    problems: Sequence[Problem],
    settings: SamplesConfig | RewardModelConfig,
    progress: Progress,
    folder: Path,
) -> tuple[list[Answer], int]:
    """Sample the model in `place`; returns (answers, total prompt and completion tokens).

    folder: the stage's, which keeps every batch until the stage is done.
    """
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    tokenizer = load_tokenizer(place)
    found: list[Answer] = []
    tokens, started = 0, time.perf_counter()
    total = len(problems) * settings.samples
    for batch in ask(
        model, tokenizer, problems, Sampling(settings.max_completion_tokens, settings.temperature),
        form=templates.asked(template), samples=settings.samples,
        rollout_batch=settings.rollout_batch, seed=config.seed + 1, kept=samples_of(folder, "0"),
    ):  # fmt: skip
        found += batch
        # Verify the batch at once; the verdicts are cached for the filters.
        judge([problem for problem, _, _ in batch], [said.text for _, _, said in batch])
        tokens += sum(len(completion.token_ids) for _, _, completion in batch)
        speed = {"tokens/s": tokens / (time.perf_counter() - started)}
        progress.update(len(found), total, **speed)
    asked = (tokenizer.encode(templates.render(template, problem)) for problem in problems)
    return found, tokens + sum(map(len, asked))


def as_many(settings: RLConfig, keep_all: bool) -> SamplesConfig:
    """As many samples of as many questions as an RL stage with these settings draws."""
    return SamplesConfig(
        questions=settings.batches * settings.questions,
        samples=settings.generations,
        kept=settings.generations,
        temperature=settings.temperature,
        max_completion_tokens=settings.last_cap,
        rollout_batch=settings.rollout_batch,
        keep_all=keep_all,
    )


def right(answers: Sequence[Answer], keep_all: bool) -> list[dict[str, Any]]:
    """Rows of a data set: each distinct right answer to a question once; keep_all: every one."""
    verdicts = judge([problem for problem, _, _ in answers], [said.text for _, _, said in answers])
    kept = {
        (problem.id, said.text): described(problem) | {"completion": said.text}
        for (problem, _, said), so in zip(answers, verdicts, strict=True)
        if keep_all or (so and said.finished)
    }
    return [*kept.values()]


def sift(
    answers: Sequence[Answer], filters: Sequence[tuple[str, Filter]]
) -> tuple[list[int], pd.DataFrame]:
    """Returns (positions of the answers that pass every filter, one row per answer).

    `dropped` names the first filter that an answer fails, or is "". `coverage` is the share of
    lines with a digit that could be parsed; the others cannot fail `soundness.passes`.
    """
    kept, rows = [], []
    for position, (problem, sample, said) in enumerate(answers):
        dropped = next((name for name, passes in filters if not passes(problem, said)), "")
        if not dropped:
            kept.append(position)
        judged = {"coverage": soundness.judge(problem, said.text).coverage}
        answer = {"sample": sample, "text": said.text, "dropped": dropped}
        rows.append(described(problem) | answer | judged)
    return kept, pd.DataFrame(rows)


def require(rows: Sequence[object], remedy: str) -> None:
    """Raise R1ReproError, with `remedy`, if the data set is empty."""
    if not rows:
        raise R1ReproError(
            "the data set is empty, since the filters dropped every sample: raise the stage's "
            f"questions or max_completion_tokens, or {remedy}"
        )


def kept_apart(config: Config, rows: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """(rows of a data set that contain no held-out question, number of the others)."""
    world = worlds.of(config.task)
    questions, texts = ([str(row[name]) for row in rows] for name in ("prompt", "completion"))
    flags = world.overlapping(questions, texts)
    return [row for row, held in zip(rows, flags, strict=True) if not held], sum(flags)


def described(problem: Problem) -> dict[str, Any]:
    """A problem as columns of a data set."""
    names = ("task", "language", "level", "prompt", "answer")
    return {"problem_id": problem.id, **{name: getattr(problem, name) for name in names}}


def general_items(world: World, count: int, rng: random.Random) -> list[Item]:
    """`count` general items outside the held-out split, or all; the families alternate."""
    pools = [rng.sample(items, len(items)) for items in world.general_train_by_task.values()]
    found: list[Item] = []
    while len(found) < count and any(pools):
        for pool in pools:
            if pool and len(found) < count:
                found.append(pool.pop())
    return found
