"""Which decimals can only be printed, and so rounded, values."""

from fractions import Fraction

from r1repro.rewards.expressions import Tree, expression
from r1repro.rewards.leaves import Leaf, decimals, is_rounded, significant
from r1repro.rewards.values import exact

MACHINE_DIGITS = 12
"""Significant digits that only a printed value has."""
_GOLD_DIGITS = 3
"""Significant digits of a gold decimal that make it a rounded value rather than a coarse one."""
_PI: Tree = ("const", "pi")
_KNOWN = ("pi", "e", "sqrt 2", "sqrt 3", "sqrt 5", "ln 2", "(1+sqrt 5)/2")
_CONSTANTS = [expression(f"{before}({known})") for known in _KNOWN for before in ("", "1/")]
_NEAR_PI = (Fraction(22, 7), Fraction(355, 113))


def is_printed(gold: Leaf, tree: Tree) -> bool:
    """Whether a decimal gold can only be the printed value of a number.

    It has the digits of a machine, or three, and the number is a fraction without a finite decimal
    and with a small divisor. Fractions of divisors up to q number some
    0.3 q^2 between two whole numbers, so up to ten of them print as the same decimal; four answers
    of HardVerify need divisors that large. What also prints as a constant may be that.
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
