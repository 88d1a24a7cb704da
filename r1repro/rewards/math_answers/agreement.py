"""Whether two expressions, or two equations, agree wherever they have values.

Trees without variables are compared as numbers, others at sample points of both signs and all
sizes, and on both sides of each place where an absolute value, a root, a logarithm or a maximum
changes its form. The relative difference decides, so tiny values differ too.
"""

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

from mpmath import mp

from r1repro.rewards.math_answers.expressions import Tree
from r1repro.rewards.math_answers.values import (
    FAILURES,
    GUARD,
    Evaluation,
    Undefined,
    Value,
    as_mpmath,
    exact,
    names,
    subtrees,
)

_FEWEST = 4
"""Sample points at which both sides must have a value."""
_MOST_DIGITS = 3_000
_REAL_LINE = frozenset("xyzt")
"""Variables of any sign; other letters are parameters, positive where a root or logarithm asks."""


def same_value(one: Tree, other: Tree) -> bool | None:
    r"""Whether two trees are equal wherever they are defined; None if that cannot be told.

    Numbers may be complex; functions of variables are compared where they are real, and a function
    of x, y, z or t that is defined where the other is not leaves a doubt. \log without base is the
    common logarithm, or has the same unknown base on both sides; as code, log(x) may be natural.
    """
    first, second = exact(one), exact(other)
    if first is not None and second is not None:
        return first == second
    met = [node for tree in (one, other) for node in subtrees(tree)]
    real = any(node[0] == "var" for node in met) and ("const", "i") not in met
    some = mp.mpf("6.18")
    bases: list[dict[str, Value]] = [{"base of log": some, "base of plainlog": some}]
    if any(node[:2] == ("fn", "plainlog") for node in met):
        bases.append({"base of log": some})
    if any(node[:2] == ("fn", "log") for node in met):
        bases.append({"base of log": Fraction(10), "base of plainlog": some})
    found = []
    for base in bases:
        found.append(_agree(one, other, real, base))
        if found[-1]:
            return True
    return None if None in found else False


def _agree(one: Tree, other: Tree, real: bool, bases: dict[str, Value]) -> bool | None:
    free = sorted(names(one) | names(other))
    defined, doubtful = 0, False
    sampled = _points(free, one, other)
    if any(_alternates(node) for tree in (one, other) for node in subtrees(tree)):
        sampled = [p for p in sampled if all(x.denominator == 1 for x in p.values())]
    for point in sampled:
        differs = _differ(one, other, {**point, **bases}, real)
        if differs is _DOMAIN:
            doubtful |= not _REAL_LINE.isdisjoint(free)
        elif differs:
            return False
        else:
            defined += differs is not None
    return True if not doubtful and defined >= (_FEWEST if free else 1) else None


def _alternates(node: Tree) -> bool:
    """Whether a negative number is raised to a variable: (-1)^n is defined for whole n."""
    if node[0] != "^" or not names(node[2]):
        return False
    base = exact(node[1])
    return base is not None and base < 0


_BROKEN = [
    Fraction(sample)
    for sample in (
        "-1000003/11 -2.137 -0.293 0.137 0.411 0.731 0.879 1.713 5.3 11.3 151/3 1000003/13".split()
    )
]
_WHOLE = (1, 2, 3, 5, 8, 12, 37)


def _points(free: list[str], *trees: Tree) -> list[dict[str, Value]]:
    """Sample points: negative, positive, whole and of mixed signs; and about the trees' bends."""
    if not free:
        return [{}]
    broken = [{name: at * (7 + i) / 7 for i, name in enumerate(free)} for at in _BROKEN]
    whole = [{name: Fraction(start + 3 * i) for i, name in enumerate(free)} for start in _WHOLE]
    mixed = [
        {name: Fraction(sign * (-1) ** i * (5 + 2 * i), 6) for i, name in enumerate(free)}
        for sign in (1, -1)
    ]
    return broken + whole + mixed + _about_bends(free, trees)


_SIZES = [Fraction(size, 2) for size in (*range(1, 20, 2), 32, 48, 80, 180, 800)]
_GRID = sorted(sign * size * Fraction(1013, 1000) for sign in (-1, 1) for size in _SIZES)
_MOST_BENDS = 8
_BROKEN_FUNCTIONS = ("abs", "ln", "log", "plainlog", "lg", "logbase", "arcsin", "arccos")


def _about_bends(free: list[str], trees: tuple[Tree, ...]) -> list[dict[str, Value]]:
    """Points on both sides of the places where an argument of the trees changes its sign."""
    nodes = (node for tree in trees for node in subtrees(tree))
    met = (bend for node in nodes for bend in _bends(node) if bend[0] != "var")
    bends = list(dict.fromkeys(met))[:_MOST_BENDS]
    found = []
    for name in free[:3] if bends else ():
        others = {other: Fraction(1009 * (i + 5), 3000) for i, other in enumerate(free)}
        places: set[Fraction] = set()
        roots = []
        for bend in bends:
            signs = [_sign(bend, {**others, name: place}) for place in _GRID]
            for (low, one), (high, two) in pairwise(zip(_GRID, signs, strict=True)):
                if one != two:
                    places |= {low, high}
            roots += _root(bend, others, name)
        roots.sort()
        places |= {(low + high) / 2 for low, high in pairwise(roots)}
        places |= {root + step for root in roots[:1] + roots[-1:] for step in (-1, 1)}
        found += [{**others, name: place} for place in sorted(places)[:40]]
    return found


def _bends(node: Tree) -> Iterator[Tree]:
    """Arguments of a node whose sign matters."""
    if node[0] == "fn" and node[1] in _BROKEN_FUNCTIONS:
        yield node[2]
    if node[0] == "fn" and node[1] in ("max", "min"):
        yield from (("+", node[2], ("neg", one)) for one in node[3:])
    if node[0] == "root" or (node[0] == "^" and _whole(node[2]) is None):
        yield node[1]


def _whole(tree: Tree) -> int | None:
    """The value of a tree that is a whole number; None of any other."""
    value = exact(tree)
    return int(value) if value is not None and value.denominator == 1 else None


def _sign(tree: Tree, point: dict[str, Value]) -> int | None:
    value = _value_at(Evaluation(point, True, digits=15), tree)
    return None if value is None or value is _DOMAIN else int(mp.sign(mp.re(value)))


def _root(tree: Tree, others: dict[str, Value], name: str) -> list[Fraction]:
    """Where a tree that is linear in one variable is zero."""
    try:
        low, high = (
            Evaluation({**others, name: Fraction(at)}, exact=True).of(tree) for at in (0, 1)
        )
    except FAILURES:
        return []
    return [-low / (high - low)] if high != low else []


_DOMAIN = "domain"


def _differ(one: Tree, other: Tree, point: dict[str, Value], real: bool) -> bool | str | None:
    """Whether two trees differ at a point; _DOMAIN if only one has a value; None if unknown.

    Evaluates to twice the digits that the sizes met on the way span, so that a difference as small
    as the smallest number beside the largest is seen.
    """
    digits = 2 * GUARD
    for _ in range(3):
        with mp.workdps(digits):
            evaluation = Evaluation(point, real, digits=digits)
            first, second = (_value_at(evaluation, tree) for tree in (one, other))
            if first is None or second is None:
                return None
            if first is _DOMAIN or second is _DOMAIN:
                return None if first is second else _DOMAIN
            needed = 2 * evaluation.span + 2 * GUARD
            if needed > _MOST_DIGITS or not mp.isfinite(first - second):
                return None
            if needed <= digits:
                size = max(abs(first), abs(second))
                return bool(abs(first - second) > size * mp.mpf(10) ** (10 - digits // 2))
            digits = needed
    return None


def _value_at(evaluation: Evaluation, tree: Tree) -> Value | None:
    """A value; _DOMAIN where it is undefined; None where it cannot be computed."""
    try:
        return as_mpmath(evaluation.of(tree))
    except Undefined:
        return _DOMAIN
    except FAILURES:
        return None


def same_equation(one: tuple[Tree, Tree], other: tuple[Tree, Tree]) -> bool | None:
    """Whether two equations say the same: their differences, without divisors, are proportional."""
    first, second = (_cleared(("+", left, ("neg", right)))[0] for left, right in (one, other))
    free = sorted(names(first))
    if not free or names(second) != names(first):
        return False
    ratios, doubtful = [], False
    for point in _points(free, first, second):
        with mp.workdps(2 * GUARD):
            evaluation = Evaluation(point, True)
            here, there = (_value_at(evaluation, tree) for tree in (first, second))
            undefined = [value is _DOMAIN for value in (here, there)]
            if any(undefined) or here is None or there is None:
                doubtful |= undefined[0] != undefined[1] and not _REAL_LINE.isdisjoint(free)
            elif here and there and mp.isfinite(here / there):
                ratios.append(here / there)
            elif here or there:
                return False
    if len(ratios) < _FEWEST or doubtful:
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
    if tree[0] == "^" and (power := _whole(tree[2])) is not None:
        top, bottom = _cleared(tree[1])
        if power < 0:
            top, bottom = bottom, top
        size: Tree = ("num", Fraction(abs(power)))
        return ("^", top, size), _ONE if bottom == _ONE else ("^", bottom, size)
    return tree, _ONE


def _times(one: Tree, other: Tree) -> Tree:
    if _ONE in (one, other):
        return other if one == _ONE else one
    return ("*", one, other)
