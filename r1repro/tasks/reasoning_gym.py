"""reasoning-gym tasks, selected by name."""

import random
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from r1repro.errors import R1ReproError
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World, general_splits

DRAWN = 1_000
"""Problems generated at a time per task."""


def build(names: list[str], seed: int, validation: int, test: int) -> World:
    """A world that alternates between tasks.

    Raises R1ReproError without the package, for an unknown task, or for too few problems.
    """
    rng = random.Random(f"gym-{seed}")
    held_out: dict[str, Problem] = {}
    for drawn, problem in enumerate(_stream(names, rng)):
        held_out.setdefault(problem.id, problem)
        if len(held_out) == validation + test:
            break
        if drawn > DRAWN + 20 * (validation + test):
            raise R1ReproError(
                f"{' and '.join(names)} have fewer than {validation + test} different problems to "
                "hold out; lower task.validation_problems or task.test_problems"
            )
    problems = list(held_out.values())
    return World(
        seed, tuple(problems[test:]), tuple(problems[:test]), *general_splits(rng),
        lambda draws: _stream(names, draws), {"reasoning_gym": names},
    )  # fmt: skip


def solves(answer: str, entry: str) -> bool:
    """Whether an answer equals the entry's, up to spacing and case.

    The package's scorers are not used because some evaluate their input, which is untrusted model
    output. Tasks with several correct answers are therefore scored too strictly.
    """
    return " ".join(answer.split()).casefold() == " ".join(entry.split()).casefold()


def _stream(names: list[str], rng: random.Random) -> Iterator[Problem]:
    while True:
        made = [_dataset(name, rng.randrange(2**31)) for name in names]
        for rows in zip(*(islice(iter(dataset), DRAWN) for dataset in made), strict=False):
            yield from (_problem(row) for row in rows)


def _problem(row: dict[str, Any]) -> Problem:
    name = row["metadata"]["source_dataset"]
    return Problem(
        f"{name}:{row['question']}", f"gym_{name}", "en", 1, row["question"], str(row["answer"])
    )


@lru_cache(maxsize=64)
def _dataset(name: str, seed: int) -> Any:
    try:
        import reasoning_gym
    except ImportError as error:
        raise R1ReproError(
            f"task {name} needs reasoning-gym, which is not installed; run "
            'pip install -e ".[gym]" -c constraints.txt'
        ) from error
    try:
        return reasoning_gym.create_dataset(name, seed=seed, size=DRAWN)
    except ValueError as error:
        raise R1ReproError(f"reasoning-gym has no task {name}: {error}") from error
