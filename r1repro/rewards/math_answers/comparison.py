"""Compares a gold answer with another one by what they say.

An answer is equal, different, rounded or in doubt. In doubt is one that cannot be read as a whole,
or whose form leaves open whether it is the gold one. Only equal answers are right; the lenient
score counts rounded ones too. A rounded value is equal where the question asks for rounding, where
the gold answer is a decimal and the answer a simple fraction that no decimal can give exactly, or
where it has as many digits as a machine prints. Digits without a base and a number without a
percent sign are right where the question asks for that base or percentage.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from r1repro.rewards.math_answers import questions
from r1repro.rewards.math_answers.agreement import same_equation, same_value
from r1repro.rewards.math_answers.expressions import Tree
from r1repro.rewards.math_answers.labels import clash
from r1repro.rewards.math_answers.leaves import (
    MACHINE_DIGITS,
    Group,
    Leaf,
    Node,
    decimals,
    is_printed,
    is_rounded,
    same_text,
    significant,
    words_of,
)
from r1repro.rewards.math_answers.notation import clean
from r1repro.rewards.math_answers.parsing import calculates, read
from r1repro.rewards.math_answers.units import Unit
from r1repro.rewards.math_answers.values import exact, names

EQUAL, ROUNDED, DOUBT, DIFFERENT = "equal", "rounded", "in doubt", "different"
RESULTS = (EQUAL, ROUNDED, DOUBT, DIFFERENT)

_CHOICE = re.compile(
    r"(?:(?:option|choice|answer)\s+|(?:选|选项|选择|答案)\s*:?\s*)?(?:\(\s*([A-Ja-j])\s*\)|([A-Ja-j])(?=\s*[.):]|\s*$))"
    r"\s*[.):]?\s*(?P<rest>.*)",
    re.DOTALL | re.IGNORECASE,
)
_OTHER_CHOICE = re.compile(
    r"\([A-J]\)|\b[A-J]\s*[.):]|\b(?i:or|and|not|maybe|perhaps)\b.*\b[A-J]\b|[或和]\s*[A-J]"
    r"|^\s*(?:is|was|isn't|cannot|can't|must)\b"
)
_PERCENT = (("%", 1),)
_TRUTH = re.compile(r"\b(?:yes|no|true|false)\b")
_SEVERAL = re.compile(r"[A-J](?:(?:\s*,\s*|\s*(?:\\text\{\s*)?and\s*\}?\s*|\s*)[A-J])+")


class Undecided(Exception):
    """The values are not rational numbers and have to be computed."""


def compare(gold: str, answer: str, question: str | None = None, quick: bool = False) -> str:
    """One of RESULTS.

    question: without it no rounding is asked for, and digits may lack a base or a percent sign,
        since most questions say which is meant.
    quick: raise Undecided rather than compute what is not rational.
    """
    one, other = clean(gold), clean(answer)
    if not other:
        return DIFFERENT
    if same_text(one, other):
        return EQUAL
    if chosen := _choices(one, other):
        return chosen
    if _are_words(one, other):
        return DIFFERENT
    if quick and (calculates(one) or calculates(other)):
        raise Undecided
    return _Comparison(question, quick).nodes(read(one), read(other))


def _are_words(one: str, other: str) -> bool:
    """Whether two texts that differ are words, or names of points, and no lists of names."""
    words = [words_of(text) for text in (one, other)]
    if all(re.search(r"\band\b", text) and not _TRUTH.search(text) for text in words):
        return False
    names = r"[^\W\d_]+(?:\s[^\W\d_]+)*" if any(words) else "[A-Z]{3,}"
    return all(words) or all(re.fullmatch(names, text) for text in (one, other))


def _choices(gold: str, answer: str) -> str | None:
    """The verdict on a multiple-choice question; None if the gold answer is no choice."""
    gold, answer = (re.sub(r"\{(\([A-J]\))\}", r"\1", text) for text in (gold, answer))
    several = re.fullmatch("[A-J]{2,6}", gold)
    if several and list(gold) == sorted(set(gold)):
        if not _SEVERAL.fullmatch(answer):
            return None
        said = sorted(re.findall(r"(?<![a-z{])[A-J]", answer))
        return EQUAL if said == list(gold) else DIFFERENT
    found = _CHOICE.fullmatch(gold)
    if found is None or (found["rest"] and not gold.startswith("(")):
        return None
    if (found[2] or "").islower():  # a variable
        return None
    other = _CHOICE.fullmatch(re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", answer).strip())
    if other is None:
        return None
    if _OTHER_CHOICE.search(other["rest"]):
        return DOUBT
    same = (found[1] or found[2]).upper() == (other[1] or other[2]).upper()
    return EQUAL if same else DIFFERENT


def _worst(results: Sequence[str]) -> str:
    return max(results, key=RESULTS.index, default=EQUAL)


class _Comparison:
    """One comparison; question, quick: as of `compare`."""

    def __init__(self, question: str | None, quick: bool) -> None:
        self.question, self.quick = question or None, quick

    def nodes(self, gold: Node, answer: Node) -> str:
        """The result of any two nodes."""
        if isinstance(gold, Leaf) and isinstance(answer, Leaf):
            return self.named_leaves(gold, answer)
        if isinstance(gold, Group) and isinstance(answer, Group):
            return self.groups(gold, answer)
        group, leaf = (gold, answer) if isinstance(gold, Group) else (answer, gold)
        assert isinstance(group, Group) and isinstance(leaf, Leaf)
        if group.kind == "()" and group.name == "C" and len(group.parts) == 2:
            low, high = group.parts
            if isinstance(low, Leaf) and isinstance(high, Leaf) and low.tree and high.tree:
                chosen = Leaf("", ("fn", "binom", low.tree, high.tree))
                return self.leaves(chosen, leaf)
        return DOUBT if leaf.tree is None else DIFFERENT

    def groups(self, gold: Group, answer: Group) -> str:
        kinds = {gold.kind, answer.kind}
        if clash(gold.name, answer.name):
            return DOUBT
        if kinds <= {"", "{}"}:
            return self.listed(gold, answer, sets="{}" in kinds)
        if kinds == {"", "()"}:
            return self.tuple_and_list(gold, answer)
        if kinds == {"matrix", "()"}:
            return self.ordered(_vector(gold), _vector(answer))
        return self.ordered(gold.parts, answer.parts) if len(kinds) == 1 else DIFFERENT

    def ordered(self, gold: Sequence[Node], answer: Sequence[Node]) -> str:
        if len(gold) != len(answer):
            return DIFFERENT
        return _worst([self.nodes(*pair) for pair in zip(gold, answer, strict=True)])

    def listed(self, gold: Group, answer: Group, sets: bool) -> str:
        """Lists and sets in any order; labelled parts with the part of the same label."""
        ones, others = list(gold.parts), list(answer.parts)
        if sets:
            ones, others = self.distinct(ones), self.distinct(others)
        if len(ones) != len(others):
            return DIFFERENT
        labels, said = _labels(ones), _labels(others)
        told = [len(set(names)) > 1 for names in (labels, said)]
        if not any(told):
            return self.matched(ones, others)
        if all(told) and all(labels) and all(said):
            if sorted(labels) != sorted(said):
                return DOUBT if self.matched(ones, others) == EQUAL else DIFFERENT
            if len(set(labels)) < len(labels):
                return DOUBT
            return self.ordered(ones, [others[said.index(label)] for label in labels])
        in_order = self.ordered(ones, others)
        if in_order in (EQUAL, ROUNDED):
            return in_order
        return DOUBT if self.matched(ones, others) in (EQUAL, DOUBT) else DIFFERENT

    def matched(self, ones: Sequence[Node], others: Sequence[Node]) -> str:
        """The result of two lists in any order."""
        if len(ones) != len(others):
            return DIFFERENT
        left, results = [_bare(other) for other in others], []
        for one in map(_bare, ones):
            found = [self.nodes(one, other) for other in left]
            results.append(min(found, key=RESULTS.index, default=DIFFERENT))
            if found:
                del left[found.index(results[-1])]
        return _worst(results)

    def distinct(self, parts: Sequence[Node]) -> list[Node]:
        kept: list[Node] = []
        for part in parts:
            if not any(self.nodes(part, other) == EQUAL for other in kept):
                kept.append(part)
        return kept

    def tuple_and_list(self, gold: Group, answer: Group) -> str:
        """(1, 2) against "1, 2" or x = 1, y = 2: in order, named values in that of their names.

        Two values without names may be two roots or the ends of an interval, which leaves a doubt.
        """
        pair, named = [], False
        for one in (gold, answer):
            labels, parts = _labels(one.parts), list(map(_bare, one.parts))
            letters = one.kind == "" and all(re.fullmatch("[a-z]", label) for label in labels)
            if letters and len(set(labels)) == len(labels):
                parts, named = [parts[labels.index(label)] for label in sorted(labels)], True
            pair.append(parts)
        result = self.ordered(*pair)
        if named:
            return result
        if result in (EQUAL, ROUNDED):
            return result if len(pair[0]) > 2 else DOUBT
        return DOUBT if self.matched(*pair) == EQUAL else result

    def named_leaves(self, gold: Leaf, answer: Leaf) -> str:
        """Two values with the names they were given."""
        result = self.leaves(gold, answer)
        if gold.tree is None and answer.tree is None:
            both = result != EQUAL and gold.equation and answer.equation
            return self.equations(gold, answer) if both else result
        if result in (EQUAL, ROUNDED) and clash(gold.name, answer.name):
            return DOUBT
        if result not in (EQUAL, ROUNDED) and gold.equation and answer.equation:
            return self.equations(gold, answer)
        named, bare = (gold, answer) if gold.name else (answer, gold)
        if result == DIFFERENT and named.equation and bare.tree and not bare.name:
            own = replace(named, tree=named.equation[1], equation=None)  # h(t) = t^2 and t^2
            result = self.leaves(own, bare) if named is gold else self.leaves(bare, own)
        if result == DOUBT and gold.equation and answer.tree and not answer.name:
            return self.equations(gold, replace(answer, equation=(("var", "y"), answer.tree)))
        return result

    def equations(self, gold: Leaf, answer: Leaf) -> str:
        assert gold.equation and answer.equation
        if self.quick:
            raise Undecided
        same = same_equation(gold.equation, answer.equation)
        return DOUBT if same is None else EQUAL if same else DIFFERENT

    def leaves(self, gold: Leaf, answer: Leaf) -> str:
        """Two values with their units and bases, whatever their names."""
        if gold.tree is None or answer.tree is None:
            return EQUAL if same_text(gold.text, answer.text) else DOUBT
        if gold.base or answer.base:
            return self.in_bases(gold, answer)
        scales = _scales(gold, answer)
        if scales is None:
            return DOUBT
        results = [self.values(gold, answer, *pair) for pair in scales]
        if self.question is not None and not questions.asks_for_percentage(self.question):
            percent = [leaf.unit and leaf.unit.dimensions == _PERCENT for leaf in (gold, answer)]
            if results[0] in (EQUAL, ROUNDED) and bool(percent[0]) != bool(percent[1]):
                results[0] = DOUBT  # 50 for 50 %
        return min(results, key=RESULTS.index)

    def in_bases(self, gold: Leaf, answer: Leaf) -> str:
        """Numerals with a base: the same digits, in the same base where both say one.

        Without a base they are in base ten, unless the question asks for the other's.
        """
        if gold.base and answer.base:
            return EQUAL if (gold.text, gold.base) == (answer.text, answer.base) else DIFFERENT
        based, bare = (gold, answer) if gold.base else (answer, gold)
        if based.text != (bare.text.strip().lstrip("0").upper() or "0"):
            return DIFFERENT
        assert based.tree and bare.tree and based.base
        asked = questions.asks_for_base(self.question, based.base)
        if not gold.base and questions.asks_for_base_ten(self.question):
            asked = False  # 202_5 for 202: the question names the base that it comes from
        meant = exact(based.tree) == exact(bare.tree) or asked
        return EQUAL if meant or (self.question is None and gold.base) else DOUBT

    def values(self, gold: Leaf, answer: Leaf, one: "Size", other: "Size") -> str:
        assert gold.tree and answer.tree
        trees = [_times(gold.tree, one), _times(answer.tree, other)]
        known = [exact(tree) for tree in trees]
        if self.quick and None in known:
            raise Undecided
        same = same_value(*trees) if None in known else known[0] == known[1]
        if same:
            return EQUAL
        if names(trees[0]) or names(trees[1]):
            return DOUBT if same is None else DIFFERENT
        if decimals(gold) is None and is_rounded(trees[0], answer, other[0]):
            if significant(answer) >= MACHINE_DIGITS:
                return EQUAL
            coarse = (decimals(answer) or 0) < 2 or significant(answer) < 2
            if coarse:
                return DIFFERENT
            return EQUAL if questions.asks_for_rounding(self.question) else ROUNDED
        if decimals(answer) is None and is_rounded(trees[1], gold, one[0]):
            meant = is_printed(gold, trees[1]) or questions.asks_for_rounding(self.question)
            return EQUAL if meant else ROUNDED
        return DOUBT if same is None else DIFFERENT


Size = tuple[Fraction, bool]
"""A factor, and whether pi belongs to it."""


def _times(tree: Tree, size: Size) -> Tree:
    factor, with_pi = size
    if with_pi:
        tree = ("*", tree, ("const", "pi"))
    return tree if factor == 1 else ("*", tree, ("num", factor))


def _scales(gold: Leaf, answer: Leaf) -> list[tuple[Size, Size]] | None:
    """Factors of both sides under which they may be equal; None where units leave a doubt.

    Two units compare with their factors. A unit on one side only does not count, but percentages,
    degrees and cents may be meant.
    """
    one, other = gold.unit or Unit(), answer.unit or Unit()
    sizes: tuple[Size, Size] = (gold.scale, False), (answer.scale, False)
    if one.noun and other.noun:
        nouns = set(one.noun.split()), set(other.noun.split())
        return [sizes] if nouns[0] <= nouns[1] or nouns[1] <= nouns[0] else None
    if one.dimensions and other.dimensions:
        if one.dimensions != other.dimensions:
            return None
        return [((gold.scale * one.factor, False), (answer.scale * other.factor, False))]
    found = [sizes]
    if also := _also(one, gold.scale):
        found.append((also, sizes[1]))
    if also := _also(other, answer.scale):
        found.append((sizes[0], also))
    return found


def _also(unit: Unit, scale: Fraction) -> Size | None:
    """The other reading of a number with a unit: a percentage, an angle in radians, cents."""
    if unit.dimensions == _PERCENT:
        return scale / 100, False
    if unit.dimensions == (("degree", 1),):
        return scale / 180, True
    if unit.dimensions == (("USD", 1),) and unit.factor != 1:
        return scale * unit.factor, False
    return None


def _vector(group: Group) -> Sequence[Node]:
    """The parts of a tuple, or of a matrix of one row or column; none of another matrix."""
    rows = [row.parts for row in group.parts if isinstance(row, Group)]
    if group.kind == "()":
        return group.parts
    if len(rows) == 1:
        return rows[0]
    return [row[0] for row in rows] if all(len(row) == 1 for row in rows) else ()


def _labels(parts: Sequence[Node]) -> list[str]:
    """Names, nouns or units of the parts, "" without; roots x_1 and x_2 share one."""
    labels = []
    for part in parts:
        unit = part.unit if isinstance(part, Leaf) else None
        known = unit.noun or str(unit.dimensions + (unit.factor,)) if unit else ""
        labels.append(re.sub(r"^x_?\d$", "x", part.name) or known)
    return labels


def _bare(part: Node) -> Node:
    """The part without its name and noun."""
    if isinstance(part, Leaf) and part.unit is not None and part.unit.noun:
        return replace(part, name="", unit=None)
    return replace(part, name="")
