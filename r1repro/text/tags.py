"""Extracts the thinking and the answer of a completion."""

import re
from dataclasses import dataclass

from r1repro.text.escapes import mended
from r1repro.text.turns import first_turn, one_family, without_end

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
END = "<|endoftext|>"
"""End-of-sequence token of the mini world."""
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)
TAG = re.compile("|".join(TAGS))

LONGEST = 2_000
"""Maximum characters read from a mathematical answer."""
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox|bbox\s*\[[^\[\]]*\])\s*\{")
_BARE_BOX = re.compile(r"\\(?:boxed|fbox)(?:\s+|(?=[\d\\]))([-+]?[\w.]+|\\[A-Za-z]+)")
_GSM8K = re.compile(r"(?:^|\n)[ \t]*####[ \t]*([^\n]+)")
_SHAPE = re.compile(r"\s*<think>(.*?)</think>.*?<answer>(.*?)</answer>\s*", re.DOTALL)
_STATED = re.compile(r"(?:answer is|answer:|答案是|答案为|答案：)\s*([^\n。]+)")
# A base of the mini world goes on with a new user turn, whatever it has said before.
_NEXT_TURN = re.compile(r"\n\s{0,4}(?:User:|用户：)")
# The minus is a sign unless it belongs to a difference such as 53-9.
_NUMBER = re.compile(r"(?<![\d)])-?\d+|\d+")
# A LaTeX fraction, or a number with optional commas, decimals and divisor.
_VALUE = re.compile(
    r"-?\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}"
    r"|(?<![\w)}])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|\d[\d,]*(?:\.\d+)?(?:/\d+)?"
)
_HEDGED = re.compile(
    r"\b(?:or|either|neither|not|between|maybe|least|most|(?:more|less|fewer|other) than)\b|或|不",
    re.IGNORECASE,
)
_ALTERNATIVES = re.compile(r"\b(?:or|either|neither|nor)\b|或|还是", re.IGNORECASE)
# Operands joined by operators, without spaces. A single operand matches too and is dropped later:
# requiring an operator here would take quadratic time on a long line without one.
_OPERANDS = re.compile(r"[\d()]+(?:[-+*/][\d()]+)*")
_OPERATOR = re.compile(r"[-+*/]")


@dataclass(frozen=True)
class Reading:
    """The parts of a completion.

    think: text between the first pair of think tags; "" if there is none.
    answer: stripped text of the answer tag; None if the tag is incomplete, occurs more than once,
        or is inside the thinking.
    format_valid: thinking followed by an answer, each exactly once and not empty, with nothing
        before or after.
    """

    think: str
    answer: str | None
    format_valid: bool


def read(text: str) -> Reading:
    """Parse a completion of the form `<think>...</think> summary <answer>...</answer>`.

    If a completion goes on after its answer, the first turn is read and the format is not valid. An
    end token after the answer is allowed.
    """
    whole, turn = without_end(text), first_turn(text)
    # Count the tags first: with exactly one of each, the pattern matches or fails in linear time.
    shape = _SHAPE.fullmatch(whole) if all(whole.count(tag) == 1 for tag in TAGS) else None
    valid = shape is not None and all(part.strip() for part in shape.groups())
    think = _between(turn, THINK_OPEN, THINK_CLOSE) or ""
    answer = _only_answer(turn.rsplit(THINK_CLOSE, 1)[-1], turn) or ""
    return Reading(think, answer.strip() or None, valid)


def after_thinking(text: str) -> str:
    """The text after the thinking, without tags."""
    return TAG.sub(" ", text.rsplit(THINK_CLOSE, 1)[-1]).strip()


def thinking(text: str) -> str:
    """The thinking, or the whole text if none is marked or it is blank."""
    marked = read(text).think
    return marked if marked.strip() else text


def final_answer(text: str, kind: str = "number") -> str | None:
    """The stated answer, with or without tags, so that tags alone earn no accuracy.

    In order: the answer tag; the last number (`kind="number"`), or expression with an operator
    (`kind="expression"`), after the last "answer is" (or its Chinese counterpart), or else of the
    text. None without one, and for alternatives ("36 or 37"). Ignores text after a new user turn.
    """
    text = first_turn(_NEXT_TURN.split(text, maxsplit=1)[0])
    answer = read(text).answer
    if answer is not None:
        return answer
    plain = TAG.sub(" ", text)
    stated = _STATED.findall(plain)
    plain = stated[-1] if stated else plain
    if _ALTERNATIVES.search(plain.rstrip().rsplit("\n", 1)[-1]):
        return None
    found = _NUMBER.findall(plain) if kind == "number" else _expressions(plain)
    return found[-1] if found else None


def marked_answer(text: str) -> str | None:
    """The mathematical answer in a completion's answer tag, in its last box, or after "####".

    Never taken from the thinking, in the tags of any known model family, nor from a turn after the
    first; None if the thinking is unfinished or nothing is marked.
    """
    return _marked(_turn(text))


def _turn(text: str) -> str:
    return first_turn(one_family(mended(text)))


def _marked(text: str) -> str | None:
    if THINK_OPEN in text and THINK_CLOSE not in text:
        return None
    rest = text.rsplit(THINK_CLOSE, 1)[-1]
    inside = _only_answer(rest)
    if inside is not None:
        return (boxed(inside) or inside).strip()[:LONGEST] or None
    answer = boxed(rest)
    given = _GSM8K.findall(rest) if answer is None else []
    return given[-1].strip()[:LONGEST] or None if given else answer


def boxed(text: str) -> str | None:
    r"""The content of the last box with balanced braces, or of \boxed4; None without such a box."""
    text = mended(text)
    starts = [match.end() for match in _BOXED.finditer(text)]
    if not starts:
        bare = _BARE_BOX.findall(text)
        return bare[-1].rstrip(".") or None if bare else None
    depth = 1
    for place in range(starts[-1], min(len(text), starts[-1] + LONGEST)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[starts[-1] : place].strip() or None
    return None


def math_answer(text: str) -> str | None:
    """The marked mathematical answer, or else the last one stated.

    Base models write no tags, so the last value after the last "answer is" counts, or the clause
    itself if it has no value or hedges ("7 or 8", "not 7"); without such a clause, the last value.
    Never taken from the thinking.
    """
    text = _turn(text)
    marked = _marked(text)
    if marked is not None or (THINK_OPEN in text and THINK_CLOSE not in text):
        return marked
    rest = after_thinking(text)
    stated = _STATED.findall(rest)
    clause = stated[-1] if stated else None
    hedged = clause and _HEDGED.search(clause)  # no one value is stated; the clause is judged
    values = [] if hedged else _VALUE.findall((clause or rest)[-LONGEST:])
    if values:
        return str(values[-1]).rstrip(",")
    return clause and clause.strip().rstrip(".")[:LONGEST]


def _expressions(text: str) -> list[str]:
    """Expressions with at least one operator, from the first digit or opening parenthesis."""
    found = (operands.lstrip(")+-*/") for operands in _OPERANDS.findall(text))
    return [operands for operands in found if _OPERATOR.search(operands)]


def _only_answer(rest: str, text: str | None = None) -> str | None:
    """What the answer tag in `rest` holds; None unless `text` (`rest`) has exactly one."""
    counts = [(text or rest).count(tag) for tag in (ANSWER_OPEN, ANSWER_CLOSE)]
    return _between(rest, ANSWER_OPEN, ANSWER_CLOSE) if counts == [1, 1] else None


def _between(text: str, opening: str, closing: str) -> str | None:
    inside, closed, _ = text.partition(opening)[2].partition(closing)
    return inside if closed else None
