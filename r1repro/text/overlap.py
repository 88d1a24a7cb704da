"""Finds training rows that overlap with an evaluation set, with the evidence.

Compares normalized text and the share of common n-grams; a single common n-gram would flag every
pair of problems with the same opening. Does not detect translations.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from r1repro.text.language import HAN

NGRAM = 6
"""Words per n-gram."""
SHARE = 0.4
"""Minimum share of the shorter text's n-grams for two texts to be the same problem."""
LEAST = 8
"""Minimum n-grams of the shorter text; with fewer, only whole texts are compared."""
_DROPPED = re.compile(
    r"\[asy\].*?\[/asy\]|\\(?:left|right|displaystyle|quad|text|mathrm)(?![a-z])|\\[,;! ]",
    re.DOTALL,
)
_PIECE = re.compile(r"\d+|[^\W\d_]+|[^\w\s$\\{},.;:!?'\"()\[\]，。；：！？、（）]")
_IS_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True)
class Overlap:
    """An overlap between two rows.

    train, evaluation: row numbers, from 0.
    """

    train: int
    evaluation: int
    evidence: str
    share: float


def pieces(text: str) -> list[str]:
    """Words, numbers and signs of a text in lower case; each Chinese character is a word.

    Drops pictures, spacing and brackets.
    """
    text = text.casefold()
    if "[/asy]" not in text:  # avoids a quadratic search from every opening tag
        text = text.replace("[asy]", " ")
    matches = _PIECE.findall(_DROPPED.sub(" ", text))
    return [part for piece in matches for part in (piece if _IS_HAN.search(piece) else [piece])]


def overlaps(
    train: Sequence[str], evaluation: Sequence[str], ngram: int = NGRAM, share: float = SHARE
) -> list[Overlap]:
    """For each row of `train`, the `evaluation` row with the largest overlap, if any.

    evidence "exact": equal up to case, spacing, dollar signs and final punctuation.
    evidence "ngrams": at least `share` of the n-grams of the shorter text, which has at least
    LEAST.
    """
    known = [tuple(pieces(text)) for text in evaluation]
    written = [_written(text) for text in evaluation]
    whole = {text: row for row, text in reversed(list(enumerate(written)))}
    grams = [_ngrams(asked, ngram) for asked in known]
    holders: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for row, held in enumerate(grams):
        for gram in held:
            holders[gram].append(row)
    found = []
    for number, text in enumerate(train):
        if _written(text) in whole:
            found.append(Overlap(number, whole[_written(text)], "exact", 1.0))
            continue
        own = _ngrams(tuple(pieces(text)), ngram)
        common = Counter(row for gram in own for row in holders.get(gram, ()))
        shares = {
            row: times / min(len(own), len(grams[row]))
            for row, times in common.items()
            if min(len(own), len(grams[row])) >= LEAST
        }
        best = max(shares, key=lambda row: (shares[row], -row), default=None)
        if best is not None and shares[best] >= share:
            found.append(Overlap(number, best, "ngrams", round(shares[best], 4)))
    return found


def _written(text: str) -> str:
    """The text without case, spacing and dollar signs."""
    plain = re.sub(r"\\(?:left|right)(?![a-z])", "", text.casefold())
    return re.sub(r"[\s$]+", "", plain).strip("?.。？!")


def _ngrams(asked: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(asked[start : start + size]) for start in range(len(asked) - size + 1)}
