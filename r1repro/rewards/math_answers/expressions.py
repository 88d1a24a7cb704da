r"""Parses one mathematical expression, in LaTeX or plain text, into a tree of tuples.

The whole text must be one expression, so a number is never picked from words, from a broken command
or from one side of a relation.

Trees: ("num", Fraction), ("const", "pi"|"e"|"i"), ("var", name), ("+"|"*", a, b), ("/", a, b),
("^", a, b), ("neg", a), ("root", a, index), ("app", name, a, ...) for a function without a
definition and ("fn", name, a, ...) for a known one.
"""

import re
from fractions import Fraction
from typing import Any

from r1repro.rewards.math_answers.lexer import (
    FUNCTIONS,
    GREEK,
    OF_SEVERAL,
    SPELLED,
    Token,
    Unreadable,
    tokens,
    value,
)

Tree = tuple[Any, ...]

DEEPEST = 60
"""Levels of brackets that are read."""
_MOST_LEVELS = 250
"""Levels of a tree: a sum of many terms is as deep as it is long."""
_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_UNDEFINED = frozenset("fghFGH")
"""Letters that name a function where a parenthesis follows."""
_CLOSING = {"(": ")", "[": "]", "{": "}", "|": "|"}
_NUMBERS = ("num", "repeat", "dots")
_ACCENTS = "overline bar vec hat overrightarrow tilde angle triangle".split()
_ENDS = (r"\rfloor", r"\rceil", r"\choose", r"\over", r"\ldots", r"\}", r"\circ")
"""Commands that do not begin a factor."""
_MIXED = re.compile(
    r"(?:\{ \d+ \}|\d+) (?:(?P<tied>\{ )?\\frac \{ \d+ \} \{ \d+ \}|(?P<plain>\d+ / \d+))(?!\S)"
)
"""The tokens of a mixed number, such as 2\\frac{1}{2} and 2 1/2, joined by blanks."""


def expression(text: str) -> Tree:
    """The tree of a text. Raises Unreadable unless all of it is one expression."""
    parser = _Parser(tokens(text))
    try:
        tree = parser.chosen_or_over(parser.total())
    except RecursionError as error:
        raise Unreadable("nested too deep") from error
    if parser.place < len(parser.tokens):
        raise Unreadable(f"{parser.tokens[parser.place][1]!r} is left over")
    level = [tree]
    for _ in range(_MOST_LEVELS):
        level = [part for one in level for part in one[1:] if isinstance(part, tuple)]
        if not level:
            return tree
    raise Unreadable("nested too deep")


class _Parser:
    """Recursive descent over tokens; `place` is the next one."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens, self.place, self.depth, self.bars = tokens, 0, 0, 0

    def peek(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.tokens[place][1] if place < len(self.tokens) else ""

    def kind(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.tokens[place][0] if place < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        token = self.peek()
        if not token or (wanted and token not in wanted):
            raise Unreadable(f"{token!r} where {' or '.join(wanted) or 'more'} should be")
        self.place += 1
        return token

    def total(self) -> Tree:
        """Sums and differences."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable("nested too deep")
        tree = self.signed()
        while self.peek() in ("+", "-"):
            sign, other = self.take(), self.signed()
            tree = ("+", tree, other if sign == "+" else ("neg", other))
        self.depth -= 1
        return tree

    def signed(self) -> Tree:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take() == "-"
        tree = self.product()
        return ("neg", tree) if negative else tree

    def product(self) -> Tree:
        """Products and quotients from left to right."""
        tree = self.juxtaposed()
        while self.peek() in ("*", "/", ":"):
            sign = self.take()
            other = self.signed() if self.peek() in ("+", "-") else self.juxtaposed(sign == "*")
            tree = ("*" if sign == "*" else "/", tree, other)
        return tree

    def juxtaposed(self, may_mix: bool = True) -> Tree:
        """Factors side by side, of which no number follows a number, except in 2 1/2."""
        mixed = self.mixed() if may_mix else None
        tree = mixed or self.power()
        while self.begins_factor():
            blank = self.tokens[self.place][2]
            if self.kind() in _NUMBERS and (mixed or blank or self.kind(-1) in _NUMBERS):
                raise Unreadable("two numbers side by side")
            if mixed and self.peek() == r"\frac":
                raise Unreadable("two numbers side by side")
            tree = ("*", tree, self.power())
        return tree

    def mixed(self) -> Tree | None:
        r"""A whole number and a proper fraction, 2\frac{1}{2} or 2 1/2."""
        ahead = self.tokens[self.place : self.place + 11]
        found = _MIXED.match(" ".join(token for _, token, _ in ahead))
        if found is None:
            return None
        if found["plain"] and not ahead[3 if found[0].startswith("{") else 1][2]:  # 21/2
            return None
        whole, top, bottom = re.findall(r"\d+", found[0])
        if max(map(len, (whole, top, bottom))) > 30 or not 0 < int(top) < int(bottom):
            raise Unreadable("neither a mixed number nor a product")
        self.place += found[0].count(" ") + 1
        if found["tied"]:
            self.take("}")
        return ("num", int(whole) + Fraction(int(top), int(bottom)))

    def begins_factor(self) -> bool:
        token, kind = self.peek(), self.kind()
        if kind in (*_NUMBERS, "var", "plain") or token in ("(", "[", "{"):
            return True
        return self.bars == 0 if token == "|" else kind == "cmd" and token not in _ENDS

    def power(self) -> Tree:
        """A factor with its factorials, exponent, degrees or percent sign."""
        tree = self.factor()
        while self.peek() in ("!", "^", "**"):
            tree = ("fn", "factorial", tree) if self.take() == "!" else self.raised(tree)
        return tree

    def raised(self, base: Tree) -> Tree:
        if self.peek() == r"\circ" or (self.peek() == "{" and self.peek(1) == r"\circ"):
            if self.take() == "{":
                self.take(r"\circ")
                self.take("}")
            return ("*", base, ("/", ("const", "pi"), ("num", Fraction(180))))
        exponent = self.exponent()
        if self.peek() in ("^", "**"):
            self.take()
            exponent = self.raised(exponent)
        return ("^", base, exponent)

    def exponent(self) -> Tree:
        """What follows a power sign: a group, or one signed factor; 2^10 is 1024 as people mean."""
        negative = self.peek() in ("+", "-") and self.take() == "-"
        return ("neg", self.factor()) if negative else self.factor()

    def factor(self) -> Tree:
        kind, token = self.kind(), self.peek()
        if kind in _NUMBERS:
            return ("num", value(kind, self.take()))
        if token in _CLOSING:
            return self.bracketed()
        if kind == "var":
            return self.name(self.take())
        if kind in ("cmd", "plain"):
            return self.command(self.take().lstrip("\\"), kind == "plain")
        raise Unreadable(f"{token!r} begins no number, name or bracket")

    def bracketed(self) -> Tree:
        opening = self.take()
        self.bars, before = (1 if opening == "|" else 0), self.bars
        tree = self.total()
        if opening == "{":
            tree = self.chosen_or_over(tree)
        self.take(_CLOSING[opening])
        self.bars = before
        return ("fn", "abs", tree) if opening == "|" else tree

    def chosen_or_over(self, tree: Tree) -> Tree:
        r"""A group such as {10 \choose 3} or {1 \over 2}, after its first part."""
        if self.peek() not in (r"\choose", r"\over"):
            return tree
        kind, other = self.take(), self.total()
        return ("fn", "binom", tree, other) if kind == r"\choose" else ("/", tree, other)

    def name(self, letter: str) -> Tree:
        """A variable with its index and primes, a constant, or a function without definition."""
        if letter == "C" and self.peek() == "_" and (chosen := self.chosen()):
            return chosen
        full = letter + self.index()
        while self.peek() == "'":
            full += self.take()
        if full in ("e", "i", "π"):
            return ("const", "pi" if full == "π" else full)
        if letter in _UNDEFINED and self.peek() == "(":
            return ("app", full, *self.arguments())
        return ("var", full)

    def chosen(self) -> Tree | None:
        r"""C_{10}^{3} with numbers, as Chinese schools write a binomial coefficient."""
        start = self.place
        try:
            self.take("_")
            low = self.factor()
            self.take("^")
            high = self.factor()
        except Unreadable:
            low = high = ("var", "")
        if low[0] == high[0] == "num" and low[1] >= high[1]:
            return ("fn", "binom", low, high)
        self.place = start
        return None

    def index(self) -> str:
        if self.peek() != "_":
            return ""
        self.take()
        if self.peek() != "{":
            return "_" + self.take()
        depth, text = 0, "_"
        while True:
            token = self.take()
            depth += {"{": 1, "}": -1}.get(token, 0)
            if depth == 0:
                return text
            text += token if token not in "{}" else ""

    def arguments(self) -> list[Tree]:
        self.take("(")
        found = [self.total()]
        while self.peek() == ",":
            self.take()
            found.append(self.total())
        self.take(")")
        return found

    def command(self, name: str, plain: bool) -> Tree:
        name = SPELLED.get(name, name)
        if name in ("frac", "binom"):
            top, bottom = self.piece(), self.piece()
            return ("/", top, bottom) if name == "frac" else ("fn", "binom", top, bottom)
        if name in ("sqrt", "cbrt"):
            index: Tree = ("num", Fraction(3 if name == "cbrt" else 2))
            if self.peek() == "[":
                index = self.bracketed()
            return ("root", self.factor(), index)
        if name in ("lfloor", "lceil"):
            tree = self.total()
            self.take("\\r" + name[1:])
            return ("fn", "floor" if name == "lfloor" else "ceil", tree)
        if name in _ACCENTS:
            return ("var", name + self.letters())
        if name == "pi":
            return ("const", "pi")
        if name in FUNCTIONS:
            return self.function(name, plain)
        if name in GREEK:
            return self.name("\\" + name)
        raise Unreadable(f"\\{name} is not known")

    def piece(self) -> Tree:
        r"""One argument of \frac or \sqrt: a group, one digit of a number, or one factor."""
        if self.kind() == "num" and len(self.peek()) > 1 and self.peek().isdecimal():
            kind, token, blank = self.tokens[self.place]
            self.tokens[self.place] = (kind, token[1:], blank)
            return ("num", Fraction(int(token[0])))
        return self.factor()

    def letters(self) -> str:
        """The letters under an accent or after an angle sign, braces ignored."""
        text = ""
        braces = self.peek() == "{" and self.take()
        while self.kind() == "var" and (braces or not text or text.isupper()):
            text += self.take() + self.index()
        if braces:
            self.take("}")
        if not text:
            raise Unreadable("an accent over no name")
        return text

    def function(self, name: str, plain: bool) -> Tree:
        base = power = None
        if name == "log" and self.peek() == "_":
            self.take()
            base = self.factor() if self.peek(1) == "(" else self.piece()
        elif plain and name == "log" and self.peek() in ("10", "2") and self.peek(1) == "(":
            base = ("num", Fraction(int(self.take())))
        if self.peek() == "^":
            self.take()
            power = self.exponent()
        given = self.arguments() if self.peek() == "(" else [self.argument()]
        if (name in OF_SEVERAL) != (len(given) > 1):
            raise Unreadable(f"{name} of {len(given)} numbers")
        if power == ("neg", ("num", Fraction(1))) and name in _INVERSE:
            name, power = _INVERSE[name], None
        if base is not None:
            name, given = "logbase", [given[0], base]
        elif name == "log" and plain:
            name = "plainlog"
        tree = ("fn", name, *given)
        return tree if power is None else ("^", tree, power)

    def argument(self) -> Tree:
        """Factors up to a sum, quotient or further function: sin 2x cos x is (sin 2x)(cos x)."""
        tree = self.mixed() or self.power()
        while self.begins_factor() and self.peek().lstrip("\\") not in (*FUNCTIONS, *SPELLED):
            if self.kind() == "num" or self.peek() in ("(", "["):
                break
            tree = ("*", tree, self.power())
        return tree
