r"""Parses an answer into what it says: a value, a list, a tuple, an interval, an equation, words.

r1repro.rewards.notation cleans the text, r1repro.rewards.leaves reads single values and
r1repro.rewards.comparison compares. Nothing is dropped here: a name on the left side, a label, a
unit, the base of a number and the shape of a matrix stay part of the answer.
"""

import re
from dataclasses import replace
from fractions import Fraction

from r1repro.rewards.agreement import same_value
from r1repro.rewards.expressions import Tree, expression
from r1repro.rewards.leaves import (
    Group,
    Leaf,
    Node,
    grouped,
    is_rounded,
    leaf,
    significant,
    without_about,
)
from r1repro.rewards.moments import moment
from r1repro.rewards.notation import clean, compact
from r1repro.rewards.splitting import CLOSING, OPENING, closes, sides_of, split
from r1repro.rewards.tokens import GREEK, NAMED, Unreadable
from r1repro.rewards.units import compound
from r1repro.rewards.values import names

MOST_PARTS = 200
"""Parts of a list that are read."""

_AND = re.compile(
    r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or|或者?|和|以及|与|及)\s*\}|\b(?:and|or)\b|\\vee(?![a-z])"
    r"|\\wedge(?![a-z])|或者?|和|以及|与)\s*,?\s*",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\bor\b|\\vee(?![a-z])|或", re.IGNORECASE)
_FLIPPED = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}
_GREEK = rf"\\(?:{'|'.join(GREEK)})(?![A-Za-z])"
_INDEX = r"(?:\s*_\s*(?:\w|\{[^{}]*\}))?'*"
_VARIABLE = re.compile(rf"(?:[A-Za-z]|{_GREEK}){_INDEX}")
_LETTER = rf"(?:[A-Za-z]|{_GREEK}){_INDEX}"
_CALL = rf"[fghpqtvyFGHPQSTVNDLRW]{_INDEX}(?:\s*\^\s*\{{?-1\}}?)?\s*\([^()]{{1,40}}\)"
_NAME = re.compile(
    rf"{_LETTER}|{_CALL}|[A-Z]+'*|(?:m\s*)?\\(?:angle|triangle)\s*[A-Z\d]+|\|\s*[A-Z]{{2}}\s*\|"
    r"|\\(?:overline|overrightarrow|vec|bar|hat|widehat|Delta)\s*\{?\s*[A-Za-z]+\s*\}?"
    rf"|[A-Z]\s*\\(?:cup|cap)\s*[A-Z]|\(\s*(?:{_CALL}|{_LETTER})(?:\s*,\s*(?:{_CALL}|{_LETTER}))+\s*\)"
    r"|(?:\\text\s*\{\s*)?[A-Za-z][a-z]{2,}(?: [A-Za-z]+)*\s*\}?"
)
_APPLIED = re.compile(r"[A-Za-z]'*\s*\(\s*([a-z])\s*\)")
_LABEL = re.compile(
    r"(?:\\text\s*\{\s*)?([A-Za-z][A-Za-z' ]{0,40}|[\u4e00-\u9fff]{1,12})\s*\}?\s*:\s*\}?\s*(?=\S)"
)
_CHANGING = re.compile(
    r"\b(?:not|no|half|twice|least|most|more|less|than|between|wrong|never|either|neither)\b", re.I
)
_BUILDER = re.compile(r"\\\{\s*[A-Za-z](?:\s*\\in\s*[^|:]+)?\s*(?:\||:)\s*(.*?)\s*\\\}", re.DOTALL)
_MATRIX = re.compile(
    r"(?P<before>.*?)(?:[(\[]\s*)?\\begin\s*\{(?P<kind>[pbBv]?matrix|smallmatrix|array)\}"
    r"(?:\s*\{[^{}]*\})?(?P<rows>.*?)\\end\s*\{(?P=kind)\}(?:\s*[)\]])?",
    re.DOTALL,
)
_RANGE = re.compile(r"(\d{1,30}(?:\.\d{1,30})?)\s*-\s*(\d{1,30}(?:\.\d{1,30})?)")
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![A-Za-z])")
_ALL = (r"\mathbb{R}", r"\mathbb R", r"\text{all real numbers}", "all real numbers", r"\text{R}")


def parse(answer: str) -> Node:
    """What an answer says, as a tree of groups and leaves."""
    return read(clean(answer))


def calculates(text: str) -> bool:
    """Whether a cleaned text has to be computed to be read, such as 30 + 7 = 37."""
    sides, signs = sides_of(text)
    equals = text.count("=") + text.count(r"\approx")
    return equals > 1 or (bool(equals) and not (len(signs) == 1 and _is_name(sides[0])))


def plain(answer: str) -> str:
    """The answer in one notation, without its unit: a key that equal answers mostly share."""
    text = clean(answer)
    one = _known(text) or leaf(text)
    if one.tree is not None and one.tree[0] == "num" and one.base is None:
        return str(one.tree[1] * one.scale)
    return compact(text)


def read(text: str) -> Node:
    """`parse` of a cleaned text."""
    text = without_about(text.strip().strip(",;").strip())
    if (known := _known(text)) is not None:
        return known
    while text.startswith("{") and closes(text) == len(text) - 1 and len(split(text[1:-1])) == 1:
        text = text[1:-1].strip()
    if text in (r"\emptyset", "{}", r"\{\}", r"\{ \}", "{ }"):
        return Group("{}", ())
    if text in _ALL:
        return Group("()", (leaf(r"-\infty"), leaf(r"\infty")))
    if built := _BUILDER.fullmatch(text):
        text = built[1]
    matrix = _matrix(text)
    if matrix is not None:
        return matrix
    listed = _list(text)
    if listed is not None:
        return listed
    bracketed = _bracketed(text)
    if bracketed is not None:
        return bracketed
    return _relation(text)


def _known(text: str) -> Leaf | None:
    """A date, a time, a range or a quantity in several units; None for anything else."""
    if said := moment(text):
        return Leaf(said)
    span = _RANGE.fullmatch(text)
    if span is not None and Fraction(span[1]) < Fraction(span[2]):
        return Leaf(text)
    quantity = compound(text)
    return quantity and Leaf(text, ("num", quantity[0]), unit=quantity[1])


def _list(text: str) -> Node | None:
    """A list, a union or both values of a plus-minus; None for a single thing."""
    joined = _AND.sub(lambda found: _joint(found, text), text)
    named = "=" in sides_of(text)[1]
    inequality = re.search(r"[<>]|\\[lg]eq|\\neq", text) is not None
    if inequality and (r"\wedge" in text or re.search(r"\band\b", text, re.I)):
        return Leaf(text)
    for sign in (";", ",", r"\cup")[: 2 if named else 3]:
        parts = split(joined, sign, sign == "," and not set("([") & set(text))
        if len(parts) > MOST_PARTS:
            return Leaf(text)
        if len(parts) > 1:
            if inequality and sign == "," and joined == text and not _distinct(parts):
                return Leaf(text)
            return _listed(_once(parts) if sign == "," and _EITHER.search(text) else parts)
    if len(pairs := re.findall(r"\([^()]*,[^()]*\)", text)) > 1 and not re.sub(
        r"\([^()]*,[^()]*\)|\s", "", text
    ):
        return _listed(pairs)
    both = _both(text)
    return None if both is None else _listed(both)


def _once(parts: list[str]) -> list[str]:
    """The parts without repetitions: "6 or 6" is 6."""
    return list({compact(part): part for part in parts}.values())


def _joint(found: re.Match[str], text: str) -> str:
    """A comma for "and" and "or" between things; none between nouns, as in apples and pears."""
    after = re.match(r"\\?[A-Za-z]{3,}(?: [A-Za-z]+)*\s*\}?\s*(?:$|,)", text[found.end() :])
    before = re.search(r"\d\s*(?:\\text\s*\{\s*)?[A-Za-z]{3,}\s*$", text[: found.start()])
    return found[0] if after and before else ", "


def _distinct(parts: list[str]) -> bool:
    """Whether inequalities are about different variables."""
    about = [found[0] for part in parts if (found := re.search(r"(?<![\\A-Za-z])[A-Za-z]", part))]
    return len(set(about)) == len(parts)


def _listed(parts: list[str]) -> Node:
    found: list[Node] = []
    for part in parts:
        both = _both(part)
        found += [read(one) for one in (both or [part])]
    nodes = tuple(found)
    first = nodes[0] if nodes else None
    if isinstance(first, Leaf) and re.fullmatch("[A-Za-z]", first.name) and first.equation:
        # a = -3, 4 names both
        bare = [isinstance(n, Leaf) and not n.name and n.tree and not names(n.tree) for n in nodes]
        if all(bare[1:]):
            nodes = tuple(replace(n, name=first.name) for n in nodes if isinstance(n, Leaf))
    nodes = tuple(
        inner
        for node in nodes
        for inner in (node.parts if isinstance(node, Group) and node.kind == "{}" else (node,))
    )
    return nodes[0] if len(nodes) == 1 else Group("", nodes)


def _both(text: str) -> list[str] | None:
    """Both readings of a plus-minus sign; None without one, or where signs may be independent."""
    signs = _PLUS_MINUS.findall(text)
    if not signs or (len(signs) > 1 and "mp" not in signs) or len(split(text)) > 1:
        return None
    if text.startswith(("{", r"\{")):
        return None
    first = _PLUS_MINUS.sub(lambda found: "+" if found[1] == "pm" else "-", text)
    return [first, _PLUS_MINUS.sub(lambda found: "-" if found[1] == "pm" else "+", text)]


def _bracketed(text: str) -> Node | None:
    """A set, tuple or interval, perhaps with a name before it; None for anything else."""
    named = re.match(r"[A-Z]'*(?:_\w)?\s*(?=\()", text)
    body = text[named.end() :] if named else text
    if body.startswith(r"\{") and body.endswith(r"\}") and r"\}" not in body[2:-2]:
        return _set(split(body[2:-2]))
    if body.startswith("]") or body.endswith("["):  # ]2, 5[ is (2, 5)
        turned = {"]": "(", "[": ")"}
        body = (turned["]"] if body[0] == "]" else body[0]) + body[1:]
        body = body[:-1] + (turned["["] if body[-1] == "[" else body[-1])
    if len(body) < 2 or body[0] not in OPENING or body[-1] not in CLOSING:
        return None
    if closes(body) != len(body) - 1:
        return None
    kind, inside = body[0] + body[-1], grouped(body[1:-1], inside=True)
    parts = split(inside, ";") if len(split(inside, ";")) > 1 else split(inside)
    if kind == "{}":
        return _set(parts)
    if len(parts) < 2 or len(parts) > MOST_PARTS:
        return read(inside) if kind == "()" and not named and parts else None
    nodes = tuple(map(read, parts))
    rows = [replace(n, kind="()") for n in nodes if isinstance(n, Group) and n.kind in ("[]", "()")]
    if kind == "[]" and len(rows) == len(nodes) and len({len(row.parts) for row in rows}) == 1:
        return Group("matrix", tuple(rows))
    return Group(kind, nodes, named[0].strip() if named else "")


def _set(parts: list[str]) -> Node:
    nodes: list[Node] = []
    for part in _once(parts):
        nodes += [read(one) for one in (_both(part) or [part])]
    return nodes[0] if len(nodes) == 1 else Group("{}", tuple(nodes))


def _matrix(text: str) -> Node | None:
    """A matrix, perhaps with a factor or a name before it; a determinant is left to be unread."""
    found = _MATRIX.fullmatch(text)
    if found is None or found["kind"] == "vmatrix":
        return None
    before, factor = found["before"].strip(), None
    if before.endswith("="):
        before = ""
    if before:
        factor = leaf(before).tree
        if factor is None:
            return None
    rows = [split(row, "&") for row in re.split(r"\\cr(?![a-z])", found["rows"]) if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > MOST_PARTS:
        return Leaf(text)
    nodes = [[leaf(cell) for cell in row] for row in rows]
    if factor is not None:
        nodes = [
            [replace(cell, tree=cell.tree and ("*", factor, cell.tree)) for cell in row]
            for row in nodes
        ]
    return Group("matrix", tuple(Group("()", tuple(row)) for row in nodes))


def _relation(text: str) -> Node:
    """An equation, an inequality as an interval, or a single value."""
    sides, signs = sides_of(text)
    if signs and not sides[0] and signs[0] == r"\approx":
        sides, signs = sides[1:], signs[1:]
    if not signs:
        return _labelled(sides[0] if len(sides) == 1 else text)
    if not all(sides):
        return Leaf(text)
    if set(signs) <= {"=", r"\approx"}:
        return _equation(text, sides, signs)
    if signs == [r"\in"] and _is_name(sides[0]):
        return _named(read(sides[1]), _short(sides[0]))
    if signs == [r"\neq"] and _VARIABLE.fullmatch(sides[0]):
        end, rays = read(sides[1]), (leaf(r"-\infty"), leaf(r"\infty"))
        return Group("", (Group("()", (rays[0], end)), Group("()", (end, rays[1]))))
    interval = _interval(sides, signs)
    return Leaf(text) if interval is None else interval


def _interval(sides: list[str], signs: list[str]) -> Node | None:
    """An inequality of one variable as an interval; None for anything else."""
    middle = [i for i, side in enumerate(sides) if _VARIABLE.fullmatch(side)]
    if len(middle) != 1 or len(sides) > 3 or not set(signs) <= set(_FLIPPED):
        return None
    about, low, high = sides[middle[0]], "", ""
    kinds = {"low": "(", "high": ")"}
    for i, sign in enumerate(signs):
        if len(sides) == 3 and middle[0] != 1:
            return None
        left = i < middle[0]
        toward = sign if left else _FLIPPED[sign]  # end, sign, variable
        end = sides[i] if left else sides[i + 1]
        if toward in ("<", r"\leq"):
            if low:
                return None
            low, kinds["low"] = end, "(" if toward == "<" else "["
        else:
            if high:
                return None
            high, kinds["high"] = end, ")" if toward == ">" else "]"
    ends = (leaf(low or r"-\infty"), leaf(high or r"\infty"))
    return Group(kinds["low"] + kinds["high"], ends, _short(about))


def _equation(text: str, sides: list[str], signs: list[str]) -> Node:
    about = [i for i, side in enumerate(sides) if _is_name(side)]
    if len(sides) == 2 and about == [1]:
        sides, about = sides[::-1], [0]
    named = bool(about) and about[0] == 0
    leading = next((i for i, side in enumerate(sides) if i not in about), len(sides) - 1)
    rest = sides[leading:] if named else sides
    first = read(rest[0])
    if len(rest) > 1 and not _all_equal(rest, signs[-(len(rest) - 1) :]):
        return Leaf(text, equation=_trees(sides) if len(sides) == 2 else None)
    if not named:
        return first if len(rest) > 1 else Leaf(text)
    name, argument = _short(sides[0]), _APPLIED.fullmatch(sides[0])
    if argument and isinstance(first, Leaf) and first.tree:
        first = replace(first, tree=_renamed(first.tree, argument[1]))
    if isinstance(first, Leaf):
        first = replace(first, equation=_trees([sides[0], rest[0]]))
    return _named(first, name)


def _all_equal(sides: list[str], signs: list[str]) -> bool:
    """Whether the sides of a calculation such as 30 + 7 = 37, or of an identity, are equal."""
    leaves = [leaf(side) for side in sides]
    if any(one.tree is None for one in leaves):
        return False
    for sign, one, other in zip(signs, leaves, leaves[1:], strict=False):
        assert one.tree and other.tree
        if sign == "=" and not same_value(one.tree, other.tree):
            return False
        if sign != "=" and not (is_rounded(one.tree, other) and significant(other) > 1):
            return False
    return True


def _labelled(text: str) -> Node:
    """A value with a label before it, such as Area: 5, or a ratio of three or more."""
    parts = split(text, ":") if text.count(":") > 1 else []
    if len(parts) > 2:
        first, *_ = terms = [leaf(part).tree for part in parts]
        if not first or not all(terms):
            return Leaf(text)
        return Group(":", tuple(Leaf("", ("/", term, first)) for term in terms[1:] if term))
    found = _LABEL.match(text)
    if found is None:
        return leaf(text)
    if _CHANGING.search(found[1]):
        return Leaf(text)
    name = found[1].strip()
    return _named(read(text[found.end() :]), name if len(name) == 1 else name.casefold())


def _named(node: Node, name: str) -> Node:
    return replace(node, name=name)


def _is_name(side: str) -> bool:
    """Whether the left side of an equation only names its value, and is no expression."""
    if _NAME.fullmatch(side) is None or side.strip() in ("e", "i", r"\pi"):
        return False
    words = re.findall(r"[A-Za-z]{3,}", side)
    if _CHANGING.search(side) or any(
        word.casefold() in NAMED for word in words if "\\" + word not in side
    ):
        return False
    letters = set(side) if re.fullmatch("[a-z]{3,}", side) else set()
    return not letters or (not letters <= set("abcd") and bool(letters & set("aeiou")))


def _short(side: str) -> str:
    """A name to compare: of f(x) its f."""
    applied = _APPLIED.fullmatch(side)
    text = compact(re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", side))
    return text.partition("(")[0] if applied else text


def _trees(sides: list[str]) -> tuple[Tree, Tree] | None:
    try:
        return expression(sides[0]), expression(sides[1])
    except Unreadable:
        return None


def _renamed(tree: Tree, letter: str) -> Tree:
    """The tree with one variable named x, so that f(t) = 2t equals f(x) = 2x."""
    if tree == ("var", letter):
        return ("var", "x")
    if tree[0] == "var":
        return tree
    return (tree[0], *(_renamed(p, letter) if isinstance(p, tuple) else p for p in tree[1:]))
