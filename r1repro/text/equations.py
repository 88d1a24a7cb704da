"""Reads the equations of one line, and the value of an expression.

An equation has numbers joined by operators on the left of "=" and a number on the right: "12+5=17",
"5 × 3 = 15", "48/2 = <<48/2=24>>24", "2*3+4 = 6+4 = 10". Words in any language may surround it.
Ambiguous text is not an equation: "2x+3=7", "20% of 50 = 10", "7/2 = 3 remainder 1", "3+4=8?".
Every expression is bounded, and time is linear in the text.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

MAX_CHARACTERS = 200
"""Maximum characters on one side of an equation."""
MAX_CHAIN = 8
"""Maximum sides after the first, as in "2*3+4 = 6+4 = 10"."""
MAX_DIGITS = 12
"""Maximum digits on either side of a number's decimal point."""
EXPRESSION = "0123456789.()+-*/ \t"

_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "＝": "="}
    | {"$": "", "`": "", "\u00a0": " ", "＋": "+"}
)
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": ""}
_REMOVED = re.compile(
    r"<<[^<>\n]{0,200}>>"  # GSM8K calculator annotations
    r"|\\[()\[\],;! ]|(?<![\d)])\*\*|\*\*(?![\d(])"
)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}")
_BOXED = re.compile(r"\\boxed\{([^{}]{1,80})\}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LETTER_TIMES = re.compile(r"(?<=[\d)]) {0,3}[xX] {0,3}(?=[\d(])")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|[-+*/()]")
_APART = re.compile(r"(?<=[\d)])[ \t]+(?=[\d(.])")
"""Two numbers without an operator between them: "3 1/2", "350 000"."""
_STOP = re.compile(r"(?:^|(?<=[\d)]))[ \t]*\.[ \t]+")
_IS_NUMBER = re.compile(r"-?[\d.]+(?:/[\d.]+)?|\(\([\d.]+\)/\([\d.]+\)\)")
"""A number, optionally signed, or a fraction."""
_LAST_WORD = re.compile(r"([A-Za-z]{1,20})[\s:]*$")
_ASCII_LETTER = re.compile(r"[A-Za-z]")
_JOINED = re.compile(
    r"(?:\b(?:times|plus|minus|by|over|mod)|(?:[%\d]|percent|half|thirds?|quarters?|\d[a-z]{2}) of)"
    r"\s{0,3}$",
    re.I,
)
"""Words that continue an expression: "20% of 50 - 5 = 5"."""
_QUALIFIED = re.compile(
    r"\s*(?:r(?:em(?:ainder)?)?\b|余|又|万|亿|千|百|and\s+(?:a|one)\b|and\s+\d+/"
    r"|(?:hundred|thousand|million|billion|hours?|feet|pounds)\b)",
    re.I,
)
"""Suffixes that change the value of a number: "3 remainder 1", "2 million", "1 hour 30"."""


@dataclass(frozen=True)
class Sum:
    """An equation: an expression such as ("12", "+", "5") and its stated result."""

    tokens: tuple[str, ...]
    result: Fraction
    true: bool

    @property
    def numbers(self) -> tuple[Fraction, ...]:
        return tuple(Fraction(token) for token in self.tokens if token not in "+-*/()")

    @property
    def operators(self) -> int:
        """Number of operations."""
        return sum(token in "+-*/" for token in self.tokens)


def plain(text: str) -> str:
    """Arithmetic signs in one notation, markup removed."""
    text = text.translate(_SIGNS)
    if "\\" in text:
        for theirs, ours in _LATEX.items():
            text = text.replace(theirs, ours)
        text = _FRACTION.sub(r"((\1)/(\2))", text)
    text = _REMOVED.sub("", text)
    text = _BOXED.sub(r"\1", text)
    return _LETTER_TIMES.sub("*", _THOUSANDS.sub("", text)).replace("==", "=")


def sums(line: str) -> tuple[list[Sum], list[str], bool]:
    """(equations, text before, between and after them, whether every "=" was read)."""
    pieces = line.split("=")
    found: list[Sum] = []
    outside: list[str] = []
    read: dict[int, Any] = {}
    whole, at, rest = True, 0, pieces[0]
    while at < len(pieces) - 1:
        head, left = _left(rest)
        more = left is not None and any(token in "+-*/" for token in left[1:])
        end, sides, after = at + 1, [left], ""
        while more and len(sides) <= MAX_CHAIN:
            if end not in read:
                read[end] = _right(pieces[end], end < len(pieces) - 1)
            side, after, more = read[end]
            sides.append(side)
            more = more and side is not None
            end += more
        one = _sum(sides)
        if one is not None and not after.lstrip().startswith(("?", "？")):
            found.append(one)
            outside.append(head)
            at, rest = end, after
            continue
        # A label may precede the equation: "Total = 3+4 = 7".
        whole = whole and not re.search(r"\d", rest)
        outside.append(rest)
        at, rest = at + 1, pieces[at + 1]
    outside.append(rest)
    return found, outside, whole


def _sum(sides: list[Any]) -> Sum | None:
    """The equation with these sides, each its tokens or None; true if all equal the first.

    A side may be rounded to two or more decimals. None if there is one side, if a side has no value
    or if the last is not a number. The first has an operation.
    """
    if len(sides) < 2 or None in sides or not _IS_NUMBER.fullmatch("".join(sides[-1])):
        return None
    values: list[Any] = [value(side) for side in sides]
    if None in values:
        return None
    for stated, side in zip(values[1:], sides[1:], strict=True):
        decimals = len(side[-1].partition(".")[2])
        rounded = decimals > 1 and abs(values[0] - stated) < Fraction(1, 10**decimals)
        if values[0] != stated and not rounded:
            return Sum(sides[0], values[-1], False)
    return Sum(sides[0], values[-1], True)


def _left(piece: str) -> tuple[str, tuple[str, ...] | None]:
    """(the text before, the expression at the end of a piece)."""
    head = piece.rstrip(EXPRESSION)
    if len(piece) - len(head) > MAX_CHARACTERS:
        return piece, None
    tail = _STOP.split(piece[len(head) :])[-1]
    sentence = len(head) + len(tail) < len(piece)
    head, text = piece[: len(piece) - len(tail)], tail.strip()
    if not text or _APART.search(text):
        return piece, None
    before = "" if sentence else head.rstrip()
    if before:
        touches = tail[0] not in " \t"
        word = _LAST_WORD.search(before[-40:])
        if (  # not plain equations: "20% of 50+5", "students x 3/4", "f(3+4)", "x12+5"
            text[0] in "+-*/)"
            or before[-1] in "^_%}]!\\|<>~"
            or (touches and (text[0] == "." or (word and text[0] == "(")))
            or (word and len(word[1]) == 1)
            or _JOINED.search(before[-40:])
        ):
            return piece, None
    return head, tokens(text)


def _right(piece: str, followed: bool) -> tuple[tuple[str, ...] | None, str, bool]:
    """(the expression at the start of a piece, the text after it, whether it is the whole piece).

    followed: another "=" follows the piece, so the left side of the next equation may begin in it.
    """
    rest = piece.lstrip(EXPRESSION)
    lead = piece[: len(piece) - len(rest)]
    if len(lead) > MAX_CHARACTERS:
        return None, piece, False
    if stop := _STOP.search(lead):
        lead, rest = lead[: stop.start()], piece[stop.start() :]
    text = lead.strip()
    if apart := _APART.search(text):
        # "12+5=17 17-3=14" is two equations, "= 3 1/2" is one number
        first, second = text[: apart.start()], text[apart.end() :]
        if followed and not rest.strip() and re.search(r"[-+*]", second):
            return tokens(first), " " + second, False
        return None, piece, False
    if not rest.strip():
        return tokens(text.rstrip(".")), "", followed
    # The text that follows may change the value of this number.
    touching = lead[-1:] not in (" ", "\t") and not stop
    if touching and (rest[0] in "^_%!\\{°" or (text[-1:] != "." and _ASCII_LETTER.match(rest))):
        return None, piece, False
    if _QUALIFIED.match(rest[:30]):
        return None, piece, False
    return tokens(text.rstrip(".")), rest, False


def tokens(text: str) -> tuple[str, ...] | None:
    """Numbers, operators and parentheses; None if the text contains anything else."""
    if not text or len(text) > MAX_CHARACTERS:
        return None
    found = tuple(_TOKEN.findall(text))
    if "".join(found) != re.sub(r"[ \t]", "", text):
        return None
    short = all(len(part) <= MAX_DIGITS for token in found for part in token.split("."))
    return found if short else None


@lru_cache(maxsize=10_000)  # the same steps occur in many answers; `tokens` bounds their length
def value(tokens: tuple[str, ...] | None) -> Fraction | None:
    """The value of an expression; None for an invalid one, and for division by zero."""
    left = list(tokens or ())[::-1]
    try:
        found = _total(left)
    except (IndexError, ValueError, ZeroDivisionError):
        return None
    return None if left else found


def _total(left: list[str]) -> Fraction:
    """Takes a sum from the end of `left`, whose tokens are in reverse order."""
    sign = -1 if left[-1] == "-" and left.pop() else 1
    found = sign * _product(left)
    while left and left[-1] in "+-":
        found += _product(left) if left.pop() == "+" else -_product(left)
    return found


def _product(left: list[str]) -> Fraction:
    found = _factor(left)
    while left and left[-1] in "*/":
        found *= _factor(left) if left.pop() == "*" else 1 / _factor(left)
    return found


def _factor(left: list[str]) -> Fraction:
    token = left.pop()
    if token != "(":
        return Fraction(token)
    found = _total(left)
    if left.pop() != ")":
        raise ValueError("unclosed parenthesis")
    return found
