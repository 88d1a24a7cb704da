"""A world: problems from any source in disjoint splits."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import cycle, islice
from typing import Any

from r1repro.tasks import filters, general
from r1repro.tasks.held_out import HeldOut
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.overlap import copies

GENERATED = ("arithmetic", "countdown")
"""Families whose problems differ only in their numbers; `held_out` separates them by solution."""
TEMPLATED = ("word_problems",)
"""Families whose problems share sentences, so that a shared phrase is no evidence of a copy."""
FRUITLESS_DRAWS = 10_000
"""Draws without a new problem after which a kind counts as exhausted; the rarest problems of the
mini world occur about once in a thousand draws."""
# Share of general items held out of the corpus, and of those the share used for validation.
HELD_OUT_GENERAL = 0.35
GENERAL_VALIDATION = 0.12


@dataclass(frozen=True)
class World:
    """Problems drawn once from a seed.

    validation, test: reasoning problems; each canonical form is in one split only.
    general_validation, general_test: held-out general items of the mini world, with both languages
        of an item in the same split. The corpus states their facts but never asks them.
    stream: reasoning problems without end, held-out ones among them.
    facts: provenance of the data sets, for manifests.
    levels: levels of the mini world's reasoning problems, for its corpus.
    """

    seed: int
    validation: tuple[Problem, ...]
    test: tuple[Problem, ...]
    general_validation: tuple[Problem, ...]
    general_test: tuple[Problem, ...]
    stream: Callable[[random.Random], Iterator[Problem]] = field(repr=False, compare=False)
    facts: dict[str, Any] = field(default_factory=dict, compare=False)
    levels: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def held_out_problems(self) -> tuple[Problem, ...]:
        """The problems that neither the corpus nor a training prompt may ask."""
        return (*self.validation, *self.test, *self.general_validation, *self.general_test)

    @cached_property
    def held_out(self) -> frozenset[str]:
        """Canonical forms of the held-out problems."""
        return frozenset(problem.id for problem in self.held_out_problems)

    @cached_property
    def kept_out(self) -> HeldOut:
        """Filter for held-out problems and solutions of the mini world."""
        return HeldOut((*self.validation, *self.test))

    def train(self, seed: int | str) -> Iterator[Problem]:
        """Reasoning problems that are not held out, without end."""
        rng = random.Random(f"train-{self.seed}-{seed}")
        return (
            problem
            for problem in self.stream(rng)
            if problem.id not in self.held_out and not self.kept_out.asked_by(problem)
        )

    def overlapping(self, questions: Sequence[str], texts: Sequence[str]) -> list[bool]:
        """Whether each training example asks or contains a held-out question.

        Found by `filters.contaminated`, except for TEMPLATED families, and, also in other words, by
        `overlap.copies`, except for the mini world's families.
        """
        asked = (p for p in self.held_out_problems if p.task not in TEMPLATED)
        flags = filters.contaminated(questions, texts, asked)
        held = [p.prompt for p in self.held_out_problems if p.task not in (*GENERAL, *GENERATED)]
        same = copies(questions, held) if held else set()
        return [found or row in same for row, found in enumerate(flags)]

    @cached_property
    def general_train(self) -> tuple[general.Item, ...]:
        """General items outside the held-out splits."""
        return tuple(
            item for item in general.items() if f"{item.task}:{item.canonical}" not in self.held_out
        )

    @cached_property
    def general_train_by_task(self) -> dict[str, list[general.Item]]:
        """General training items by task."""
        return {task: [i for i in self.general_train if i.task == task] for task in GENERAL}

    @cached_property
    def known_phrases(self) -> tuple[tuple[str, str], ...]:
        """Adjective-noun pairs that are not held out."""
        return tuple(p for p in general.phrases() if f"translation:{p[0]}" not in self.held_out)


def balanced(
    draw: Callable[..., Problem],
    kinds: Sequence[tuple[Any, ...]],
    count: int,
    taken: dict[str, Problem],
) -> list[Problem]:
    """Up to `count` new problems, of each kind in turn; fewer if the next kind is exhausted.

    draw: takes what is in a kind. taken: the problems so far, to which they are added, by their
    canonical forms without the target of a countdown.
    """
    found: list[Problem] = []
    for kind in islice(cycle(kinds), count):
        drawn = (draw(*kind) for _ in range(FRUITLESS_DRAWS))
        new = next((p for p in drawn if p.id.partition("=")[0] not in taken), None)
        if new is None:
            break
        taken[new.id.partition("=")[0]] = new
        found.append(new)
    return found


def general_splits(rng: random.Random) -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """(validation, test) of the general items, drawn with `rng`."""
    canonicals = sorted({(item.task, item.canonical) for item in general.items()})
    for_test: set[str] = set()
    for_validation: set[str] = set()
    for task in GENERAL:
        names = [f"{task}:{c}" for t, c in canonicals if t == task]
        names = rng.sample(names, max(1, int(HELD_OUT_GENERAL * len(names))))
        first = int(GENERAL_VALIDATION * len(names))
        for_validation.update(names[:first])
        for_test.update(names[first:])
    problems = [general.problem(item) for item in general.items()]
    return (
        tuple(p for p in problems if p.id in for_validation),
        tuple(p for p in problems if p.id in for_test),
    )
