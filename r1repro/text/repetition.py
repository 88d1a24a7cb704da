"""Repetition within a text."""

import re

from r1repro.text.language import HAN

# Numbers and signs are pieces too: a model can loop over "3 + 4 = 7" without any words.
_PIECE = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d+|[^\w\s]")


def repetition(text: str, size: int = 4) -> float:
    """Share of n-grams of `size` pieces that occur earlier in the text, in 0 to 1.

    A piece is a Han character, a run of other letters, a number, or one other sign. Returns 0 for a
    text with fewer than `size` pieces.
    """
    pieces = _PIECE.findall(text)
    runs = [tuple(pieces[i : i + size]) for i in range(len(pieces) - size + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
