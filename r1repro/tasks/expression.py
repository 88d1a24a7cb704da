"""Parser for integer expressions; model output is untrusted and never passed to eval."""

from fractions import Fraction

MAX_CHARACTERS = 200
MAX_DIGITS = 6


def evaluate(text: str) -> tuple[Fraction, list[int]]:
    """(value, numbers) of an expression with non-negative integers, + - * / and parentheses.

    Numbers are in written order. Raises ValueError for any other text, for more than 200
    characters, and for division by zero.
    """
    text = text.strip().replace("×", "*").replace("÷", "/").replace("−", "-").replace(" ", "")
    if len(text) > MAX_CHARACTERS:
        raise ValueError("expression too long")
    numbers: list[int] = []
    value, rest = _sum(text, 0, numbers)
    if rest != len(text):
        raise ValueError("not an expression")
    return value, numbers


def _sum(text: str, at: int, numbers: list[int]) -> tuple[Fraction, int]:
    value, at = _product(text, at, numbers)
    while at < len(text) and text[at] in "+-":
        sign = 1 if text[at] == "+" else -1
        right, at = _product(text, at + 1, numbers)
        value += sign * right
    return value, at


def _product(text: str, at: int, numbers: list[int]) -> tuple[Fraction, int]:
    value, at = _atom(text, at, numbers)
    while at < len(text) and text[at] in "*/":
        operator = text[at]
        right, at = _atom(text, at + 1, numbers)
        if operator == "/" and right == 0:
            raise ValueError("division by zero")
        value = value * right if operator == "*" else value / right
    return value, at


def _atom(text: str, at: int, numbers: list[int]) -> tuple[Fraction, int]:
    if at < len(text) and text[at] == "(":
        value, at = _sum(text, at + 1, numbers)
        if at >= len(text) or text[at] != ")":
            raise ValueError("unclosed parenthesis")
        return value, at + 1
    end = at
    while end < len(text) and text[end] in "0123456789":
        end += 1
    if not 0 < end - at <= MAX_DIGITS:
        raise ValueError("not a number")
    numbers.append(int(text[at:end]))
    return Fraction(numbers[-1]), end
