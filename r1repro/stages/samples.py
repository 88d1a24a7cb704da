"""What the data stages share: a policy's samples, the filters in turn, the rows that are kept."""

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Progress
from r1repro.config import Config, SamplesConfig
from r1repro.errors import R1ReproError
from r1repro.generation.ask import ask
from r1repro.generation.sampler import Sampling
from r1repro.rewards import soundness
from r1repro.rewards.accuracy import is_strictly_correct, judge
from r1repro.stages.models import load_sampled, load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Completion, Problem

Filter = Callable[[Problem, Completion], bool]
Answer = tuple[Problem, int, Completion]
"""Which problem, the number of the sample, and what was said."""
CORRECT = ("wrong answer", lambda problem, said: is_strictly_correct(problem, said.text))
FINISHED = ("cut off at the cap", lambda problem, said: said.finished)
SOUND = ("unsound reasoning", lambda problem, said: soundness.passes(problem, said.text))
"""Last of the filters and so before near-duplicates: of a chain, a second derivation that differs
from the first is mostly a false one."""
TRAIN_LONGER = "train the policy that it samples for longer"


def training_problems(config: Config, purpose: str, count: int) -> list[Problem]:
    """Reasoning problems of a stream of its own, none held out; the stage's name picks it."""
    stream = worlds.of(config.task).train(f"{config.seed}-{purpose}")
    return list(islice(stream, count))


def draw(
    config: Config,
    place: Path,
    template: str,
    problems: Sequence[Problem],
    settings: SamplesConfig,
    progress: Progress,
) -> tuple[list[Answer], int]:
    """(answers of the model in `place` to each problem, prompt and completion tokens in all)."""
    model = load_sampled(place, config.engine, settings.max_completion_tokens)
    words = load_tokenizer(place)
    found: list[Answer] = []
    tokens, started = 0, time.perf_counter()
    total = len(problems) * settings.samples
    for batch in ask(
        model,
        words,
        problems,
        Sampling(settings.max_completion_tokens, settings.temperature),
        form=templates.asked(template),
        samples=settings.samples,
        rollout_batch=settings.rollout_batch,
        seed=config.seed + 1,
    ):
        found += batch
        # What the verifier has to say about these, it says at once, and the filters find it said.
        judge([problem for problem, _, _ in batch], [said.text for _, _, said in batch])
        tokens += sum(len(completion.token_ids) for _, _, completion in batch)
        speed = {"tokens/s": tokens / (time.perf_counter() - started)}
        progress.update(len(found), total, **speed)
    prompts = sum(len(words.encode(templates.render(template, problem))) for problem in problems)
    return found, tokens + prompts


def sift(
    answers: Sequence[Answer], filters: Sequence[tuple[str, Filter]]
) -> tuple[list[int], pd.DataFrame]:
    """(positions of the answers that pass every filter; a row an answer with what `dropped` it).

    A sample is counted under the first filter that it does not pass; "" stands for none.
    `coverage` is the share of its lines with a digit that were parsed, since a filter can hold
    nothing against the others (see `soundness.passes`).
    """
    kept, rows = [], []
    for position, (problem, sample, said) in enumerate(answers):
        dropped = next((name for name, passes in filters if not passes(problem, said)), "")
        if not dropped:
            kept.append(position)
        judged = {"coverage": soundness.judge(problem, said.text).coverage}
        told = {"sample": sample, "text": said.text, "dropped": dropped}
        rows.append(described(problem) | told | judged)
    return kept, pd.DataFrame(rows)


def require(rows: Sequence[object], remedy: str) -> None:
    """Refuse an empty data set, from which nothing can be learned (R1ReproError)."""
    if not rows:
        raise R1ReproError(
            "the data set would be empty: every sample was dropped by a filter; raise the stage's "
            f"questions or max_completion_tokens, or {remedy}"
        )


def described(problem: Problem) -> dict[str, Any]:
    """A problem as columns of a data set."""
    return {
        "problem_id": problem.id,
        "task": problem.task,
        "language": problem.language,
        "level": problem.level,
        "prompt": problem.prompt,
        "answer": problem.answer,
    }
