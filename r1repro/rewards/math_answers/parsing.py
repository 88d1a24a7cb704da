r"""Parses an answer into what it says: a value, a list, a tuple, an interval, an equation, words.

notation.py cleans the text, leaves.py reads single values and comparison.py compares. Nothing is
dropped here: names, labels, units, bases and the shape of a matrix stay part of the answer.
"""

import re
from dataclasses import replace
from fractions import Fraction

from r1repro.rewards.math_answers.agreement import same_value
from r1repro.rewards.math_answers.dates import moment
from r1repro.rewards.math_answers.expressions import Tree, expression
from r1repro.rewards.math_answers.leaves import (
    Group,
    Leaf,
    Node,
    grouped,
    is_rounded,
    leaf,
    significant,
    without_about,
)
from r1repro.rewards.math_answers.lexer import GREEK, NAMED, Unreadable
from r1repro.rewards.math_answers.notation import clean, compact
from r1repro.rewards.math_answers.splitting import CLOSING, OPENING, closes, sides_of, split
from r1repro.rewards.math_answers.units import compound
from r1repro.rewards.math_answers.values import names

MOST_PARTS = 200
"""Parts of a list that are read."""

_AND = re.compile(
    r"\s*,?\s*(?:\\text\s*\{\s*(?:and|or|或者?|和|以及|与|及)\s*\}|\b(?:and|or)\b|\\vee(?![a-z])"
    r"|\\wedge(?![a-z])|或者?|和|以及|与)\s*,?\s*",
    re.IGNORECASE,
)
_EITHER = re.compile(r"\bor\b|\\vee(?![a-z])|或", re.IGNORECASE)
_FLIPPED = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}
_BRACKETS = {"<": "(", r"\leq": "[", ">": ")", r"\geq": "]"}
_GREEK = rf"\\(?:{'|'.join(GREEK)})(?![A-Za-z])"
_INDEX = r"(?:\s*_\s*(?:\w|\{[^{}]*\}))?'*"
_LETTER = rf"(?:[A-Za-z]|{_GREEK}){_INDEX}"
_VARIABLE = re.compile(_LETTER)
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
_PAIR = re.compile(r"\([^()]*,[^()]*\)")
_ALL = (r"\mathbb{R}", r"\mathbb R", r"\text{all real numbers}", "all real numbers", r"\text{R}")


def calculates(text: str) -> bool:
    """Whether a cleaned text has to be computed to be read, such as 30 + 7 = 37."""
    sides, signs = sides_of(text)
    equals = text.count("=") + text.count(r"\approx")
    return equals > 1 or (equals == 1 and not (len(signs) == 1 and _is_name(sides[0])))


def plain(answer: str) -> str:
    """The answer in one notation, without its unit: a key that most equal answers share."""
    text = clean(answer)
    one = _known(text) or leaf(text)
    if one.tree is not None and one.tree[0] == "num" and one.base is None:
        return str(one.tree[1] * one.scale)
    return compact(text)


def read(text: str) -> Node:
    """What a cleaned answer says, as a tree of groups and leaves."""
    text = without_about(text.strip().strip(",;").strip())
    if known := _known(text):
        return known
    while text.startswith("{") and closes(text) == len(text) - 1 and len(split(text[1:-1])) == 1:
        text = text[1:-1].strip()
    if text in (r"\emptyset", "{}", r"\{\}", r"\{ \}", "{ }"):
        return Group("{}", ())
    if text in _ALL:
        return Group("()", (leaf(r"-\infty"), leaf(r"\infty")))
    if built := _BUILDER.fullmatch(text):
        text = built[1]
    return _matrix(text) or _list(text) or _bracketed(text) or _relation(text)


def _known(text: str) -> Leaf | None:
    """A date, a time, a range or a quantity in several units; None for anything else."""
    if said := moment(text):
        return Leaf(said)
    span = _RANGE.fullmatch(text)
    if span and Fraction(span[1]) < Fraction(span[2]):
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
    if len(pairs := _PAIR.findall(text)) > 1 and not _PAIR.sub("", text).strip():
        return _listed(pairs)
    return _listed(both) if len(both := _both(text)) > 1 else None


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
    nodes = _nodes(parts)
    first, *others = nodes
    named = isinstance(first, Leaf) and first.equation and re.fullmatch("[A-Za-z]", first.name)
    if named and all(map(_is_bare_number, others)):  # a = -3, 4 names both
        nodes = [replace(node, name=first.name) for node in nodes]
    flat: list[Node] = []
    for node in nodes:
        flat += node.parts if isinstance(node, Group) and node.kind == "{}" else (node,)
    return flat[0] if len(flat) == 1 else Group("", tuple(flat))


def _is_bare_number(node: Node) -> bool:
    return isinstance(node, Leaf) and bool(not node.name and node.tree and not names(node.tree))


def _nodes(parts: list[str]) -> list[Node]:
    return [read(one) for part in parts for one in _both(part)]


def _both(text: str) -> list[str]:
    """Both readings of a plus-minus sign; only the text if it has none, or if signs may differ."""
    signs = _PLUS_MINUS.findall(text)
    if not signs or (len(signs) > 1 and "mp" not in signs) or len(split(text)) > 1:
        return [text]
    if text.startswith(("{", r"\{")):
        return [text]
    upper = _PLUS_MINUS.sub(lambda found: "+" if found[1] == "pm" else "-", text)
    return [upper, _PLUS_MINUS.sub(lambda found: "-" if found[1] == "pm" else "+", text)]


def _bracketed(text: str) -> Node | None:
    """A set, tuple or interval, perhaps with a name before it; None for anything else."""
    named = re.match(r"[A-Z]'*(?:_\w)?\s*(?=\()", text)
    body = text[named.end() :] if named else text
    if body.startswith(r"\{") and body.endswith(r"\}") and r"\}" not in body[2:-2]:
        return _set(split(body[2:-2]))
    if body.startswith("]"):  # ]2, 5[ is (2, 5)
        body = "(" + body[1:]
    if body.endswith("["):
        body = body[:-1] + ")"
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
    nodes = _nodes(_once(parts))
    return nodes[0] if len(nodes) == 1 else Group("{}", tuple(nodes))


def _matrix(text: str) -> Node | None:
    """A matrix, perhaps with a factor or a name before it; determinants are not read."""
    found = _MATRIX.fullmatch(text)
    if found is None or found["kind"] == "vmatrix":
        return None
    before, factor = found["before"].strip(), None
    if before and not before.endswith("="):
        factor = leaf(before).tree
        if factor is None:
            return None
    rows = [split(row, "&") for row in re.split(r"\\cr(?![a-z])", found["rows"]) if row.strip()]
    if not rows or len({len(row) for row in rows}) != 1 or len(rows) * len(rows[0]) > MOST_PARTS:
        return Leaf(text)
    cells = [[leaf(cell) for cell in row] for row in rows]
    if factor is not None:
        cells = [
            [replace(cell, tree=cell.tree and ("*", factor, cell.tree)) for cell in row]
            for row in cells
        ]
    return Group("matrix", tuple(Group("()", tuple(row)) for row in cells))


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
        return replace(read(sides[1]), name=_short(sides[0]))
    if signs == [r"\neq"] and _VARIABLE.fullmatch(sides[0]):
        end, rays = read(sides[1]), (leaf(r"-\infty"), leaf(r"\infty"))
        return Group("", (Group("()", (rays[0], end)), Group("()", (end, rays[1]))))
    return _interval(sides, signs) or Leaf(text)


def _interval(sides: list[str], signs: list[str]) -> Node | None:
    """An inequality of one variable as an interval; None for anything else."""
    about = [i for i, side in enumerate(sides) if _VARIABLE.fullmatch(side)]
    if len(about) != 1 or len(sides) > 3 or not set(signs) <= set(_FLIPPED):
        return None
    place, ends = about[0], dict[str, tuple[str, str]]()
    if len(sides) == 3 and place != 1:
        return None
    for i, sign in enumerate(signs):
        bracket = _BRACKETS[sign if i < place else _FLIPPED[sign]]  # end, sign, variable
        which = "low" if bracket in "([" else "high"
        if which in ends:
            return None
        ends[which] = bracket, sides[i] if i < place else sides[i + 1]
    opening, low = ends.get("low", ("(", r"-\infty"))
    closing, high = ends.get("high", (")", r"\infty"))
    return Group(opening + closing, (leaf(low), leaf(high)), _short(sides[place]))


def _equation(text: str, sides: list[str], signs: list[str]) -> Node:
    about = [i for i, side in enumerate(sides) if _is_name(side)]
    if len(sides) == 2 and about == [1]:
        sides, about = sides[::-1], [0]
    named = about[:1] == [0]
    leading = next((i for i, side in enumerate(sides) if i not in about), len(sides) - 1)
    rest = sides[leading:] if named else sides
    first = read(rest[0])
    if len(rest) > 1 and not _all_equal(rest, signs[1 - len(rest) :]):
        return Leaf(text, equation=_trees(sides) if len(sides) == 2 else None)
    if not named:
        return first if len(rest) > 1 else Leaf(text)
    if isinstance(first, Leaf):
        argument, tree = _APPLIED.fullmatch(sides[0]), first.tree
        if argument and tree:
            tree = _renamed(tree, argument[1])
        first = replace(first, tree=tree, equation=_trees([sides[0], rest[0]]))
    return replace(first, name=_short(sides[0]))


def _all_equal(sides: list[str], signs: list[str]) -> bool:
    """Whether the sides of a calculation such as 30 + 7 = 37, or of an identity, are equal."""
    leaves = [leaf(side) for side in sides]
    if not all(one.tree for one in leaves):
        return False
    for sign, one, other in zip(signs, leaves, leaves[1:], strict=False):
        assert one.tree and other.tree
        exactly = sign == "=" and same_value(one.tree, other.tree)
        about = sign != "=" and is_rounded(one.tree, other) and significant(other) > 1
        if not (exactly or about):
            return False
    return True


def _labelled(text: str) -> Node:
    """A value with a label before it, such as Area: 5, or a ratio of three or more."""
    parts = split(text, ":") if text.count(":") > 1 else []
    if len(parts) > 2:
        first, *others = [leaf(part).tree for part in parts]
        if not first or not all(others):
            return Leaf(text)
        return Group(":", tuple(Leaf("", ("/", term, first)) for term in others))
    found = _LABEL.match(text)
    if found is None:
        return leaf(text)
    if _CHANGING.search(found[1]):
        return Leaf(text)
    name = found[1].strip()
    node = read(text[found.end() :])
    return replace(node, name=name if len(name) == 1 else name.casefold())


def _is_name(side: str) -> bool:
    """Whether the left side of an equation only names its value, and is no expression."""
    if _NAME.fullmatch(side) is None or side.strip() in ("e", "i", r"\pi"):
        return False
    words = (word for word in re.findall(r"[A-Za-z]{3,}", side) if "\\" + word not in side)
    if _CHANGING.search(side) or any(word.casefold() in NAMED for word in words):
        return False
    is_word = not set(side) <= set("abcd") and not set(side).isdisjoint("aeiou")
    return is_word or not re.fullmatch("[a-z]{3,}", side)  # abc and xyz are products


def _short(side: str) -> str:
    """A name to compare: of f(x) its f."""
    text = compact(re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", side))
    return text.partition("(")[0] if _APPLIED.fullmatch(side) else text


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
