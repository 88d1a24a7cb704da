"""Countdown: reach a target from three or four numbers, each used exactly once."""

import random
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from r1repro.tasks.problem import Problem
from r1repro.text import equations

# Level: (largest number, operators, count of numbers). Levels 5 and 8 multiply. Each level has at
# least 2,000 number sets, so enough remain for training after holding out whole sets.
RANGES = {
    1: (24, "+-", 3),
    2: (26, "+-", 3),
    3: (28, "+-", 3),
    4: (30, "+-", 3),
    5: (24, "+-*", 3),
    6: (18, "+-", 4),
    7: (24, "+-", 4),
    8: (18, "+-*", 4),
}
MAX_VALUE = 99
MAX_DIGITS = 6
_SIGNS = str.maketrans({"×": "*", "÷": "/", "−": "-", " ": ""})
_SIGNED = re.compile(r"(?:^|\()-")

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
    """The numbers, a reachable target, and the level's operators."""

    numbers: tuple[int, ...]
    target: int
    operators: str
    level: int


@dataclass(frozen=True)
class Trial:
    """One attempt: combine two numbers, then the result with each remaining number in turn.

    steps: (left, operator, right, result) of each, the larger value on the left.
    on_left: for each step after the first, whether the running result is on the left.
    expression: the whole expression, e.g. "(3+5)-7" or "7-(5-3)".
    """

    steps: tuple[tuple[int, str, int, int], ...]
    on_left: tuple[bool, ...]
    expression: str

    @property
    def value(self) -> int:
        return self.steps[-1][3]


@lru_cache(maxsize=10_000)
def trials(numbers: tuple[int, ...], operators: str) -> tuple[Trial, ...]:
    """Every attempt with all values in 0..99, the larger number always first.

    numbers: in any order; sorted, so that each set is cached once.
    """
    by_expression: dict[str, Trial] = {}
    for a, b, *others in sorted(set(permutations(numbers))):
        if a > b:  # same as (b, a), already done
            continue
        for step in _pairs(a, b, operators):
            begun = Trial((step,), (), f"{step[0]}{step[1]}{step[2]}")
            for trial in _continued(begun, others, operators):
                by_expression.setdefault(trial.expression, trial)
    return tuple(by_expression.values())


def _continued(trial: Trial, numbers: list[int], operators: str) -> Iterator[Trial]:
    """The attempt continued with these numbers in this order, by every operator."""
    if not numbers:
        yield trial
        return
    number, *others = numbers
    for step in _pairs(trial.value, number, operators):
        inner, on_left = f"({trial.expression})", trial.value >= number
        left, right = (inner, str(number)) if on_left else (str(number), inner)
        longer = f"{left}{step[1]}{right}"
        yield from _continued(
            Trial((*trial.steps, step), (*trial.on_left, on_left), longer), others, operators
        )


def _pairs(a: int, b: int, operators: str) -> list[tuple[int, str, int, int]]:
    high, low = max(a, b), min(a, b)
    pairs = [(high, "-", low, high - low)]
    if a + b <= MAX_VALUE:
        pairs.append((high, "+", low, a + b))
    if "*" in operators and a * b <= MAX_VALUE:
        pairs.append((high, "*", low, a * b))
    return pairs


def sample(rng: random.Random, level: int) -> Numbers:
    """Distinct numbers and a target, the value of a random attempt."""
    largest, operators, count = RANGES[level]
    while True:
        numbers = tuple(rng.sample(range(1, largest + 1), count))
        tried = trials(tuple(sorted(numbers)), operators)
        if targets := [trial.value for trial in tried if trial.value > 0]:
            return Numbers(numbers, rng.choice(targets), operators, level)


def problem(rng: random.Random, numbers: Numbers, language: str) -> Problem:
    """The numbers and target as a problem in `language`, with a random phrasing."""
    listed = ",".join(map(str, numbers.numbers))
    prompt = rng.choice(PHRASES[language]).format(listed, numbers.target)
    return asked(numbers.numbers, numbers.target, language, numbers.level, prompt)


def tiny_zero(numbers: list[int], target: int) -> Problem:
    """TinyZero's problem, with any numbers and four operations; level 1 for three numbers."""
    level = min(5, max(1, len(numbers) - 2))
    return asked(numbers, target, "en", level, TINY_ZERO.format(numbers, target))


def asked(numbers: Collection[int], target: int, language: str, level: int, prompt: str) -> Problem:
    """The problem in the words of `prompt`."""
    form = f"{','.join(map(str, sorted(numbers)))}={target}"
    return Problem(f"countdown:{form}", "countdown", language, level, prompt, form)


def evaluate(text: str) -> tuple[Fraction, list[int]]:
    """(value, numbers) of an expression with non-negative integers, + - * / and parentheses.

    Numbers are in written order. Raises ValueError for any other text, for more than 200
    characters, for a number of more than 6 digits, and for division by zero.
    """
    text = text.strip().translate(_SIGNS)
    if not re.fullmatch(r"[0-9+*/()-]+", text) or _SIGNED.search(text):
        raise ValueError("not an expression of non-negative integers")
    tokens = equations.tokens(text) or ()
    value = equations.value(tokens)
    numbers = re.findall("[0-9]+", text)
    if value is None or max(map(len, numbers)) > MAX_DIGITS:
        raise ValueError("not an expression, or too long")
    return value, list(map(int, numbers))


def reached(expression: str) -> str:
    """ "VALUE of NUMBERS" with sorted numbers; the text itself if it is not an expression."""
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
