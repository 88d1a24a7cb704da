"""The world of a configuration: the mini world, or data sets plus its general items."""

import random
from collections.abc import Iterator
from functools import lru_cache

from r1repro.config import TaskConfig
from r1repro.errors import R1ReproError, offered
from r1repro.tasks import datasets, mini_world, reasoning_gym, word_problems
from r1repro.tasks.datasets import SOURCES, Source
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import GENERATED, World, general_splits
from r1repro.text.overlap import copies

GYM, WORDS = "reasoning_gym:", f"{word_problems.FAMILY}:"
"""Prefixes of a `task.train` that names reasoning-gym tasks, or languages of word problems."""


@lru_cache(maxsize=4)
def of(task: TaskConfig) -> World:
    """The world of a task; the same object for the same task.

    Raises R1ReproError if a data set is not on this machine or has too few problems.
    """
    sizes = (task.world_seed, task.validation_problems, task.test_problems)
    if task.is_mini:
        return mini_world.build(*sizes, task.max_level)
    train = task.train or ""
    if train.startswith(GYM):
        return reasoning_gym.build(train.removeprefix(GYM).split("+"), *sizes)
    if train.startswith(WORDS):
        return word_problems.build(train.removeprefix(WORDS).split("+"), *sizes, task.max_level)
    return _of_data(task)


def train_source(task: TaskConfig) -> Source:
    """The data set that a task trains on."""
    if task.path is not None:
        return _own(task, task.path)
    return _named("task.train", str(task.train))


def test_sources(task: TaskConfig) -> list[Source]:
    """The test data sets; empty if part of the training set is held out instead."""
    own = [] if task.test_path is None else [_own(task, task.test_path, "own_test")]
    return own + [_named("task.test", name) for name in (task.test or "").split("+") if name]


def _named(key: str, name: str) -> Source:
    if name not in SOURCES:
        known = offered(name, SOURCES, "r1repro/tasks/datasets.py has")
        raise R1ReproError(f"{key}={name} is not accepted; use {known}")
    return SOURCES[name]


def hub_sources(task: TaskConfig) -> list[Source]:
    """The hub data sets that a task reads, one per repository."""
    used = test_sources(task)
    if task.path is None and task.train and not task.train.startswith((GYM, WORDS)):
        used.append(train_source(task))
    return list({source.hub: source for source in used if source.hub is not None}.values())


def _own(task: TaskConfig, path: str, name: str = "own") -> Source:
    return Source(
        name, path=path, prompt=task.prompt, answer=task.answer, level=task.level,
        language=task.language,
    )  # fmt: skip


def _of_data(task: TaskConfig) -> World:
    rng = random.Random(f"data-{task.world_seed}")
    trained = train_source(task)
    training, conflicting = datasets.questions(trained)
    facts = {trained.name: _facts(trained, training, conflicting)}
    test: list[Problem] = []
    for source in test_sources(task):
        found, conflicting = datasets.questions(source)
        facts[source.name] = _facts(source, found, conflicting)
        test += found if len(found) <= task.test_problems else rng.sample(found, task.test_problems)
    # Questions may repeat across test sets and occur in the training set.
    taken = {problem.id.split(":")[-1]: problem for problem in test}
    test = list(taken.values())
    free = [problem for problem in training if problem.id.split(":")[-1] not in taken]
    free, copied = _apart(free, test)
    rng.shuffle(free)
    wanted = task.validation_problems + (0 if test else task.test_problems)
    if len(free) <= wanted:
        raise R1ReproError(
            f"{trained.name} has {len(free)} problems outside the test sets, too few to "
            f"hold out {wanted}; lower task.validation_problems or task.test_problems"
        )
    validation, free = free[: task.validation_problems], free[task.validation_problems :]
    if not test:
        test, free = free[: task.test_problems], free[task.test_problems :]
    free, others = _apart(free, [*validation, *test])
    facts["overlap"] = {"training questions left out": copied + others}
    facts["used"] = {"train": len(free), "validation": len(validation), "test": len(test)}

    def stream(draws: random.Random) -> Iterator[Problem]:
        while True:  # each epoch in a new order
            yield from draws.sample(free, len(free))

    return World(
        task.world_seed, tuple(validation), tuple(test), *general_splits(rng), stream, facts
    )


def _apart(free: list[Problem], held: list[Problem]) -> tuple[list[Problem], int]:
    """(problems that do not restate a held-out one, number of those that do).

    Raises R1ReproError if none is left.
    """
    if free and free[0].task in GENERATED:
        return free, 0  # kept apart by their numbers as they are drawn
    same = copies([problem.prompt for problem in free], [problem.prompt for problem in held])
    kept = [problem for row, problem in enumerate(free) if row not in same]
    if free and not kept:
        raise R1ReproError(
            "every training question restates a held-out one; give another data set to train on "
            "or to test on"
        )
    return kept, len(same)


def _facts(source: Source, problems: list[Problem], conflicting: int) -> dict[str, object]:
    where = {"hub": source.hub, "commit": datasets.place(source).name} if source.hub else {}
    counts = {"problems": len(problems), "with different gold answers": conflicting}
    return {**where, **counts, "sha256": datasets.digest(problems)}
