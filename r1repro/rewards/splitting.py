r"""Splits answers at separators and relation signs outside all brackets."""

import re

OPENING, CLOSING = "([{", ")]}"
_RELATION = re.compile(
    r"\\(?:leq|geq|neq|approx|in|notin|equiv|cong|sim|simeq|to|rightarrow|Rightarrow|implies|iff"
    r"|mapsto|subset|subseteq|supset|perp|parallel|propto|ll|gg|not)(?![A-Za-z])\s*=?"
    r"|!=|<=|>=|==|=>|->|[=<>]"
)
_SIGNS = {"<=": r"\leq", ">=": r"\geq", "!=": r"\neq", r"\not=": r"\neq", r"\not =": r"\neq"}


def sides_of(text: str) -> tuple[list[str], list[str]]:
    """Sides and relation signs of a text, outside all brackets."""
    sides, signs, depth, start = [], [], 0, 0
    place = 0
    while place < len(text):
        depth += (text[place] in OPENING) - (text[place] in CLOSING)
        found = _RELATION.match(text, place) if depth == 0 else None
        if found is None:
            place += 1
            continue
        sides.append(text[start:place].strip())
        sign = " ".join(found[0].split())
        signs.append(_SIGNS.get(sign, sign))
        place = start = found.end()
    return [*sides, text[start:].strip()], signs


def closes(text: str) -> int:
    """Place of the bracket that closes the first one, of any kind; -1 without it."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in OPENING) - (sign in CLOSING)
        if depth == 0:
            return place
    return -1


def split(text: str, at: str = ",", thousands: bool = False) -> list[str]:
    """Parts between `at` outside all brackets and vertical bars of set builders."""
    if at not in text:
        return [text.strip()] if text.strip() else []
    parts, depth, start, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in OPENING) - (text[place] in CLOSING)
        if (
            depth == 0
            and text.startswith(at, place)
            and not (thousands and _inside_number(text, place))
        ):
            parts.append(text[start:place])
            place = start = place + len(at)
        else:
            place += 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _inside_number(text: str, place: int) -> bool:
    """Whether a comma separates thousands."""
    start = re.search(r"(?<![\d.])\d{1,3}(?:,\d{3})*$", text[:place])
    rest = re.match(r"(?:,\d{3})+(?!\d|,\d)", text[place:])
    return start is not None and rest is not None and "," not in text[: start.start()][-1:]
