"""Rows of one set that another set holds too, with the evidence.

By the normalized text, and by the share of n-grams: any single one in common flags every pair of
problems that open alike. What is translated is not found, and not claimed to be.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from r1repro.text.language import HAN

NGRAM = 6
"""Words in a row."""
SHARE = 0.4
"""Of the n-grams of the shorter text, from which two texts are the same problem."""
LEAST = 8
"""N-grams of the shorter text, below which only the whole is compared: a phrase is no problem."""
_DROPPED = re.compile(
    r"\[asy\].*?\[/asy\]|\\(?:left|right|displaystyle|quad|text|mathrm)(?![a-z])|\\[,;! ]",
    re.DOTALL,
)
_PIECE = re.compile(r"\d+|[^\W\d_]+|[^\w\s$\\{},.;:!?'\"()\[\]，。；：！？、（）]")
_IS_HAN = re.compile(f"[{HAN}]")


@dataclass(frozen=True)
class Overlap:
    """Texts `train` and `evaluation`, from 0, hold the same problem: why, and by what share."""

    train: int
    evaluation: int
    evidence: str
    share: float


def pieces(text: str) -> list[str]:
    """Words, numbers and signs in lower case; pictures, spacing and brackets are left out.

    A Chinese character is a word.
    """
    text = text.casefold()
    if "[/asy]" not in text:  # or every opening would look for it to the end
        text = text.replace("[asy]", " ")
    found = _PIECE.findall(_DROPPED.sub(" ", text))
    return [part for piece in found for part in (piece if _IS_HAN.search(piece) else [piece])]


def overlaps(
    train: Sequence[str], evaluation: Sequence[str], ngram: int = NGRAM, share: float = SHARE
) -> list[Overlap]:
    """For each row of `train` the row of `evaluation` that it overlaps most, where it does.

    evidence "exact": the same but for case, spacing, dollar signs and closing marks. "ngrams": at
    least `share` of the shorter text's n-grams are in the other, where it has LEAST of them.
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
    """The text without what may differ in the same problem: spacing, case, dollar signs."""
    plain = re.sub(r"\\(?:left|right)(?![a-z])", "", text.casefold())
    return re.sub(r"[\s$]+", "", plain).strip("?.。？!")


def _ngrams(asked: Sequence[str], size: int) -> set[tuple[str, ...]]:
    return {tuple(asked[start : start + size]) for start in range(len(asked) - size + 1)}
