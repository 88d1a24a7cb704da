"""Keeps held-out problems of the mini world out of the corpus and the training prompts.

Matching is by solution, not by wording: no document uses the numbers of a held-out countdown
problem, whatever the target, or holds all lines of a correct solution, in any order.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from r1repro.tasks import arithmetic, countdown
from r1repro.tasks.problem import Problem

_SUM = re.compile(r"(?<![\d+\-*=])(\d{1,4})([-+*])(\d{1,4})=(\d{1,5})(?![\d+\-*])")


@dataclass(frozen=True)
class HeldOut:
    """The held-out reasoning problems of the mini world."""

    problems: tuple[Problem, ...]

    @cached_property
    def ids(self) -> frozenset[str]:
        return frozenset(problem.id for problem in self.problems)

    @cached_property
    def sets(self) -> frozenset[str]:
        """The number sets of held-out countdown problems, such as "3,5,7"."""
        return frozenset(numbers_of(p) for p in self.problems if p.task == "countdown")

    @cached_property
    def _solutions(self) -> dict[str, list[frozenset[str]]]:
        """The correct solutions as sets of lines, indexed by their smallest line."""
        found: dict[str, list[frozenset[str]]] = {}
        for lines in {lines for problem in self.problems for lines in solutions(problem)}:
            found.setdefault(min(lines), []).append(lines)
        return found

    def asked_by(self, problem: Problem) -> bool:
        """Whether a problem is held out, or shares its numbers or a solution with one that is."""
        if problem.id in self.ids:
            return True
        if problem.task == "countdown" and numbers_of(problem) in self.sets:
            return True
        return any(self._hold(lines) for lines in solutions(problem))

    def solved_in(self, text: str) -> bool:
        """Whether a text holds all lines of a correct solution."""
        return self._hold(true_sums(text))

    def _hold(self, lines: frozenset[str]) -> bool:
        begun = lines & self._solutions.keys()
        return any(solution <= lines for line in begun for solution in self._solutions[line])


def numbers_of(problem: Problem) -> str:
    """Sorted numbers of a countdown problem, as in its canonical form."""
    return problem.answer.partition("=")[0]


def solutions(problem: Problem) -> list[frozenset[str]]:
    """The lines of each correct solution; empty for other families.

    A chain with one operation has none, since tables contain it.
    """
    if problem.task == "arithmetic":
        steps = arithmetic.parse(problem.id.partition(":")[2]).steps
        return [frozenset(_line(*step) for step in steps)] if len(steps) > 1 else []
    if problem.task == "countdown":
        numbers, target = problem.answer.split("=")
        given = tuple(map(int, numbers.split(",")))
        return [
            frozenset(_line(*step) for step in trial.steps)
            for trial in countdown.trials(given, "+-*")
            if trial.value == int(target)
        ]
    return []


def true_sums(text: str) -> frozenset[str]:
    """The correct two-operand equations in a text."""
    found = set()
    for left, op, right, result in _SUM.findall(text):
        a, b = int(left), int(right)
        if arithmetic.OPERATORS[op](a, b) == int(result):
            found.add(_line(a, op, b, int(result)))
    return frozenset(found)


def _line(left: int, op: str, right: int, result: int) -> str:
    """An equation as text, with 5+12 normalized to 12+5."""
    high, low = (right, left) if op in "+*" and left < right else (left, right)
    return f"{high}{op}{low}={result}"
