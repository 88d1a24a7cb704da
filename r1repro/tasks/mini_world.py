"""The mini world: seeded, bilingual problems in disjoint splits."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from r1repro.config import TaskConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import arithmetic, countdown, general
from r1repro.tasks.problem import GENERAL, Problem

LANGUAGES = ("en", "zh")
FAMILIES = {"arithmetic": arithmetic, "countdown": countdown}
# The share of general items that the corpus never asks, and of those the share for validation.
HELD_OUT_GENERAL = 0.35
GENERAL_VALIDATION = 0.12
# Draws in a row without a new problem, after which a level counts as used up: its rarest problems
# come about once in a thousand draws.
FRUITLESS_DRAWS = 10_000


@dataclass(frozen=True)
class MiniWorld:
    """Problems drawn once from a seed.

    validation, test: reasoning problems, balanced over family, level and language; a canonical
        form is in one split only, whatever the language.
    general_validation, general_test: held-out general items, an item in both of its languages in
        one of them. The corpus states their facts, but never asks them.
    """

    seed: int
    validation: tuple[Problem, ...]
    test: tuple[Problem, ...]
    general_validation: tuple[Problem, ...]
    general_test: tuple[Problem, ...]

    @property
    def held_out_problems(self) -> tuple[Problem, ...]:
        """Everything that neither the corpus nor a training prompt may ask."""
        return (*self.validation, *self.test, *self.general_validation, *self.general_test)

    @cached_property
    def held_out(self) -> frozenset[str]:
        """The canonical forms of these."""
        return frozenset(problem.id for problem in self.held_out_problems)

    def train(self, seed: int | str) -> Iterator[Problem]:
        """An endless stream of reasoning problems outside the held-out splits."""
        rng = random.Random(f"train-{self.seed}-{seed}")
        while True:
            problem = _reasoning(rng, *_cell(rng))
            if problem.id not in self.held_out:
                yield problem

    @cached_property
    def general_train(self) -> tuple[general.Item, ...]:
        """General items outside the held-out split."""
        return tuple(
            item for item in general.items() if f"{item.task}:{item.canonical}" not in self.held_out
        )

    @cached_property
    def general_train_by_task(self) -> dict[str, list[general.Item]]:
        """The same, a list a task."""
        return {task: [i for i in self.general_train if i.task == task] for task in GENERAL}

    @cached_property
    def known_phrases(self) -> tuple[tuple[str, str], ...]:
        """Pairs of a quality and a thing that are not held out."""
        return tuple(p for p in general.phrases() if f"translation:{p[0]}" not in self.held_out)


def of(task: TaskConfig) -> MiniWorld:
    """The world that a configuration asks for."""
    return build(task.world_seed, task.validation_problems, task.test_problems)


@lru_cache(maxsize=4)
def build(seed: int, validation: int, test: int) -> MiniWorld:
    """The world of a seed with so many validation and test problems.

    Raises R1ReproError if a level has not so many.
    """
    rng = random.Random(f"world-{seed}")
    taken: dict[str, Problem] = {}
    held_test = _balanced(rng, "test", test, taken)
    held_validation = _balanced(rng, "validation", validation, taken)
    canonicals = sorted({(item.task, item.canonical) for item in general.items()})
    for_test: set[str] = set()
    for_validation: set[str] = set()
    for task in GENERAL:
        names = _share(rng, [f"{task}:{c}" for t, c in canonicals if t == task])
        first = int(GENERAL_VALIDATION * len(names))
        for_validation.update(names[:first])
        for_test.update(names[first:])
    problems = [general.problem(item) for item in general.items()]
    return MiniWorld(
        seed,
        tuple(held_validation),
        tuple(held_test),
        tuple(p for p in problems if p.id in for_validation),
        tuple(p for p in problems if p.id in for_test),
    )


def _share(rng: random.Random, names: list[str]) -> list[str]:
    return rng.sample(names, max(1, int(HELD_OUT_GENERAL * len(names))))


def _cell(rng: random.Random) -> tuple[str, int, str]:
    family = rng.choice(tuple(FAMILIES))
    return family, rng.choice(FAMILIES[family].LEVELS), rng.choice(LANGUAGES)


def _reasoning(rng: random.Random, family: str, level: int, language: str) -> Problem:
    module = FAMILIES[family]
    return module.problem(rng, module.sample(rng, level), language)


def _balanced(
    rng: random.Random, split: str, count: int, taken: dict[str, Problem]
) -> list[Problem]:
    """`count` problems, one per cell in turn, added to `taken` by their canonical forms."""
    cells = [(f, lv, lang) for f, m in FAMILIES.items() for lv in m.LEVELS for lang in LANGUAGES]
    problems: list[Problem] = []
    for i in range(count):
        family, level, language = cells[i % len(cells)]
        drawn = (_reasoning(rng, family, level, language) for _ in range(FRUITLESS_DRAWS))
        problem = next((p for p in drawn if p.id not in taken), None)
        if problem is None:
            had = sum((p.task, p.level) == (family, level) for p in taken.values())
            raise R1ReproError(
                f"task.{split}_problems={count} is not accepted: {family} of level {level} takes "
                f"at most {had} problems in the test and validation splits together; lower "
                "task.test_problems or task.validation_problems, of which each level of each "
                f"family gets one in {len(cells) // len(LANGUAGES)}"
            )
        taken[problem.id] = problem
        problems.append(problem)
    return problems
