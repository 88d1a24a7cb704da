"""Names of values: whether two of them may be of different things."""

import re

_NEUTRAL = frozenset(
    "answer result value total final solution solutions number the a an of is ans 答案 结果".split()
)


def clash(one: str, other: str) -> bool:
    """Whether two names are of different things.

    A letter may stand for what a word names, and y for f(x); f and g, f(2) and f(3), P(A) and P(B)
    or "area" and "perimeter" are different.
    """
    if not one or not other:
        return False
    pair = first, second = _bare(one), _bare(other)
    if first == second:
        return False
    words = [_words(name) for name in pair]
    if all(words):
        meant = [set(each) - _NEUTRAL for each in words]
        return all(meant) and not meant[0] & meant[1]
    if any(words):
        return False
    if any(re.fullmatch(rf"{re.escape(a)}\([A-Z].*", b) for a, b in (pair, pair[::-1])):
        return False  # P and P(A)
    return "y" not in pair or not any(re.fullmatch("[fghFGH]", name) for name in pair)


def _bare(name: str) -> str:
    """A name without signs that only say what is measured, such as that of an angle."""
    return re.sub(r"\\(?:angle|overline|text|Delta)(?![A-Za-z])|^m(?=\s*\\angle)|[|{}\s]", "", name)


def _words(name: str) -> list[str]:
    """The words of a name; none of a symbol."""
    found = re.findall(r"(?<![\\A-Za-z])[A-Za-z]?[a-z]{2,}|[\u4e00-\u9fff]+", name)
    return [] if "(" in name or "\\" in name else [word.casefold() for word in found]
