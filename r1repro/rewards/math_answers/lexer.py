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
OF_SEVERAL = ("gcd", "lcm", "max", "min")
"""Functions of two or more numbers; the others are of one."""
FUNCTIONS = (
    *"sin cos tan cot sec csc sinh cosh tanh arcsin arccos arctan".split(),
    *"ln log lg exp abs floor ceil".split(),
    *OF_SEVERAL,
)
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
    found: list[Token] = []
    place, text = 0, text.strip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise Unreadable(f"{text[place : place + 10]!r} is not mathematics")
        kind, token = match.lastgroup, match[match.lastgroup]
        blank = match.start(kind) > place
        place = match.end()
        if kind == "word":
            found += _letters(token, blank)
        elif kind == "greek":
            found.append(("var", _greek(token), blank))
        else:
            found.append((kind, token, blank))
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
    whole, _, rest = token.partition(".")
    if kind == "repeat":
        lead, _, repeated = rest.partition("\\")
        return _repeating(whole, lead, re.sub(r"\D", "", repeated))
    shown = re.match(r"\d*", rest)
    found = shown and re.fullmatch(r"(\d*?)(?:(\d)\2{2,}|(\d{2,}?)\3+)", shown[0])
    if found is None:
        raise Unreadable("a decimal that goes on")
    return _repeating(whole, found[1], found[2] or found[3])


def _repeating(whole: str, lead: str, period: str) -> Fraction:
    if not period:
        raise Unreadable("nothing repeats")
    shift = 10 ** len(lead)
    value = Fraction(int(whole or 0)) + Fraction(int(lead or 0), shift)
    return value + Fraction(int(period), (10 ** len(period) - 1) * shift)
