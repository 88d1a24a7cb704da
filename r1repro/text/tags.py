"""Reading a completion: where its thinking and its answer are."""

import re
from dataclasses import dataclass

THINK_OPEN, THINK_CLOSE = "<think>", "</think>"
ANSWER_OPEN, ANSWER_CLOSE = "<answer>", "</answer>"
END = "<|endoftext|>"
"""What ends every document and completion of the mini world."""
TAGS = (THINK_OPEN, THINK_CLOSE, ANSWER_OPEN, ANSWER_CLOSE)

LONGEST = 2_000
"""Characters of an answer in mathematics that are read at all."""
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox)\s*\{")
_SHAPE = re.compile(r"\s*<think>(.*?)</think>(.*?)<answer>(.*?)</answer>\s*", re.DOTALL)
_TAG = re.compile("|".join(re.escape(tag) for tag in TAGS))
_STATED = re.compile(r"(?:answer is|answer:|答案是|答案为|答案：)\s*([^\n。]+)")
# Another turn: a base goes on with a question of its own, whose answer is none to what was asked.
_NEXT_TURN = re.compile(r"\n\s{0,4}(?:User:|用户：)")
# A sign, unless it is the minus of a difference such as 53-9.
_NUMBER = re.compile(r"(?<![\d)])-?\d+|\d+")
# One value in mathematics: a fraction in LaTeX, or a number with its commas, decimals and divisor.
_VALUE = re.compile(
    r"-?\\[dt]?frac\s*\{[^{}]*\}\s*\{[^{}]*\}"
    r"|(?<![\w)}])-?\d[\d,]*(?:\.\d+)?(?:/\d+)?|\d[\d,]*(?:\.\d+)?(?:/\d+)?"
)
# Operands joined by operators, without blanks. A lone operand matches too, and is sorted out later:
# were an operator required here, a long line without one would be searched anew from every digit.
_OPERANDS = re.compile(r"[\d()]+(?:[-+*/][\d()]+)*")
_OPERATOR = re.compile(r"[-+*/]")


@dataclass(frozen=True)
class Reading:
    """What a completion consists of.

    think: the text between the first pair of think tags, "" where there is none.
    answer: the text of the answer tag, stripped; None where there is no whole answer tag,
        where there are several, or where it stands inside the thinking.
    summary: what stands between the thinking and the answer tag, stripped; R1 writes a sentence
        there, R1-Zero mostly nothing.
    format_valid: the completion is think, then answer, each once and neither empty, with nothing
        before the one or after the other.
    """

    think: str
    answer: str | None
    format_valid: bool
    summary: str = ""


def read(text: str) -> Reading:
    """Read a completion by the shape `<think>...</think> summary <answer>...</answer>`."""
    # The tags are counted first: with one of each, the shape is found or refused in linear time.
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
    """What a reader gets: all that follows the thinking, tags taken out."""
    return _TAG.sub(" ", text.rsplit(THINK_CLOSE, 1)[-1]).strip()


def thinking(text: str) -> str:
    """The marked thinking or, where none is marked or it is blank, the whole text."""
    marked = read(text).think
    return marked if marked.strip() else text


def final_answer(text: str, kind: str = "number") -> str | None:
    """The answer a completion gives, tags or no tags, so that tags alone score nothing.

    The answer tag where there is one; else what follows the last "answer is" (or its Chinese
    counterpart); else, of the text, the last number (`kind="number"`) or the last expression
    with an operator (`kind="expression"`). None where nothing is stated. What follows where the
    text opens another turn is not read.
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
    """The answer in mathematics that a completion marks: in its tag, or in the last box.

    Never from the thinking; None where thinking was begun and not ended, or nothing is marked.
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
    """What the last box holds, its braces balanced; None without a whole one."""
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
    """The answer in mathematics that a completion gives, marked or, without marks, last stated.

    So that a base without the tags is read as well: the last value of the last "the answer is", or
    that clause itself where it has none; without such words the last value. Never of the thinking.
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
    """Operands joined by at least one operator, from the first digit or opening parenthesis on."""
    found = (operands.lstrip(")+-*/") for operands in _OPERANDS.findall(text))
    return [operands for operands in found if _OPERATOR.search(operands)]


def _between(text: str, opening: str, closing: str) -> str | None:
    start = text.find(opening)
    if start < 0:
        return None
    end = text.find(closing, start + len(opening))
    return text[start + len(opening) : end] if end >= 0 else None
