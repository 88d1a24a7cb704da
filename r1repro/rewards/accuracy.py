"""Is the answer right? Rules only: no model judges reasoning (R1 v2, section 2.2)."""

from r1repro.tasks import countdown
from r1repro.tasks.problem import REASONING, Problem
from r1repro.text.tags import after_thinking, final_answer, read


def is_correct(problem: Problem, text: str) -> bool:
    """Whether the last answer a completion states is right, with tags or without."""
    return matches(problem, stated_answer(problem, text))


def is_strictly_correct(problem: Problem, text: str) -> bool:
    """Whether the answer tag holds the right answer; without a whole tag, no."""
    return matches(problem, read(text).answer)


def stated_answer(problem: Problem, text: str) -> str | None:
    """What a completion states as its answer, in the kind that the problem asks for."""
    if problem.task in REASONING:
        return final_answer(text, "expression" if problem.task == "countdown" else "number")
    answer = read(text).answer
    if answer is not None:
        return answer
    lines = after_thinking(text).split("\n")
    return lines[-1].strip() or None


def vote(problem: Problem, text: str) -> str | None:
    """What a completion votes for where a majority decides: the same for answers that are equal.

    countdown: the value and the numbers used; arithmetic: the integer; general: as `matches` reads.
    """
    answer = stated_answer(problem, text)
    if answer is None or problem.task == "arithmetic":
        return answer if answer is None else answer.strip().rstrip(".。").lstrip("0") or "0"
    return countdown.reached(answer) if problem.task == "countdown" else _plain(answer)


def matches(problem: Problem, answer: str | None) -> bool:
    """Whether an extracted answer is right for the problem.

    arithmetic: the same integer. countdown: an expression that uses each number exactly once and
    reaches the target. general: the same text, but for case and closing punctuation.
    """
    if answer is None:
        return False
    if problem.task == "countdown":
        return countdown.solves(answer, problem.answer)
    if problem.task == "arithmetic":
        digits = answer.strip().rstrip(".。")
        # The length comes first: Python refuses to read a number of thousands of digits.
        short = digits.isascii() and digits.isdigit() and len(digits) <= 20
        return short and int(digits) == int(problem.answer)
    return _plain(answer) == _plain(problem.answer)


def _plain(text: str) -> str:
    return text.strip().rstrip(".。!！").casefold()
