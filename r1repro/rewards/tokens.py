r"""Tokens of a mathematical expression in LaTeX or plain text."""

import re
import unicodedata
from fractions import Fraction

Token = tuple[str, str, bool]
"""Kind, text, and whether a blank stands before it."""
_LONGEST_NUMBER = 400
_TOKEN = re.compile(
    r"\s*(?:(?P<repeat>\d*\.\d*(?:\\overline\s*\{?\d+\}?|\\dot\s*\{?\d\}?(?:\d*\\dot\s*\{?\d\}?)?))"
    r"|(?P<dots>\d*\.\d{2,}\s*(?:\\ldots|\.\.\.))"
    r"|(?P<num>(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+(?![\w.]))?)"
    r"|(?P<cmd>\\[A-Za-z]+|\\[|{}])"
    r"|(?P<word>[A-Za-z]+)|(?P<greek>[\u0370-\u03ff])|(?P<sign>\*\*|[-+*/^_!|(){}\[\],:']))"
)
FUNCTIONS = {
    "sin": 1, "cos": 1, "tan": 1, "cot": 1, "sec": 1, "csc": 1, "sinh": 1, "cosh": 1, "tanh": 1,
    "arcsin": 1, "arccos": 1, "arctan": 1, "ln": 1, "log": 1, "lg": 1, "exp": 1, "abs": 1,
    "floor": 1, "ceil": 1, "gcd": 2, "lcm": 2, "max": 2, "min": 2,
}  # fmt: skip
SPELLED = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "ceiling": "ceil"}
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon"
    " phi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell"
).split()
_PLAIN = sorted([*FUNCTIONS, *SPELLED, "sqrt", "cbrt", "pi", *GREEK], key=len, reverse=True)
_PLAIN_WORD = re.compile("|".join(word for word in _PLAIN if len(word) > 2 or word in ("pi", "ln")))
NAMED = frozenset(_PLAIN)
"""Names of functions and Greek letters in plain text."""


def bare(text: str) -> str:
    r"""The text with single blanks, and the content of `\text{...}` in its place."""
    return " ".join(re.sub(r"\\text\s*\{([^{}]*)\}", r" \1 ", text).split())


class Unreadable(ValueError):
    """The text is not one whole expression."""


def tokens(text: str) -> list[Token]:
    """(kind, text, preceded by a blank) of each token."""
    found, place, text = [], 0, text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise Unreadable(f"{text[place : place + 10]!r} is no mathematics")
        kind, token = match.lastgroup, match[match.lastgroup]
        blank = match.start(kind) > place
        place = match.end()
        if kind == "word":
            found += _letters(token, blank)
        else:
            found.append(("var", _greek(token), blank) if kind == "greek" else (kind, token, blank))
    return found


def _greek(letter: str) -> str:
    """The command of a Greek letter, so that a sign and its command are one name."""
    *_, size, _, name = ("", "", *unicodedata.name(letter, "").split())
    name = name.replace("LAMDA", "LAMBDA").lower()
    return "\\" + (name.capitalize() if size == "CAPITAL" else name)


def _letters(word: str, blank: bool) -> list[Token]:
    """A run of letters as plain names such as sqrt or pi, and single letters."""
    found, place = [], 0
    while place < len(word):
        named = _PLAIN_WORD.match(word, place)
        token = named[0] if named else word[place]
        if named and token in GREEK:
            token = "\\" + token
        kind = "cmd" if named and token.startswith("\\") else "plain" if named else "var"
        found.append((kind, token, blank and place == 0))
        place += len(named[0]) if named else 1
    letters = {token for kind, token, _ in found if kind == "var"}
    if len(found) > 3 and not letters <= set("abcd") and letters & set("aeiou"):
        raise Unreadable(f"{word!r} is a word")
    return found


def value(kind: str, token: str) -> Fraction:
    """The exact value of a number token, with a repeating part where it shows one."""
    if len(token) > _LONGEST_NUMBER:
        raise Unreadable("a number too long")
    if kind == "num":
        head, _, power = token.replace("E", "e").partition("e")
        if power and abs(int(power[:8])) > 5_000:
            raise Unreadable("a number too large")
        return Fraction(head) * Fraction(10) ** int(power[:8] or 0)
    if kind == "repeat":
        whole, _, rest = token.partition(".")
        lead, _, repeated = rest.partition("\\")
        return _repeating(whole, lead, re.sub(r"\D", "", repeated))
    whole, _, rest = token.partition(".")
    digits = re.match(r"\d+", rest)
    shown = digits[0] if digits else ""
    found = re.fullmatch(r"(\d*?)(?:(\d)\2{2,}|(\d{2,}?)\3+)", shown)
    if found is None:
        raise Unreadable("a decimal that goes on")
    return _repeating(whole, found[1], found[2] or found[3])


def _repeating(whole: str, lead: str, period: str) -> Fraction:
    if not period:
        raise Unreadable("nothing repeats")
    value = Fraction(int(whole or 0)) + (Fraction(int(lead), 10 ** len(lead)) if lead else 0)
    return value + Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(lead))
