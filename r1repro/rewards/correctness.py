"""Whether an answer is right, by rules: no model judges reasoning (R1 v2, section 2.2).

The reward for it is rule_rewards.accuracy.
"""

import os
from collections.abc import Iterable, Sequence
from functools import cache

from r1repro.rewards.math_answers.parsing import plain
from r1repro.rewards.verifier import Verdict, Verifier
from r1repro.tasks import countdown, reasoning_gym
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.tags import after_thinking, boxed, final_answer, math_answer, read

REMEMBERED = 100_000
"""Most verdicts in the cache; completions of a group often share an answer."""
_VERDICTS: dict[tuple[str, str, str], Verdict] = {}


def is_correct(problem: Problem, text: str) -> bool:
    """Whether the last stated answer is right, with or without tags."""
    return matches(problem, stated_answer(problem, text))


def is_strictly_correct(problem: Problem, text: str) -> bool:
    """Whether the answer tag holds the right answer; False without a complete tag."""
    answer = read(text).answer
    return matches(problem, answer and (boxed(answer) or answer))


def is_leniently_correct(problem: Problem, text: str) -> bool:
    """`is_correct`, or right apart from rounding that the question does not ask for."""
    answer = stated_answer(problem, text)
    right = matches(problem, answer)
    if answer is None or not _is_math(problem):
        return right
    return _VERDICTS[_pair(problem, answer)].lenient


def judge(problems: Sequence[Problem], texts: Sequence[str]) -> list[bool]:
    """`is_correct` of each completion, with one batched call to the verifier."""
    answers = [stated_answer(problem, text) for problem, text in zip(problems, texts, strict=True)]
    _ask_verifier(
        _pair(problem, answer)
        for problem, answer in zip(problems, answers, strict=True)
        if answer is not None and _is_math(problem)
    )
    return [matches(problem, answer) for problem, answer in zip(problems, answers, strict=True)]


def stated_answer(problem: Problem, text: str) -> str | None:
    """The answer a completion states, in the kind its problem asks for; None if there is none."""
    if _is_math(problem):
        return math_answer(text)
    if problem.task not in GENERAL and not problem.task.startswith("gym_"):
        return final_answer(text, "expression" if problem.task == "countdown" else "number")
    return read(text).answer or after_thinking(text).rpartition("\n")[2].strip() or None


def vote(problem: Problem, text: str) -> str | None:
    """The majority-vote key of a completion, identical for equal answers; None without an answer.

    countdown: the value and the numbers used.
    arithmetic: the integer.
    data sets: the answer in plain notation.
    general: the text as compared by `matches`.
    """
    answer = stated_answer(problem, text)
    if answer is None:
        return None
    if problem.task == "arithmetic":
        return answer.strip().rstrip(".。").lstrip("0") or "0"
    if problem.task == "countdown":
        return countdown.reached(answer)
    return plain(answer) if _is_math(problem) else _plain(answer)


def matches(problem: Problem, answer: str | None) -> bool:
    """Whether an extracted answer is right.

    arithmetic: the same integer.
    countdown: an expression that uses each number exactly once and reaches the target.
    data sets: equal by notation or by the verifier; False if the verifier times out.
    reasoning-gym: the task's text.
    general: the same text up to case and final punctuation.
    """
    if answer is None:
        return False
    if problem.task == "countdown":
        return countdown.solves(answer, problem.answer)
    if problem.task == "arithmetic":
        digits = answer.strip().rstrip(".。")
        # Check the length first: int() raises on thousands of digits.
        short = digits.isascii() and digits.isdigit() and len(digits) <= 20
        return short and int(digits) == int(problem.answer)
    if problem.task.startswith("gym_"):
        return reasoning_gym.solves(answer, problem.answer)
    if _is_math(problem):
        _ask_verifier([_pair(problem, answer)])
        return _VERDICTS[_pair(problem, answer)].correct
    return _plain(answer) == _plain(problem.answer)


def timeouts() -> int:
    """Verifier time-outs in this process so far."""
    return _verifier().timeouts


def _is_math(problem: Problem) -> bool:
    made = problem.task in ("arithmetic", "countdown", *GENERAL)
    return not made and not problem.task.startswith("gym_")


@cache
def _verifier() -> Verifier:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Verifier(max(1, (cores or 1) // int(os.environ.get("WORLD_SIZE", "1"))))


def _pair(problem: Problem, answer: str) -> tuple[str, str, str]:
    return problem.answer, answer, problem.prompt


def _ask_verifier(pairs: Iterable[tuple[str, str, str]]) -> None:
    """Cache a verdict for each (gold, answer, question)."""
    asked = list(dict.fromkeys(pairs))
    new = [pair for pair in asked if pair not in _VERDICTS]
    if new and len(_VERDICTS) + len(new) > REMEMBERED:
        _VERDICTS.clear()
        new = asked
    if new:
        golds, answers, questions = zip(*new, strict=True)
        verdicts = _verifier().grade(golds, answers, True, questions)
        _VERDICTS.update(zip(new, verdicts, strict=True))


def _plain(text: str) -> str:
    return text.strip().rstrip(".。!！").casefold()
