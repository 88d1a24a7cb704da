"""Repetition within a text."""

import re

from r1repro.text.language import HAN

# Numbers and signs are pieces too: a model can loop over "3 + 4 = 7" without any words.
_PIECE = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d+|[^\w\s]")


def repetition(text: str) -> float:
    """Share of runs of four pieces that occur earlier in the text, in 0 to 1.

    A piece is a Han character, a run of other letters, a number, or one other sign. Returns 0 for a
    text with fewer than four pieces.
    """
    pieces = _PIECE.findall(text)
    runs = list(zip(pieces, pieces[1:], pieces[2:], pieces[3:], strict=False))
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
