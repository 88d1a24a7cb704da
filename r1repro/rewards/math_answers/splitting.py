r"""Splits answers at separators and relation signs outside all brackets."""

import re
from collections.abc import Iterator

OPENING, CLOSING = "([{", ")]}"
_RELATION = re.compile(
    r"\\(?:leq|geq|neq|approx|in|notin|equiv|cong|sim|simeq|to|rightarrow|Rightarrow|implies|iff"
    r"|mapsto|subset|subseteq|supset|perp|parallel|propto|ll|gg|not)(?![A-Za-z])\s*=?"
    r"|!=|<=|>=|==|=>|->|[=<>]"
)
_SIGNS = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq", r"\not=": r"\neq", r"\not =": r"\neq"}


def sides_of(text: str) -> tuple[list[str], list[str]]:
    """Sides and relation signs of a text, outside all brackets."""
    sides, signs, start = [], [], 0
    for found in _outside(text, _RELATION):
        sides.append(text[start : found.start()].strip())
        sign = " ".join(found[0].split())
        signs.append(_SIGNS.get(sign, sign))
        start = found.end()
    return [*sides, text[start:].strip()], signs


def split(text: str, at: str = ",", thousands: bool = False) -> list[str]:
    """Parts between `at` outside all brackets, without empty ones.

    thousands: a comma that separates thousands stays.
    """
    parts, start = [], 0
    for found in _outside(text, re.compile(re.escape(at))):
        if not (thousands and _inside_number(text, found.start())):
            parts.append(text[start : found.start()])
            start = found.end()
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _outside(text: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    """Matches outside all brackets."""
    depth = place = 0
    while place < len(text):
        depth += (text[place] in OPENING) - (text[place] in CLOSING)
        found = pattern.match(text, place) if depth == 0 else None
        if found:
            yield found
        place = found.end() if found else place + 1


def closes(text: str) -> int:
    """Place of the bracket that closes the first one, of any kind; -1 without it."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in OPENING) - (sign in CLOSING)
        if depth == 0:
            return place
    return -1


def _inside_number(text: str, place: int) -> bool:
    """Whether a comma separates thousands."""
    start = re.search(r"(?<![\d.])\d{1,3}(?:,\d{3})*$", text[:place])
    rest = re.match(r"(?:,\d{3})+(?!\d|,\d)", text[place:])
    return start is not None and rest is not None and "," not in text[: start.start()][-1:]
