"""What to highlight in a transcript: false sums, turns, and words of the other language."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from r1repro.text import equations, withdrawal
from r1repro.text.language import HAN, words

FALSE, FOREIGN, TURN = "false", "foreign", "turn"
MEANS = {
    FALSE: "a line with a sum that does not hold",
    FOREIGN: "the language that was not asked for",
    TURN: "takes the result before it back",
}
"""The kinds of marks and what each means; where two meet, the later one stands."""
_TAG = re.compile(r"</?[a-z]{1,10}>")
_PIECE = re.compile(r"[^\n]+")
_SCRIPTS = {
    "en": re.compile(rf"[{HAN}]+"),
    "zh": re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,40}(?![A-Za-z])"),
}
"""How a word of the other language is written, by the question's."""
GAP = 3
"""Most characters between two words of a stretch; without it marks could outweigh the text."""


@dataclass(frozen=True)
class Mark:
    """A stretch of a text, from `start` to before `end`, of a kind in MEANS."""

    start: int
    end: int
    kind: str


def marks(text: str, language: str) -> list[Mark]:
    """The marks of a text, in order and apart.

    language: the question's, "en" or "zh"; for another no word is foreign.
    """
    # Newlines in place of tags keep the length and end what stands before a tag.
    plain = _TAG.sub(lambda tag: "\n" * len(tag[0]), text)
    kinds = [""] * len(text)
    for kind, spans in (
        (FALSE, _false(plain)), (FOREIGN, _foreign(plain, language)), (TURN, withdrawal.turns(text))
    ):  # fmt: skip
        for start, end in spans:
            kinds[start:end] = [kind] * (end - start)
    found, at = [], 0
    for kind, run in groupby(kinds):
        end = at + len(list(run))
        found += [Mark(at, end, kind)] if kind else []
        at = end
    return found


def _false(text: str) -> Iterator[tuple[int, int]]:
    """Every line with a false sum, without white space around it."""
    for line in _PIECE.finditer(text):
        said = line[0].strip()
        if "=" in said and any(not one.true for one in equations.sums(equations.plain(said))[0]):
            start = line.start() + line[0].index(said)
            yield start, start + len(said)


def _foreign(text: str, language: str) -> Iterator[tuple[int, int]]:
    """Stretches of words of the other language, with at most GAP characters between two."""
    script, said = _SCRIPTS.get(language), {*words(text)}
    if script is None:
        return
    start = end = -1
    for found in script.finditer(text):
        # Units, commands and names of variables are no words; of Chinese each character is one.
        if said.isdisjoint((found[0], found[0][0])):
            continue
        if end < 0 or found.start() - end > GAP or "\n" in text[end : found.start()]:
            if end > 0:
                yield start, end
            start = found.start()
        end = found.end()
    if end > 0:
        yield start, end
