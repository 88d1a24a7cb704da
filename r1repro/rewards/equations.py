"""Whether two equations of variables say the same."""

from fractions import Fraction

from mpmath import mp

from r1repro.rewards.agreement import DOMAIN, FEWEST, REAL_LINE, points, value_at
from r1repro.rewards.expressions import Tree
from r1repro.rewards.values import GUARD, Evaluation, exact, names


def same_equation(one: tuple[Tree, Tree], other: tuple[Tree, Tree]) -> bool | None:
    """Whether two equations say the same: their differences, without divisors, are proportional."""
    first, second = (_cleared(("+", left, ("neg", right)))[0] for left, right in (one, other))
    free = sorted(names(first))
    if not free or names(second) != names(first):
        return False
    ratios, doubtful = [], False
    for point in points(free, first, second):
        with mp.workdps(2 * GUARD):
            evaluation = Evaluation(point, True)
            here, there = (value_at(evaluation, tree) for tree in (first, second))
            if here is None or there is None or here is DOMAIN or there is DOMAIN:
                one_sided = (here is DOMAIN) != (there is DOMAIN)
                doubtful |= one_sided and not REAL_LINE.isdisjoint(free)
            elif here and there and mp.isfinite(here / there):
                ratios.append(here / there)
            elif here or there:
                return False
    if len(ratios) < FEWEST or doubtful:
        return None
    return all(abs(ratio - ratios[0]) <= abs(ratios[0]) * mp.mpf(10) ** -30 for ratio in ratios)


_ONE: Tree = ("num", Fraction(1))


def _cleared(tree: Tree) -> tuple[Tree, Tree]:
    """A tree as numerator and divisor without further divisors."""
    if tree[0] == "neg":
        top, bottom = _cleared(tree[1])
        return ("neg", top), bottom
    if tree[0] in ("+", "*", "/"):
        (a, b), (c, d) = _cleared(tree[1]), _cleared(tree[2])
        if tree[0] == "+":
            return ("+", _times(a, d), _times(c, b)), _times(b, d)
        return (_times(a, c), _times(b, d)) if tree[0] == "*" else (_times(a, d), _times(b, c))
    if tree[0] == "^" and (power := exact(tree[2])) is not None and power.denominator == 1:
        top, bottom = _cleared(tree[1])
        if power < 0:
            top, bottom = bottom, top
        size: Tree = ("num", abs(power))
        return ("^", top, size), _ONE if bottom == _ONE else ("^", bottom, size)
    return tree, _ONE


def _times(one: Tree, other: Tree) -> Tree:
    if _ONE in (one, other):
        return other if one == _ONE else one
    return ("*", one, other)
