"""Extracts the thinking and the answer of a completion."""

import re
from dataclasses import dataclass

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
END = "<|endoftext|>"
"""End-of-sequence token of the mini world."""
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)

LONGEST = 2_000
"""Maximum characters read from a mathematical answer."""
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_SHAPE = re.compile(r"\s*<think>(.*?)</think>(.*?)<answer>(.*?)</answer>\s*", re.DOTALL)
_TAG = re.compile("|".join(re.escape(tag) for tag in TAGS))
_STATED = re.compile(r"(?:answer is|answer:|答案是|答案为|答案：)\s*([^\n。]+)")
# A base model may continue with a new user turn; text after that does not answer this prompt.
_NEXT_TURN = re.compile(r"\n\s{0,4}(?:User:|用户：)")
# The minus is a sign unless it belongs to a difference such as 53-9.
_NUMBER = re.compile(r"(?<![\d)])-?\d+|\d+")
# A LaTeX fraction, or a number with optional commas, decimals and divisor.
_VALUE = re.compile(
    r"-?\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}"
    r"|(?<![\w)}])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|\d[\d,]*(?:\.\d+)?(?:/\d+)?"
)
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
    summary: stripped text between the thinking and the answer tag; R1 writes a sentence there,
        R1-Zero mostly nothing.
    format_valid: thinking followed by an answer, each exactly once and not empty, with nothing
        before or after.
    """

    think: str
    answer: str | None
    format_valid: bool
    summary: str = ""


def read(text: str) -> Reading:
    """Parse a completion of the form `<think>...</think> summary <answer>...</answer>`."""
    # Count the tags first: with exactly one of each, the pattern matches or fails in linear time.
    shape = _SHAPE.fullmatch(text) if all(text.count(tag) == 1 for tag in TAGS) else None
    valid = shape is not None and bool(shape[1].strip()) and bool(shape[3].strip())
    think = _between(text, THINK_OPEN, THINK_CLOSE)
    rest = text.rsplit(THINK_CLOSE, 1)[-1]
    answer = None
    if text.count(ANSWER_OPEN) == 1 and text.count(ANSWER_CLOSE) == 1:
        answer = _between(rest, ANSWER_OPEN, ANSWER_CLOSE)
        answer = answer.strip() if answer is not None else None
    return Reading(think or "", answer or None, valid, shape[2].strip() if shape else "")


def after_thinking(text: str) -> str:
    """The text after the thinking, without tags."""
    return _TAG.sub(" ", text.rsplit(THINK_CLOSE, 1)[-1]).strip()


def thinking(text: str) -> str:
    """The thinking, or the whole text if none is marked or it is blank."""
    marked = read(text).think
    return marked if marked.strip() else text


def final_answer(text: str, kind: str = "number") -> str | None:
    """The stated answer, with or without tags, so that tags alone earn no accuracy.

    In order: the answer tag; the text after the last "answer is" (or its Chinese counterpart); the
    last number (`kind="number"`) or the last expression with an operator (`kind="expression"`).
    None if no answer is stated. Text after a new user turn is ignored.
    """
    text = _NEXT_TURN.split(text, maxsplit=1)[0]
    answer = read(text).answer
    if answer is not None:
        return answer
    plain = _TAG.sub(" ", text)
    stated = _STATED.findall(plain)
    plain = stated[-1] if stated else plain
    found = _NUMBER.findall(plain) if kind == "number" else _expressions(plain)
    return found[-1] if found else None


def marked_answer(text: str) -> str | None:
    """The mathematical answer that a completion marks, in its answer tag or its last box.

    Never taken from the thinking; None if the thinking is unfinished or nothing is marked.
    """
    if THINK_CLOSE in text:
        rest = text.rsplit(THINK_CLOSE, 1)[1]
    elif THINK_OPEN in text:
        return None
    else:
        rest = text
    if rest.count(ANSWER_OPEN) == 1 and rest.count(ANSWER_CLOSE) == 1:
        inside = rest.partition(ANSWER_OPEN)[2].partition(ANSWER_CLOSE)
        if inside[1]:
            return (boxed(inside[0]) or inside[0]).strip()[:LONGEST] or None
    return boxed(rest)


def boxed(text: str) -> str | None:
    """The content of the last box with balanced braces; None without a complete box."""
    starts = [match.end() for match in _BOXED.finditer(text)]
    if not starts:
        return None
    depth = 1
    for place in range(starts[-1], min(len(text), starts[-1] + LONGEST)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[starts[-1] : place].strip() or None
    return None


def math_answer(text: str) -> str | None:
    """The marked mathematical answer, or else the last one stated.

    The fallback covers base models, which write no tags: the last value after the last "the answer
    is", or the clause itself if it has no value; without such a clause, the last value. Never taken
    from the thinking.
    """
    marked = marked_answer(text)
    if marked is not None or (THINK_OPEN in text and THINK_CLOSE not in text):
        return marked
    rest = after_thinking(text)
    clauses = _STATED.findall(rest)
    values = _VALUE.findall((clauses[-1] if clauses else rest)[-LONGEST:])
    if values:
        return str(values[-1]).rstrip(",")
    return clauses[-1].strip().rstrip(".")[:LONGEST] if clauses else None


def _expressions(text: str) -> list[str]:
    """Expressions with at least one operator, from the first digit or opening parenthesis."""
    found = (operands.lstrip(")+-*/") for operands in _OPERANDS.findall(text))
    return [operands for operands in found if _OPERATOR.search(operands)]


def _between(text: str, opening: str, closing: str) -> str | None:
    start = text.find(opening)
    if start < 0:
        return None
    end = text.find(closing, start + len(opening))
    return text[start + len(opening) : end] if end >= 0 else None
