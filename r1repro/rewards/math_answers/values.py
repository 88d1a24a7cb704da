"""Values of expression trees: exact where they are rational, else to as many digits as needed.

Costs are bounded: what would grow too large has no value. agreement.py compares two trees.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from mpmath import mp

from r1repro.rewards.math_answers.expressions import Tree

Value = Any
"""A Fraction, or a real or complex number of mpmath."""

MOST_BITS = 60_000
"""Largest exact number, in bits."""

GUARD = 50
"""Digits beyond those that are asked for."""
FAILURES = (ArithmeticError, ValueError, RecursionError)
"""What the evaluation of a tree can raise."""


class NoValue(ArithmeticError):
    """The tree has no value here: undefined, too large, or not rational where that is required."""


class Undefined(NoValue):
    """The tree has no real value here, such as the root of a negative number."""


def subtrees(tree: Tree) -> Iterator[Tree]:
    """A tree and all trees within it, from left to right."""
    left = [tree]
    while left:
        yield (node := left.pop())
        left += [part for part in node[:0:-1] if isinstance(part, tuple)]


def names(tree: Tree) -> frozenset[str]:
    """Variables of a tree."""
    return frozenset(node[1] for node in subtrees(tree) if node[0] == "var")


@dataclass
class Evaluation:
    """Values of a tree at one point.

    point: the variables' values.
    real: a root or logarithm of a negative number has no value; otherwise it is complex.
    exact: only rational numbers have a value.
    digits: decimal digits of what is not rational.
    up, down: bits of the largest number met, and of the inverse of the smallest.
    """

    point: Mapping[str, Value] = field(default_factory=dict)
    real: bool = False
    exact: bool = False
    digits: int = 50
    up: int = 0
    down: int = 0

    @property
    def span(self) -> int:
        """Decimal digits between the largest and the smallest number met."""
        return (self.up + self.down) * 3 // 10

    def of(self, tree: Tree) -> Value:
        """The value of a tree. Raises NoValue."""
        kind = tree[0]
        if kind == "num":
            return self.seen(tree[1])
        if kind == "var":
            if tree[1] not in self.point:
                raise NoValue(tree[1])
            return self.point[tree[1]]
        if kind == "const":
            self.inexact()
            return {"pi": +mp.pi, "e": +mp.e, "i": mp.mpc(0, 1)}[tree[1]]
        if kind in ("fn", "app"):
            return self.function(tree[1], [self.of(part) for part in tree[2:]], kind == "app")
        first, *rest = (self.of(part) for part in tree[1:])
        if kind == "neg":
            return -first
        return self.seen(self.joined(kind, first, rest[0]))

    def inexact(self) -> None:
        if self.exact:
            raise NoValue("not rational")

    def joined(self, kind: str, first: Value, second: Value) -> Value:
        if kind == "^":
            return self.power(first, second)
        if kind == "root":
            return self.root(first, second)
        if not (isinstance(first, Fraction) and isinstance(second, Fraction)):
            first, second = as_mpmath(first), as_mpmath(second)
        if kind == "/":
            if second == 0:
                raise NoValue("division by zero")
            return first / second
        if kind == "*":
            return first * second
        total = first + second
        if isinstance(total, Fraction):
            return total
        noise = max(abs(first), abs(second)) * mp.mpf(10) ** (-8 * self.digits // 10)
        return Fraction(0) if abs(total) <= noise else total

    def seen(self, value: Value) -> Value:
        """The value, its size noted. Raises NoValue if it is too large to go on with."""
        if isinstance(value, Fraction):
            up, down = value.numerator.bit_length(), value.denominator.bit_length()
        else:
            size = mp.mag(value) if value else 0
            if not isinstance(size, int):
                raise NoValue("not finite")
            up, down = max(size, 0), max(-size, 0)
        if max(up, down) > MOST_BITS:
            raise NoValue("too large")
        self.up, self.down = max(self.up, up), max(self.down, down)
        return value

    def power(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction) and exponent.denominator == 1:
            return self.whole_power(base, exponent.numerator)
        self.inexact()
        if base == 0:
            if mp.re(as_mpmath(exponent)) > 0:
                return Fraction(0)
            raise NoValue("a power of zero")
        if self.real and (mp.im(as_mpmath(base)) or mp.re(as_mpmath(base)) < 0):
            if not isinstance(exponent, Fraction) or exponent.denominator % 2 == 0:
                raise Undefined("a fractional power of a negative number")
            sign = -1 if exponent.numerator % 2 else 1  # an odd root
            return sign * self.power(-base, exponent)
        growth = abs(as_mpmath(exponent) * mp.log(as_mpmath(base)))
        if not growth < MOST_BITS:
            raise NoValue("too large")
        return mp.power(as_mpmath(base), as_mpmath(exponent))

    def whole_power(self, base: Value, exponent: int) -> Value:
        if base == 0 and exponent < 0:
            raise NoValue("division by zero")
        if isinstance(base, Fraction):
            bits = max(base.numerator.bit_length(), base.denominator.bit_length())
            if abs(base) not in (0, 1) and bits * abs(exponent) > MOST_BITS:
                raise NoValue("too large")
            return base ** (exponent if abs(base) != 1 else exponent % 2)
        if abs(exponent) * max(1, abs(int(mp.mag(base))) if base else 1) > MOST_BITS:
            raise NoValue("too large")
        return mp.power(base, exponent)

    def root(self, base: Value, index: Value) -> Value:
        if not isinstance(index, Fraction) or index.denominator != 1 or not 2 <= index <= 1_000:
            raise NoValue("a root of this index")
        order = int(index)
        if isinstance(base, Fraction) and (exact := _exact_root(base, order)) is not None:
            return exact
        self.inexact()
        value = as_mpmath(base)
        if not mp.im(value) and mp.re(value) < 0:
            if order % 2:
                return -mp.root(-value, order)
            if self.real:
                raise Undefined("a root of a negative number")
        return mp.root(value, order)

    def function(self, name: str, given: list[Value], undefined: bool) -> Value:
        if undefined:  # any smooth function with no identities serves
            self.inexact()
            seed = sum(map(ord, name))
            terms = [mp.cos(as_mpmath(x) * (seed + i) / 97) for i, x in enumerate(given)]
            return mp.exp(sum(terms, mp.mpf(seed) / 101))
        exact = _exact_function(name, given)
        if exact is not None:
            return self.seen(exact)
        self.inexact()
        values = [as_mpmath(x) for x in given]
        positive = all(not mp.im(x) and mp.re(x) > 0 for x in values)
        if self.real and name in _LOGARITHMS and not positive:
            raise Undefined("a logarithm of a number that is not positive")
        if self.real and name in ("arcsin", "arccos") and abs(values[0]) > 1:
            raise Undefined("no such angle")
        if name == "exp" and not abs(values[0]) < MOST_BITS / 2:
            raise NoValue("too large")
        if name in ("factorial", "binom") and any(abs(x) > 2_000 for x in values):
            raise NoValue("too large")
        if name in ("log", "plainlog"):
            values.append(self.point.get(f"base of {name}", +mp.e))
            name = "logbase"
        try:
            found = _FUNCTIONS[name](*values)
        except (ValueError, ZeroDivisionError, KeyError, TypeError) as error:
            raise NoValue(str(error)) from error
        if abs(found) <= mp.mpf(10) ** (-8 * self.digits // 10) and abs(values[0]) > 1e-3:
            return Fraction(0)  # such as the cosine of a right angle
        return self.seen(found)


_LOGARITHMS = ("ln", "log", "plainlog", "lg", "logbase")
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sin": mp.sin, "cos": mp.cos, "tan": mp.tan, "cot": mp.cot, "sec": mp.sec, "csc": mp.csc,
    "sinh": mp.sinh,
    "cosh": mp.cosh, "tanh": mp.tanh, "arcsin": mp.asin, "arccos": mp.acos, "arctan": mp.atan,
    "ln": mp.log, "lg": mp.log10, "exp": mp.exp, "abs": abs, "floor": mp.floor, "ceil": mp.ceil,
    "factorial": mp.factorial, "binom": mp.binomial, "max": max, "min": min,
    "logbase": lambda value, base: mp.log(value) / mp.log(base),
}  # fmt: skip


def as_mpmath(value: Value) -> Value:
    if isinstance(value, Fraction):
        return mp.mpf(value.numerator) / value.denominator
    return value


def _exact_root(base: Fraction, order: int) -> Fraction | None:
    """The rational root of a rational number; None if there is none."""
    if base < 0:
        found = _exact_root(-base, order) if order % 2 else None
        return None if found is None else -found
    whole = base.numerator, base.denominator
    if order > 2 and max(whole).bit_length() >= 900:
        return None
    top, bottom = (math.isqrt(n) if order == 2 else round(n ** (1 / order)) for n in whole)
    return Fraction(top, bottom) if (top**order, bottom**order) == whole else None


_OF_RATIONAL: dict[str, Callable[..., Any]] = {
    "abs": abs, "floor": math.floor, "ceil": math.ceil, "max": max, "min": min
}  # fmt: skip
_OF_WHOLE: dict[str, Callable[..., int]] = {
    "factorial": math.factorial, "binom": math.comb, "gcd": math.gcd, "lcm": math.lcm
}  # fmt: skip


def _exact_function(name: str, given: list[Value]) -> Fraction | None:
    """The rational value of a function of rational numbers; None if it is left to mpmath."""
    if not all(isinstance(x, Fraction) for x in given):
        return None
    if name in _OF_RATIONAL:
        return Fraction(_OF_RATIONAL[name](*given))
    if name in _OF_WHOLE and all(x.denominator == 1 and 0 <= x <= 4_000 for x in given):
        return Fraction(_OF_WHOLE[name](*map(int, given)))
    return None


def exact(tree: Tree) -> Fraction | None:
    """The rational value of a tree without variables; None if it has none that is known exactly."""
    try:
        value = Evaluation(exact=True).of(tree)
    except FAILURES:
        return None
    return value if isinstance(value, Fraction) else None


def number(tree: Tree) -> Value | None:
    """The value of a tree without variables, to about 30 digits; None if it has none."""
    known = exact(tree)
    if known is not None:
        return known
    with mp.workdps(30 + GUARD):
        try:
            return +as_mpmath(Evaluation(digits=30).of(tree))
        except FAILURES:
            return None
