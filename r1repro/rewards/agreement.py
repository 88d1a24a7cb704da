"""Whether two expressions agree wherever they have values.

Two trees without variables are compared as numbers, others at sample points of both signs and all
sizes, and on both sides of each place where an absolute value, a root, a logarithm or a maximum
changes its form. The relative difference decides, never an absolute one, so tiny values differ.
"""

from collections.abc import Iterator
from fractions import Fraction

from mpmath import mp

from r1repro.rewards.expressions import Tree
from r1repro.rewards.values import (
    GUARD,
    Evaluation,
    Undefined,
    Value,
    as_mpmath,
    exact,
    holds,
    names,
)

FEWEST = 4
"""Sample points at which both sides must have a value."""
_MOST_DIGITS = 3_000
_TEN = Fraction(10)
REAL_LINE = frozenset("xyzt")
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
    free = names(one) | names(other)
    real = bool(free) and not (holds(one, "const", "i") or holds(other, "const", "i"))
    some = mp.mpf("6.18")
    bases = [{"base of log": some, "base of plainlog": some}]
    if holds(one, "fn", "plainlog") or holds(other, "fn", "plainlog"):
        bases.append({"base of log": some})
    if holds(one, "fn", "log") or holds(other, "fn", "log"):
        bases.append({"base of log": _TEN, "base of plainlog": some})
    doubtful = False
    for base in bases:
        found = _agree(one, other, real, base)
        if found:
            return True
        doubtful |= found is None
    return None if doubtful else False


def _agree(one: Tree, other: Tree, real: bool, bases: dict[str, Value]) -> bool | None:
    free = sorted(names(one) | names(other))
    defined, doubtful = 0, False
    sampled = points(free, one, other)
    if _alternates(one) or _alternates(other):  # of whole numbers, such as (-1)^n
        sampled = [p for p in sampled if all(x.denominator == 1 for x in p.values())]
    for point in sampled:
        differs = _differ(one, other, {**point, **bases}, real)
        if differs is DOMAIN:
            doubtful |= not REAL_LINE.isdisjoint(free)
        elif differs:
            return False
        else:
            defined += differs is not None
    return True if not doubtful and defined >= (FEWEST if free else 1) else None


def _alternates(tree: Tree) -> bool:
    """Whether a negative number is raised to a variable."""
    if tree[0] == "^" and names(tree[2]) and (base := exact(tree[1])) is not None and base < 0:
        return True
    return any(_alternates(part) for part in tree[1:] if isinstance(part, tuple))


_BROKEN = (
    "-1000003/11",
    "-2137/1000",
    "-293/1000",
    "137/1000",
    "411/1000",
    "731/1000",
    "879/1000",
    "1713/1000",
    "53/10",
    "113/10",
    "151/3",
    "1000003/13",
)
_WHOLE = (1, 2, 3, 5, 8, 12, 37)


def points(free: list[str], *trees: Tree) -> list[dict[str, Value]]:
    """Sample points: negative, positive, whole and of mixed signs; and about the trees' bends."""
    if not free:
        return [{}]
    broken = [
        {name: Fraction(sample) * (7 + i) / 7 for i, name in enumerate(free)} for sample in _BROKEN
    ]
    whole = [{name: Fraction(start + 3 * i) for i, name in enumerate(free)} for start in _WHOLE]
    mixed = [
        {name: Fraction(sign * (-1) ** i * (5 + 2 * i), 6) for i, name in enumerate(free)}
        for sign in (1, -1)
    ]
    return broken + whole + mixed + _about_bends(free, trees)


_GRID = sorted(
    sign * size * Fraction(1013, 1000)
    for sign in (-1, 1)
    for size in (
        *(Fraction(2 * k + 1, 2) for k in range(10)),
        *map(Fraction, (16, 24, 40, 90, 400)),
    )
)
_MOST_BENDS = 8
_BROKEN_FUNCTIONS = ("abs", "ln", "log", "plainlog", "lg", "logbase", "arcsin", "arccos")


def _about_bends(free: list[str], trees: tuple[Tree, ...]) -> list[dict[str, Value]]:
    """Points on both sides of the places where an argument of the trees changes its sign."""
    found_bends = (bend for tree in trees for bend in _bends(tree) if bend[0] != "var")
    bends = list(dict.fromkeys(found_bends))[:_MOST_BENDS]
    found = []
    for name in free[:3] if bends else ():
        others = {other: Fraction(1009 * (i + 5), 3000) for i, other in enumerate(free)}
        places: set[Fraction] = set()
        roots = []
        for bend in bends:
            signs = [_sign(bend, {**others, name: place}) for place in _GRID]
            for (low, one), (high, two) in zip(
                zip(_GRID, signs, strict=True), zip(_GRID[1:], signs[1:], strict=True), strict=False
            ):
                if one != two:
                    places |= {low, high}
            roots += _root(bend, others, name)
        roots.sort()
        places |= {(low + high) / 2 for low, high in zip(roots, roots[1:], strict=False)}
        places |= {root + step for root in roots[:1] + roots[-1:] for step in (-1, 1)}
        found += [{**others, name: place} for place in sorted(places)[:40]]
    return found


def _bends(tree: Tree) -> Iterator[Tree]:
    """Arguments whose sign matters."""
    if tree[0] == "fn" and tree[1] in _BROKEN_FUNCTIONS:
        yield tree[2]
    if tree[0] == "fn" and tree[1] in ("max", "min"):
        yield from (("+", tree[2], ("neg", one)) for one in tree[3:])
    if tree[0] == "root" or (tree[0] == "^" and not _is_whole(tree[2])):
        yield tree[1]
    for part in tree[1:]:
        if isinstance(part, tuple):
            yield from _bends(part)


def _is_whole(tree: Tree) -> bool:
    value = exact(tree)
    return value is not None and value.denominator == 1


def _sign(tree: Tree, point: dict[str, Value]) -> int | None:
    try:
        value = as_mpmath(Evaluation(point, True, digits=15).of(tree))
        return int(mp.sign(mp.re(value)))
    except (ArithmeticError, ValueError, RecursionError):
        return None


def _root(tree: Tree, others: dict[str, Value], name: str) -> list[Fraction]:
    """Where a tree that is linear in one variable is zero."""
    try:
        low, high = (
            Evaluation({**others, name: Fraction(at)}, exact=True).of(tree) for at in (0, 1)
        )
    except (ArithmeticError, ValueError, RecursionError):
        return []
    return [-low / (high - low)] if high != low else []


DOMAIN = "domain"


def _differ(one: Tree, other: Tree, point: dict[str, Value], real: bool) -> bool | str | None:
    """Whether two trees differ at a point; DOMAIN if only one has a value; None if it is not known.

    The digits are twice what the sizes met on the way span, so that a difference as small as the
    smallest number beside the largest is seen.
    """
    digits = 2 * GUARD
    for _ in range(3):
        with mp.workdps(digits):
            evaluation = Evaluation(point, real, digits=digits)
            first, second = (value_at(evaluation, tree) for tree in (one, other))
            if first is None or second is None:
                return None
            if first is DOMAIN or second is DOMAIN:
                return None if first is second else DOMAIN
            needed = 2 * evaluation.span + 2 * GUARD
            if needed > _MOST_DIGITS or not mp.isfinite(first - second):
                return None
            if needed <= digits:
                size = max(abs(first), abs(second))
                return bool(abs(first - second) > size * mp.mpf(10) ** (10 - digits // 2))
            digits = needed
    return None


def value_at(evaluation: Evaluation, tree: Tree) -> Value | None:
    """A value; DOMAIN where it is undefined; None where it cannot be computed."""
    try:
        return as_mpmath(evaluation.of(tree))
    except Undefined:
        return DOMAIN
    except (ArithmeticError, ValueError, RecursionError):
        return None
