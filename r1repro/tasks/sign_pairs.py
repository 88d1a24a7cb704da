"""Pairs of questions that differ in one sign, such as 4+7-3 and 4+7+3, with their answers.

They measure what training on one question does to its twin, which looks alike but has another
answer.
"""

import random
from dataclasses import dataclass
from itertools import cycle, islice

from r1repro.tasks import arithmetic
from r1repro.tasks.arithmetic import Chain
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World


@dataclass(frozen=True)
class SignPair:
    """A question, and its twin with the last sign turned.

    right, wrong: worked answers to `asked`, with a line per operation and one for the result; the
    wrong one slips in its last operation. guess: that wrong result alone. twin_right: the right
    answer to `twin`.
    """

    asked: Problem
    twin: Problem
    right: str
    wrong: str
    guess: str
    twin_right: str


def sample(world: World, count: int, level: int = 1) -> list[SignPair]:
    """`count` pairs, English and Chinese in turn, none of whose questions is held out."""
    rng = random.Random(f"sign-pairs-{world.seed}")
    seen: set[str] = set()
    pairs = (_pair(rng, world, level, language, seen) for language in cycle(arithmetic.PHRASES))
    return list(islice(pairs, count))


def _pair(rng: random.Random, world: World, level: int, language: str, seen: set[str]) -> SignPair:
    """The next pair; its questions are added to `seen`."""
    while True:
        chain = arithmetic.sample(rng, level)
        twin = turned(chain)
        if {chain.text, twin.text} & seen or not 0 <= twin.value <= arithmetic.RANGES[level][2]:
            continue
        asked = arithmetic.problem(rng, chain, language)
        other = arithmetic.asked(twin, language, asked.prompt.replace(chain.text, twin.text))
        if world.kept_out.asked_by(asked) or world.kept_out.asked_by(other):
            continue
        seen.update((chain.text, twin.text))
        slip = chain.value + rng.choice([by for by in (-10, -1, 1, 10) if chain.value + by >= 0])
        return SignPair(asked, other, worked(chain), worked(chain, slip), str(slip), worked(twin))


def turned(chain: Chain) -> Chain:
    """The chain with its last sign turned."""
    *first, (sign, number) = chain.operations
    return Chain(chain.start, (*first, ({"+": "-", "-": "+"}[sign], number)))


def worked(chain: Chain, result: int | None = None) -> str:
    """The chain worked line by line, then its result; result: of the last line, if another."""
    *first, last = chain.lines
    result = chain.value if result is None else result
    return "\n".join([*first, f"{last.partition('=')[0]}={result}", str(result)])
