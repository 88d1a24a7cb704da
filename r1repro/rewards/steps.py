"""Rewards of a completion's steps, for process supervision in the mini world.

A step is a line with an equation, which can be checked. Where it leads is not judged: a true step
is rewarded even if it does not help. stages/process_model.py learns where steps lead.
"""

from dataclasses import dataclass
from itertools import accumulate

from r1repro.text.soundness import read_line
from r1repro.text.tags import ANSWER_OPEN, TAG

TRUE, FALSE = 1.0, 0.0


@dataclass(frozen=True)
class Step:
    """A step of a completion.

    line: its index; reward: the checker's; beginning: the completion up to the line's end, without
    tags and the tagged answer.
    """

    line: int
    reward: float
    beginning: str


def read_steps(text: str) -> list[Step]:
    """The lines of a completion that are steps, up to its answer.

    TRUE if every number of the line is read, its equations hold, and a verdict on a difference
    ("17-15=2, no") says rightly whether it is zero; else FALSE.
    """
    lines = TAG.sub("", text.partition(ANSWER_OPEN)[0]).split("\n")
    found = []
    for index, line in enumerate(map(read_line, lines)):
        if line.sums:
            true = line.parsed and all(equation.true for equation in line.sums)
            check = line.verdict
            if check is not None and check.difference is not None:
                true = true and check.affirms == (check.difference.result == 0)
            beginning = "\n".join(lines[: index + 1])
            found.append(Step(index, TRUE if true else FALSE, beginning))
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
