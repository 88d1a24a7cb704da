r"""Reads a single value of an answer: a number with its unit, base or label, or words.

Also tells whether a decimal is a rounded value.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from mpmath.libmp import to_rational

from r1repro.rewards.math_answers.expressions import Tree, expression
from r1repro.rewards.math_answers.lexer import Unreadable, bare
from r1repro.rewards.math_answers.notation import compact
from r1repro.rewards.math_answers.numerals import SMALL, digits
from r1repro.rewards.math_answers.units import Unit, is_product, split_money, split_unit, unit_of
from r1repro.rewards.math_answers.values import exact, number

MACHINE_DIGITS = 12
"""Significant digits that only a printed value has."""
_GOLD_DIGITS = 3
"""Significant digits of a gold decimal that make it a rounded value rather than a coarse one."""
_PI: Tree = ("const", "pi")
_KNOWN = ("pi", "e", "sqrt 2", "sqrt 3", "sqrt 5", "ln 2", "(1+sqrt 5)/2")
_CONSTANTS = [expression(f"{before}({known})") for known in _KNOWN for before in ("", "1/")]
_NEAR_PI = (Fraction(22, 7), Fraction(355, 113))


@dataclass(frozen=True)
class Leaf:
    """One value.

    text: its cleaned text; of a numeral with a base, its digits.
    tree: its expression, without unit; None if it cannot be read as a whole.
    name: the left side it was given with, as in x = 3, or its label.
    unit, scale: what stands after the number; scale: of a word such as million.
    equation: both sides of an equation, also of a named value.
    base: the base of a numeral such as 110_2.
    """

    text: str
    tree: Tree | None = None
    name: str = ""
    unit: Unit | None = None
    scale: Fraction = Fraction(1)
    equation: tuple[Tree, Tree] | None = None
    base: int | None = None


@dataclass(frozen=True)
class Group:
    """Parts with a kind.

    kind: "" for a list or union in any order, "{}" for a set, "()", "(]" etc. for a tuple or an
        interval, "matrix" for rows.
    """

    kind: str
    parts: tuple["Leaf | Group", ...]
    name: str = ""


Node = Leaf | Group

_ABOUT = re.compile(
    r"^(?:\\text\s*\{\s*)?(?:approximately|approx\.?|about|roughly|exactly|only|a total of"
    r"|约|大约|共)"
    r"\s*\}?\s*(?=[\\\d(.A-Za-z-])",
    re.IGNORECASE,
)
_ENDLESS = re.compile(r"([-+]?)\s*(?:\\infty|infinity|inf)", re.IGNORECASE)
_NUMERAL = re.compile(
    r"\(?\s*(?:\\text\s*\{\s*)?(?P<digits>[\dA-F]*\d[\dA-F]*|[\da-f]*\d[\da-f]*"
    r"|(?:[A-F]{2,}|[a-f]{2,})(?=\s*\}?\s*\)?\s*_\s*\{?\s*\(?\s*16))"
    r"\s*\}?\s*\)?\s*_\s*\{?\s*(?:\\text\s*\{\s*)?"
    r"\(?\s*(?P<base>\d{1,2}|[a-z]+)\s*\)?\s*\}?\s*\}?"
)
_GROUPED = re.compile(
    r"(?<![\d.,])(\d{1,3})((?:,\d{3})+|(?: \d{3})+|(?:'\d{3})+|(?:_\d{3})+)(?![\d,_'])"
)
_INNER_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})*,0\d\d(?:,\d{3})*(?!\d|,\d)")
_ANGLE = re.compile(r"(\d+)\s*\^\s*\{?\s*\\circ\s*\}?\s*(\d+)\s*'(?:\s*(\d+)\s*(?:''|\"))?")
_CHOSEN = re.compile(r"(?:(?:\{\s*\})?\s*[_^]\s*)?\{?(\d{1,4})\}?\s*C\s*_?\s*\{?(\d{1,4})\}?")
_TIMES_TEN = re.compile(r"(?<=\d)\s*x\s*(?=10\s*\^)")


def leaf(text: str) -> Leaf:
    """The value that a text without separators and relations is."""
    text = " ".join(text.split())
    body = digits(without_about(text))
    if endless := _ENDLESS.fullmatch(body):
        far: Tree = ("var", "∞")
        return Leaf(text, ("neg", far) if endless[1] == "-" else far)
    if numeral := _NUMERAL.fullmatch(body):
        return _in_base(text, numeral["digits"], numeral["base"])
    if angle := _ANGLE.fullmatch(body):
        whole, minutes, seconds = (Fraction(int(part or 0)) for part in angle.groups())
        return Leaf(text, ("num", whole + minutes / 60 + seconds / 3600), unit=unit_of("degrees"))
    if body.startswith("百分之"):
        body = body[3:] + "%"
    body, money = split_money(body)
    cut = split_unit(body)
    if cut is None:
        return Leaf(text)
    shown, unit, scale = cut
    joined = _CHOSEN.sub(r"\\binom{\1}{\2}", _TIMES_TEN.sub("*", grouped(shown)))
    try:
        tree = expression(joined)
    except Unreadable:
        return Leaf(text)
    return Leaf(shown if unit or money else body, tree, unit=money or unit, scale=scale)


def without_about(text: str) -> str:
    """The text without a first word that leaves the number as it is, such as "about" or "only"."""
    return _ABOUT.sub("", text, count=1)


def grouped(text: str, inside: bool = False) -> str:
    """The text with its thousands joined; inside brackets only where no list can be meant."""
    pattern = _INNER_GROUPED if inside else _GROUPED
    return pattern.sub(lambda found: re.sub(r"\D", "", found[0]), text)


def _in_base(text: str, shown: str, base: str) -> Leaf:
    size = int(base) if base.isdecimal() else SMALL.index(base) if base in SMALL else 0
    try:
        value = int(shown, size) if 2 <= size <= 36 and len(shown) <= 200 else None
    except ValueError:
        value = None
    if value is None:
        return Leaf(text)
    return Leaf(shown.upper().lstrip("0") or "0", ("num", Fraction(value)), base=size)


def words_of(text: str) -> str:
    """The words of a text that holds nothing else, in one case; "" for any other."""
    said = bare(text).casefold()
    if re.search(r"[\d\\{}=<>^_+*/|]|\s-\s", said) or is_product(said):
        return ""
    if not re.search(r"[^\W\d_]{3}|^no$|[\u4e00-\u9fff]", said):
        return ""
    return " ".join(re.findall(r"[^\W\d_]+(?:['-][^\W\d_]+)*", said))


def decimals(one: Leaf) -> int | None:
    """Digits after the decimal point; None if the leaf is not written as a decimal number."""
    found = re.fullmatch(r"[-+]?\s*\d*\.(\d+)", grouped(one.text.strip()))
    return len(found[1]) if found else None


def significant(one: Leaf) -> int:
    """Digits of a decimal from its first that is not zero."""
    return len(re.sub(r"\D", "", one.text).lstrip("0"))


def is_rounded(tree: Tree, decimal: Leaf, scale: Fraction = Fraction(1)) -> bool:
    """Whether a decimal times `scale` is the rounded value of a number."""
    digits, value = decimals(decimal), number(tree)
    if digits is None or decimal.tree is None or value is None:
        return False
    if not isinstance(value, Fraction):
        if value.imag or not abs(value.real) < 1e30:
            return False
        value = Fraction(*map(int, to_rational(value.real._mpf_)))
    stated = Fraction(number(decimal.tree) or 0)
    return abs(value - stated * scale) <= abs(scale) * Fraction(1, 2 * 10**digits)


def same_text(one: str, other: str) -> bool:
    """Whether two cleaned texts are alike, words in any case."""
    if compact(bare(one)) == compact(bare(other)):
        return True
    words = words_of(one)
    return bool(words) and words == words_of(other)


def is_printed(gold: Leaf, tree: Tree) -> bool:
    """Whether a decimal gold can only be the printed value of a number.

    It has the digits of a machine, or three, and the number is a fraction without a finite decimal
    and with a small divisor. There are some 0.3 q^2 fractions of divisors up to q between two
    whole numbers, so up to ten of them print as the same decimal; four answers of HardVerify need
    divisors that large. What also prints as a constant may be that.
    """
    digits = significant(gold)
    if digits >= MACHINE_DIGITS or (value := exact(tree)) is None:
        return digits >= MACHINE_DIGITS
    endless = 10 ** value.denominator.bit_length() % value.denominator != 0
    shown = decimals(gold) or 0
    simple = value.denominator**2 <= 10 ** min(digits + 1, shown + 1.5 * (shown > 1))
    return digits >= _GOLD_DIGITS and endless and simple and not _is_constant(gold, value)


def _is_constant(gold: Leaf, value: Fraction) -> bool:
    """Whether a decimal is of a constant, its reciprocal, or what a fraction like 22/7 stands for.

    3.14 and 22/7 are two values near pi, as 4.71 and 33/7 are near its multiple by 3/2.
    """
    times = (value / near for near in _NEAR_PI)
    multiples = [("*", _PI, ("num", n)) for n in times if n.denominator < value.denominator]
    constants = [("neg", tree) if value < 0 else tree for tree in _CONSTANTS]
    return any(is_rounded(tree, gold) for tree in (*constants, *multiples))
