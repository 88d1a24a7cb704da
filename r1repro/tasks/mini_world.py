"""The mini world: seeded bilingual problems in disjoint splits."""

import random
from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import product

from r1repro.errors import R1ReproError
from r1repro.tasks import arithmetic, countdown
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World, balanced, general_splits

LANGUAGES = ("en", "zh")
FAMILIES = {"arithmetic": arithmetic, "countdown": countdown}


@lru_cache(maxsize=4)
def build(seed: int, validation: int, test: int, max_level: int = 5) -> World:
    """The world of a seed, with validation and test problems balanced over cells.

    A cell is a family, a level from 1 to `max_level`, and a language. Raises R1ReproError if a
    level has too few problems.
    """
    rng = random.Random(f"world-{seed}")
    levels = tuple(range(1, max_level + 1))
    cells = [*product(FAMILIES, levels, LANGUAGES)]
    taken: dict[str, Problem] = {}  # at most one problem per number set
    held: dict[str, tuple[Problem, ...]] = {}
    for split, count in (("test", test), ("validation", validation)):
        held[split] = tuple(balanced(partial(_reasoning, rng), cells, count, taken))
        if len(held[split]) < count:
            family, level, _ = cells[len(held[split]) % len(cells)]
            had = sum((p.task, p.level) == (family, level) for p in taken.values())
            raise R1ReproError(
                f"task.{split}_problems={count} is not accepted: {family} at level {level} has "
                f"at most {had} problems for the test and validation splits together; lower "
                "task.test_problems or task.validation_problems, of which each level of each "
                f"family gets one in {len(cells) // len(LANGUAGES)}"
            )
    return World(
        seed, held["validation"], held["test"], *general_splits(rng), partial(_stream, levels),
        levels=levels,
    )  # fmt: skip


def _stream(levels: tuple[int, ...], rng: random.Random) -> Iterator[Problem]:
    families = tuple(FAMILIES)
    while True:
        family, level = rng.choice(families), rng.choice(levels)
        yield _reasoning(rng, family, level, rng.choice(LANGUAGES))


def _reasoning(rng: random.Random, family: str, level: int, language: str) -> Problem:
    module = FAMILIES[family]
    return module.problem(rng, module.sample(rng, level), language)
