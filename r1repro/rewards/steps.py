"""Rewards of a completion's steps, for process supervision in the mini world.

A checker takes the place of DeepSeekMath's process reward model: a step is a line with an equation,
and whether it holds can be told. What a step leads to is not judged: true steps that help nobody
are rewarded too.
"""

import re
from itertools import accumulate

from r1repro.text.soundness import read_line
from r1repro.text.tags import ANSWER_OPEN, TAGS

TRUE, FALSE = 1.0, 0.0
_TAG = re.compile("|".join(map(re.escape, TAGS)))


def step_rewards(text: str) -> list[tuple[int, float]]:
    """(index, reward) of each line of a completion that is a step, up to its answer.

    TRUE if every number of the line is read, its equations hold, and a verdict on a difference
    ("17-15=2, no") says rightly whether it is zero; else FALSE.
    """
    lines = text.partition(ANSWER_OPEN)[0].split("\n")
    read = [(index, read_line(_TAG.sub("", line))) for index, line in enumerate(lines)]
    found = []
    for index, line in read:
        if line.sums:
            true = line.parsed and all(equation.true for equation in line.sums)
            check = line.verdict
            if check is not None and check.difference is not None:
                true = true and check.affirms == (check.difference.result == 0)
            found.append((index, TRUE if true else FALSE))
    return found


def line_ends(pieces: list[str]) -> list[int]:
    """The piece in which each line of their concatenation ends, all but the last line.

    pieces: the text of each token. A line break is one byte in UTF-8, so a token's text has as many
    of them as it adds, even where it ends within a character.
    """
    breaks = accumulate(piece.count("\n") for piece in pieces)
    found: list[int] = []
    for index, so_far in enumerate(breaks):
        found += [index] * (so_far - len(found))
    return found
