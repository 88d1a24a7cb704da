"""Countdown: reach a target from three numbers, each used exactly once."""

import random
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from r1repro.tasks.expression import evaluate
from r1repro.tasks.problem import Problem

LEVELS = (1, 2, 3, 4, 5)
# Level: (largest number, operators). Level 5 multiplies.
RANGES = {1: (9, "+-"), 2: (10, "+-"), 3: (12, "+-"), 4: (15, "+-"), 5: (9, "+-*")}
MAX_VALUE = 99

TINY_ZERO = (
    "Using the numbers {}, create an equation that equals {}. You can use basic arithmetic "
    "operations (+, -, *, /) and each number can only be used once. Give the expression alone as "
    "the answer, such as (1 + 2) / 3."
)
PHRASES = {
    "en": ("Use {} to make {}.", "Combine {} to get {}."),
    "zh": ("用{}得到{}。", "用{}凑出{}。"),
}


@dataclass(frozen=True)
class Numbers:
    """Three numbers, a target that they can reach, and the level's operators."""

    numbers: tuple[int, int, int]
    target: int
    operators: str
    level: int


@dataclass(frozen=True)
class Trial:
    """One attempt: first combine two numbers, then the result with the third.

    first: (left, operator, right, result) of the two numbers, the larger on the left.
    second: the same of the first result and the third number.
    expression: the whole, e.g. "(3+5)-7" or "7-(5-3)".
    """

    first: tuple[int, str, int, int]
    second: tuple[int, str, int, int]
    expression: str

    @property
    def value(self) -> int:
        return self.second[3]


@lru_cache(maxsize=100_000)
def trials(numbers: tuple[int, int, int], operators: str) -> tuple[Trial, ...]:
    """Every attempt whose values stay in 0..99, the larger number always written first."""
    found: dict[str, Trial] = {}
    for a, b, c in sorted(set(permutations(numbers))):
        for first in _pairs(a, b, operators):
            inner = f"({first[0]}{first[1]}{first[2]})"
            for second in _pairs(first[3], c, operators):
                inner_left = first[3] >= c
                left, right = (inner, str(c)) if inner_left else (str(c), inner)
                expression = f"{left}{second[1]}{right}"
                found.setdefault(expression, Trial(first, second, expression))
    return tuple(found.values())


def _pairs(a: int, b: int, operators: str) -> list[tuple[int, str, int, int]]:
    high, low = max(a, b), min(a, b)
    pairs = [(high, "-", low, high - low)]
    if a + b <= MAX_VALUE:
        pairs.append((high, "+", low, a + b))
    if "*" in operators and a * b <= MAX_VALUE:
        pairs.append((high, "*", low, a * b))
    return pairs


def sample(rng: random.Random, level: int) -> Numbers:
    """Three different numbers and a target that at least one attempt reaches.

    The target is the value of a random attempt; in level 5 of one that multiplies.
    """
    largest, operators = RANGES[level]
    while True:
        a, b, c = rng.sample(range(1, largest + 1), 3)
        candidates = [
            t
            for t in trials((a, b, c), operators)
            if t.value > 0 and ("*" not in operators or "*" in t.expression)
        ]
        if candidates:
            target = rng.choice(candidates).value
            return Numbers((a, b, c), target, operators, level)


def canonical(numbers: Numbers) -> str:
    return ",".join(map(str, sorted(numbers.numbers))) + f"={numbers.target}"


def problem(rng: random.Random, numbers: Numbers, language: str) -> Problem:
    """The numbers and the target asked in a language, in one of its phrases."""
    listed = ",".join(map(str, numbers.numbers))
    return Problem(
        id=f"countdown:{canonical(numbers)}",
        task="countdown",
        language=language,
        level=numbers.level,
        prompt=rng.choice(PHRASES[language]).format(listed, numbers.target),
        answer=canonical(numbers),
    )


def asked(numbers: list[int], target: int) -> Problem:
    """A problem of any numbers and the four operations, as TinyZero asks it; level 1 for three."""
    form = ",".join(map(str, sorted(numbers))) + f"={target}"
    return Problem(
        id=f"countdown:{form}",
        task="countdown",
        language="en",
        level=min(5, max(1, len(numbers) - 2)),
        prompt=TINY_ZERO.format(numbers, target),
        answer=form,
    )


def reached(expression: str) -> str:
    """ "value of numbers" of an expression, the numbers in order; the text where it is none."""
    try:
        value, used = evaluate(expression.split("=")[0])
    except ValueError:
        return expression
    return f"{value} of {','.join(map(str, sorted(used)))}"


def solves(expression: str, answer: str) -> bool:
    """Whether an expression uses each number of "numbers=target" once and reaches the target."""
    numbers, target = answer.split("=")
    if expression.count("=") == 1:
        expression, stated = expression.split("=")
        if stated.strip() != target:
            return False
    try:
        value, used = evaluate(expression)
    except ValueError:
        return False
    return value == int(target) and sorted(used) == sorted(map(int, numbers.split(",")))
