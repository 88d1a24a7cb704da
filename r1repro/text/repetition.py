"""How much a text repeats itself."""

import re

from r1repro.text.language import HAN

# Numbers and signs count too: a model that loops over "3 + 4 = 7" repeats itself without a word.
_PIECE = re.compile(rf"[{HAN}]|[^\W\d_{HAN}]+|\d+|[^\w\s]")


def repetition(text: str, size: int = 4) -> float:
    """Share of the runs of `size` pieces that occurred before in the same text, in 0 to 1.

    A piece is a Han character, a run of other letters, a number, or one other sign. A text of
    fewer than `size` pieces repeats nothing and gives 0.
    """
    pieces = _PIECE.findall(text)
    runs = [tuple(pieces[i : i + size]) for i in range(len(pieces) - size + 1)]
    return 1.0 - len(set(runs)) / len(runs) if runs else 0.0
