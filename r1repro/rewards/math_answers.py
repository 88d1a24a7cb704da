"""Notation of mathematical answers: normalization and parsing.

All rules concern notation, none a particular problem. r1repro.rewards.verifier compares the values
of two leaves.
"""

import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from r1repro.text.tags import LONGEST

_SPACING = re.compile(
    r"\\(?:left|right|displaystyle|[Bb]igg?[lr]?|quad|qquad|limits|hline)(?![A-Za-z])"
    r"|\\[,;:!> ]|~|\\\(|\\\)|\\\[|\\\]|\\?\$"
)
_WORDS = re.compile(
    r"\\(?:text|textbf|textit|mathrm|mbox|operatorname|rm|mathbf|mathit)\s*\{([^{}]*)\}"
)
_AND = re.compile(r"\s*(?:,\s*)?\b(?:and|or)\b\s*|\s*[;；，、]\s*", re.IGNORECASE)
_UNIT = re.compile(
    r"(?<=[\d})])(?:\s+(?:cm|mm|km|m|ft|in)|\s*(?:square |cubic |sq\.? )?(?:feet|foot|inch(?:es)?"
    r"|miles?|(?:centi|kilo|milli)?met(?:er|re)s?|units?|dollars?|cents?|hours?|minutes?|seconds?"
    r"|days?|years?|people|students?|ways?))(?:\s*\^\s*\{?[23]\}?)?\s*$",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"\b(?:for (?:all|some|every|any|each)|where|whenever)\b.*$", re.IGNORECASE | re.DOTALL
)
_LABEL = re.compile(r"^[A-Za-z][A-Za-z ]{0,30}:\s*(?=\S)")
# Words that change the number and so are not counted objects.
_NOT_COUNTED = (
    r"(?!.*\b(?:hundred|thousand|million|billion|trillion|dozen|percent|factorial|squared|cubed"
    r"|half|halves|thirds?|quarters?|times|plus|minus|over|mod)\b)"
)
_COUNTED = re.compile(
    rf"^{_NOT_COUNTED}(-?\d+(?:\.\d+)?)(?:st|nd|rd|th)?(?:\s+[A-Za-z]{{3,}})+$"
    r"|^(\d+)(?:st|nd|rd|th)$",
    re.IGNORECASE,
)
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+")
# Damage by JSON, which reads an unescaped backslash as an escape sequence.
_ESCAPED = {
    re.compile("\x0c(?=rac)"): r"\f",
    re.compile("\t(?=ext|imes|heta|an\\b|frac)"): r"\t",
    re.compile("\x08(?=egin|inom|eta|oxed|ar\\b)"): r"\b",
    re.compile(r"\\\\(?=(?:frac|pi|sqrt|text|left|right|infty|cup)(?![a-z]))"): r"\\"[:1],
}
_SIGNS = {
    "−": "-", "π": r"\pi ", "∞": r"\infty ", "∪": r"\cup ", "≤": r"\leq ", "≥": r"\geq ",
    "⩽": r"\leq ", "⩾": r"\geq ", r"\leqslant": r"\leq", r"\geqslant": r"\geq", "√": r"\sqrt ",
    r"\cdot": "*", r"\times": "*", r"\div": "/", "×": "*", "·": "*", "÷": "/",
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"+\infty": r"\infty", r"+ \infty": r"\infty",
    r"\{": r"\{ ", r"\}": r" \}", "∀": r"\forall ",
}  # fmt: skip
_POWER = re.compile(r"<(sup|sub)>(.*?)</\1>")
_FUNCTIONS = ("sin", "cos", "tan", "cot", "log", "ln", "arcsin", "arccos", "arctan")
_MATRIX = re.compile(r"\\begin\{[pb]matrix\}(.*?)\\end\{[pb]matrix\}", re.DOTALL)
_CHAIN = re.compile(
    r"^(?P<low>[^<>=]+?)\s*(?P<l><|\\leq?(?![a-z]))\s*[A-Za-z]\s*(?P<h><|\\leq?(?![a-z]))\s*(?P<high>[^<>=]+)$"
)
_HALF = re.compile(r"^[A-Za-z]\s*(?P<sign><|>|\\leq?(?![a-z])|\\geq?(?![a-z]))\s*(?P<end>[^<>=]+)$")
_NAMES = re.compile(
    r"^\(\s*[A-Za-z\\]+(?:\s*\([a-z]\))?(?:\s*,\s*[A-Za-z\\]+(?:\s*\([a-z]\))?)+\s*\)\s*=\s*(?=\()"
)
_BUILDER = re.compile(
    r"^\\\{\s*[A-Za-z](?:\s*\\in\s*\S+)?\s*(?:\||\\mid|:)\s*(.*?)\s*\\\}$", re.DOTALL
)
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_MIXED = re.compile(r"(?<![\d.}])(\d+)\s*\\frac\s*\{\s*(\d+)\s*\}\s*\{\s*(\d+)\s*\}")
_FRACTION = re.compile(
    r"(-?)\s*(?:\\frac\s*\{\s*(-?\d+)\s*\}\s*\{\s*(\d+)\s*\}|(\d+)\s*[/:]\s*(\d+))"
)
_NUMBER = re.compile(r"-?\s*(?:\d+(?:\.\d*)?|\.\d+)")
_NAMED = re.compile(
    r"^([A-Za-z]\w*(?:_\{?\w+\}?)?)\s*(?:\(\s*([A-Za-z])\s*\))?\s*(?:=|\\in(?![a-z]))\s*(?!=)"
)
_PAIRS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True)
class Leaf:
    """An answer compared by value; name: the left side of an equation that it was given in."""

    text: str
    name: str = ""


@dataclass(frozen=True)
class Group:
    """Parts in brackets; kind: "" for a list or set in any order, "()", "(]" etc. in order."""

    kind: str
    parts: tuple["Leaf | Group", ...]


def plain(answer: str) -> str:
    """The answer without irrelevant notation: spacing, dollar signs, units, final periods."""
    raised = _RAISED.sub(lambda f: f"^{{{f[0].translate(_SUPERSCRIPTS)}}}", answer[:LONGEST])
    text = unicodedata.normalize("NFKC", raised)[:LONGEST].replace("\u2044", "/")
    for damaged, written in _ESCAPED.items():
        text = damaged.sub(written.replace("\\", r"\\"), text)
    text = " ".join(text.split())
    text = _POWER.sub(lambda found: ("^" if found[1] == "sup" else "_") + f"{{{found[2]}}}", text)
    if "matrix}" in text:
        text = text.replace("\\\\", r" \cr ")
    text = _SPACING.sub(" ", text)
    for sign, written in _SIGNS.items():
        text = text.replace(sign, written)
    text = re.sub(r"\\frac\s*(\d)\s*(\d)(?!\d)", r"\\frac{\1}{\2}", text)
    text = re.sub(r"\\sqrt\s*(\d)", r"\\sqrt{\1}", text)
    text = _WORDS.sub(lambda found: _word(found[1]), text)
    text = " ".join(_CLAUSE.sub("", text).split()).strip(" 。,;").rstrip(".").strip()
    text = _UNIT.sub("", text)
    text = re.sub(r"^(?:\\(?=\d)|USD|approximately|about)\s*", "", text)
    counted = _COUNTED.match(text)
    text = (counted[1] or counted[2]) if counted else text
    return _MIXED.sub(r"(\1+\\frac{\2}{\3})", text).strip()


def _word(inside: str) -> str:
    return rf"\{inside.strip()} " if inside.strip() in _FUNCTIONS else f" {inside} "


def parse(answer: str) -> Leaf | Group:
    """An answer as a tree of lists, sets, tuples, intervals, named sides and values."""
    text = plain(answer)
    built = _BUILDER.match(text)
    if built:
        text = built[1]
    matrix = _MATRIX.fullmatch(text)
    if matrix:
        rows = [row for row in re.split(r"\\cr(?![a-z])|&", matrix[1]) if row.strip()]
        return Group("()", tuple(map(_parsed, rows)))
    text = _NAMES.sub("", _AND.sub(", ", text))
    return _parsed(text, top=True)


def _parsed(text: str, top: bool = False) -> Leaf | Group:
    text = _LABEL.sub("", text.strip())
    if top and not set("([{") & set(text):
        text = _THOUSANDS.sub(lambda found: found[0].replace(",", ""), text)
    if text.startswith(r"\{") and text.endswith(r"\}"):
        text = "{" + text[2:-2].strip() + "}"
    whole = _whole_brackets(text)
    if whole is not None:
        kind, inside = whole
        parts = _split(inside)
        if kind == "{}":  # a one-element set equals its element
            return Group("", tuple(map(_parsed, parts))) if len(parts) != 1 else _parsed(parts[0])
        if len(parts) > 1:
            return Group(kind, tuple(map(_parsed, parts)))
        return _parsed(inside) if kind == "()" else Leaf(text)
    for sign in (",", r"\cup"):
        parts = _split(text, sign)
        if len(parts) > 1:
            return Group("", tuple(map(_parsed, parts)))
    bounded = _interval(text)
    if bounded is not None:
        return bounded
    named = _NAMED.match(text)
    if named and "=" not in text[named.end() :]:
        right = text[named.end() :]
        if named[2]:  # rename the argument: f(t) equals f(x)
            right = re.sub(rf"(?<![A-Za-z\\]){named[2]}(?![A-Za-z])", "x", right)
        inner = _parsed(right)
        return Leaf(inner.text, named[1]) if isinstance(inner, Leaf) else inner
    return Leaf(text)


def _interval(text: str) -> Group | None:
    """A one-variable inequality as an interval; None for anything else."""
    found = _CHAIN.match(text)
    if found:
        kind = ("(" if found["l"] == "<" else "[") + (")" if found["h"] == "<" else "]")
        return Group(kind, (_parsed(found["low"]), _parsed(found["high"])))
    found = _HALF.match(text)
    if found is None:
        return None
    end, open_end = _parsed(found["end"]), found["sign"] in "<>"
    if found["sign"] == ">" or found["sign"].startswith(r"\g"):
        return Group("()" if open_end else "[)", (end, Leaf(r"\infty")))
    return Group("()" if open_end else "(]", (Leaf(r"-\infty"), end))


def _whole_brackets(text: str) -> tuple[str, str] | None:
    """(kind, inside) if the text is one bracket pair, such as "(1, 2]"; else None."""
    if len(text) < 2 or text[0] not in _PAIRS or text[-1] not in ")]}":
        return None
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and place + 1 < len(text):
            return None
    if depth or (text[0] == "{") != (text[-1] == "}"):
        return None
    return text[0] + text[-1], text[1:-1]


def _split(text: str, at: str = ",") -> list[str]:
    """Split at `at` outside all brackets."""
    parts, depth, start = [], 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and text.startswith(at, place):
            parts.append(text[start:place])
            start = place + len(at)
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


_PERCENT = re.compile(r"^(.*?[\d})])\s*(?:\\?%|percent)$", re.DOTALL)
_DEGREES = re.compile(r"^(.*?[\d})])\s*(?:\^\s*\{?\s*\\circ\s*\}?|°|\\degree|degrees?)$", re.DOTALL)


def readings(text: str) -> tuple[str, ...]:
    """Possible values: of a percentage its number and a hundredth, of an angle also its radians."""
    if found := _PERCENT.match(text):
        value, digits = number(found[1]), decimals(found[1])
        if value is None:
            return (found[1],)
        exact = value / 100
        plain_decimal = f"{float(exact):.{digits + 2}f}" if digits is not None else ""
        hundredth = plain_decimal or f"{exact.numerator}/{exact.denominator}"
        return found[1], hundredth
    if found := _DEGREES.match(text):
        return found[1], rf"\frac{{{found[1]} \pi}}{{180}}"
    return (text,)


def decimals(text: str) -> int | None:
    """Digits after the decimal point; None if the text is not a decimal number."""
    found = re.fullmatch(r"-?\s*\d*\.(\d+)", text.strip())
    return len(found[1]) if found else None


def number(text: str) -> Fraction | None:
    """Exact value of a plain integer, decimal or fraction; None for anything else."""
    text = text.strip()
    found = _FRACTION.fullmatch(text)
    if found and len(text) < 60:
        top, bottom = (found[2], found[3]) if found[2] else (found[4], found[5])
        if int(bottom):
            return Fraction(int(top), int(bottom)) * (-1 if found[1] else 1)
    if _NUMBER.fullmatch(text) and len(text) < 60:
        return Fraction(text.replace(" ", ""))
    return None
