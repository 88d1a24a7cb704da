"""Multi-step arithmetic: chains such as 53+7-8+4, evaluated left to right."""

import operator
import random
import re
from dataclasses import dataclass

from r1repro.tasks.problem import Problem

OPERATORS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.floordiv}
# Level (number of operations minus one): (largest start, largest operand, largest partial value).
# A single operation is not a level, since the corpus has tables of them.
RANGES = {
    **dict.fromkeys((1, 2, 3, 4, 5), (20, 12, 60)),
    6: (40, 30, 99),
    7: (60, 60, 199),
    8: (99, 99, 299),
}

PHRASES = {
    "en": ("Compute {}.", "What is {}?"),
    "zh": ("计算{}。", "{}等于多少？"),
}


@dataclass(frozen=True)
class Chain:
    """start, then (operator, operand) pairs; every partial value is in its level's range."""

    start: int
    operations: tuple[tuple[str, int], ...]

    @property
    def text(self) -> str:
        return str(self.start) + "".join(f"{op}{number}" for op, number in self.operations)

    @property
    def steps(self) -> list[tuple[int, str, int, int]]:
        """(left, operator, right, result) of each operation, in order."""
        steps, value = [], self.start
        for op, number in self.operations:
            result = OPERATORS[op](value, number)
            steps.append((value, op, number, result))
            value = result
        return steps

    @property
    def lines(self) -> list[str]:
        """The steps as equations."""
        return [f"{left}{op}{right}={result}" for left, op, right, result in self.steps]

    @property
    def value(self) -> int:
        return self.steps[-1][3]


def sample(rng: random.Random, level: int) -> Chain:
    """A random chain with one operation more than its level."""
    first, operand, largest = RANGES[level]
    start = rng.randint(1, first)
    value, operations = start, []
    for _ in range(level + 1):
        number = rng.randint(1, operand)
        plus = rng.random() < 0.5
        if (plus and value + number > largest) or (not plus and value < number):
            plus = not plus
        value = value + number if plus else value - number
        operations.append(("+" if plus else "-", number))
    return Chain(start, tuple(operations))


def parse(text: str) -> Chain:
    """Inverse of `Chain.text`."""
    start, *rest = re.split(r"(?=[-+])", text)
    return Chain(int(start), tuple((part[0], int(part[1:])) for part in rest))


def problem(rng: random.Random, chain: Chain, language: str) -> Problem:
    """The chain as a problem in `language`, with a random phrasing."""
    return asked(chain, language, rng.choice(PHRASES[language]).format(chain.text))


def asked(chain: Chain, language: str, prompt: str) -> Problem:
    """The chain as a problem in the words of `prompt`; a single operation has level 1."""
    level = max(1, len(chain.operations) - 1)
    name = f"arithmetic:{chain.text}"
    return Problem(name, "arithmetic", language, level, prompt, str(chain.value))
