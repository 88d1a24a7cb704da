"""The mini world: seeded bilingual problems in disjoint splits."""

import random
from collections.abc import Iterator
from functools import lru_cache, partial

from r1repro.errors import R1ReproError
from r1repro.tasks import arithmetic, countdown
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World, general_splits

LANGUAGES = ("en", "zh")
FAMILIES = {"arithmetic": arithmetic, "countdown": countdown}
# Consecutive draws without a new problem after which a level counts as exhausted; its rarest
# problems occur about once in a thousand draws.
FRUITLESS_DRAWS = 10_000


@lru_cache(maxsize=4)
def build(seed: int, validation: int, test: int, max_level: int = 5) -> World:
    """The world of a seed, with validation and test problems balanced over cells.

    A cell is a family, a level from 1 to `max_level`, and a language. Raises R1ReproError if a
    level has too few problems.
    """
    rng = random.Random(f"world-{seed}")
    taken: dict[str, Problem] = {}  # at most one problem per number set
    levels = tuple(range(1, max_level + 1))
    held_test = _balanced(rng, "test", test, levels, taken)
    held_validation = _balanced(rng, "validation", validation, levels, taken)
    return World(
        seed,
        tuple(held_validation),
        tuple(held_test),
        *general_splits(rng),
        partial(_stream, levels),
        levels=levels,
    )


def _stream(levels: tuple[int, ...], rng: random.Random) -> Iterator[Problem]:
    families = tuple(FAMILIES)
    while True:
        family, level = rng.choice(families), rng.choice(levels)
        yield _reasoning(rng, family, level, rng.choice(LANGUAGES))


def _reasoning(rng: random.Random, family: str, level: int, language: str) -> Problem:
    module = FAMILIES[family]
    return module.problem(rng, module.sample(rng, level), language)


def _balanced(
    rng: random.Random,
    split: str,
    count: int,
    levels: tuple[int, ...],
    taken: dict[str, Problem],
) -> list[Problem]:
    """`count` problems, cycling through the cells; adds them to `taken`."""
    cells = [(f, level, lang) for f in FAMILIES for level in levels for lang in LANGUAGES]
    problems: list[Problem] = []
    for i in range(count):
        family, level, language = cells[i % len(cells)]
        drawn = (_reasoning(rng, family, level, language) for _ in range(FRUITLESS_DRAWS))
        problem = next((p for p in drawn if _key(p) not in taken), None)
        if problem is None:
            had = sum((p.task, p.level) == (family, level) for p in taken.values())
            raise R1ReproError(
                f"task.{split}_problems={count} is not accepted: {family} at level {level} has "
                f"at most {had} problems for the test and validation splits together; lower "
                "task.test_problems or task.validation_problems, of which each level of each "
                f"family gets one in {len(cells) // len(LANGUAGES)}"
            )
        taken[_key(problem)] = problem
        problems.append(problem)
    return problems


def _key(problem: Problem) -> str:
    """The canonical form, without the target of a countdown."""
    return problem.id.partition("=")[0]
