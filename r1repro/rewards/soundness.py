"""Soundness of a completion's work, and the failure mode of a wrong one.

Used for metrics and to select training data, never as a reward: R1-Zero is rewarded for its answer
alone (R1 v2, section 2.2). text/soundness.py parses the lines; here they are checked against the
problem.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from r1repro.rewards.correctness import is_correct, stated_answer
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.soundness import Attempt, Sum, Work, read_line, read_work, value_of
from r1repro.text.tags import ANSWER_OPEN, TAG, THINK_CLOSE, THINK_OPEN, boxed, read

MODES = (
    "right", "repeated", "unfinished", "guessed", "gave up", "false step", "other",
)  # fmt: skip
"""Outcomes of a completion; the first that applies is its mode.

right: the answer is right, whatever the work.
repeated: no answer; an attempt was made twice, or a step twice within one.
unfinished: no answer for another reason.
guessed: answered without a parsed step.
gave up: answered before the work was finished: in countdown the last attempt misses the target and
    is not affirmed; in arithmetic operations are missing.
false step: the attempt behind the answer holds a false equation, or a check affirms a falsehood; in
    a data set's answers, any uncorrected false equation.
other: for example correct work on other numbers, or unparsed text.
"""
_CHAIN = re.compile(r"arithmetic:(\d{1,12})((?:[-+]\d{1,12})+)")


@dataclass(frozen=True)
class Soundness:
    """Soundness of one completion.

    sound: answer and work are right: at least one parsed step; every line with a digit parsed;
        every equation (later corrected ones included) and verdict true; the last result equal to
        the answer; in the mini world, each given number used once in the last attempt. General
        tasks have no work and are never sound.
    unworked: the answer is right without a parsed step.
    false_check: a check, recheck or verdict affirms a falsehood, even if the answer is right.
    coverage: share of lines with a digit that were parsed, in 0 to 1; NaN if there are none.
    """

    sound: bool
    unworked: bool
    false_check: bool
    coverage: float


def judge(problem: Problem, text: str) -> Soundness:
    """The soundness of one completion."""
    if problem.task in GENERAL:
        return Soundness(False, False, False, math.nan)
    facts = _read(problem, text)
    right = is_correct(problem, text)
    lines = facts.work.digit_lines + facts.rest.digit_lines
    parsed = facts.work.parsed_lines + facts.rest.parsed_lines
    return Soundness(
        right and facts.sound,
        right and not facts.work.steps,
        facts.false_check,
        parsed / lines if lines else math.nan,
    )


def passes(problem: Problem, text: str) -> bool:
    """Whether the work of a right completion qualifies it as training data.

    In the mini world it must be sound. Data-set answers are mostly prose that cannot be parsed, so
    they fail only for a false equation, or if the last line with a digit is parsed and its result
    differs from the answer; coverage reports how much was parsed.
    """
    if problem.task in GENERAL:
        return True
    facts = _read(problem, text)
    if facts.given is not None:
        return facts.sound and is_correct(problem, text)
    if not (facts.work.true and facts.rest.true):
        return False
    last = next((line for line in reversed(facts.work.lines) if line.digits), None)
    if last is None or not last.sums or not last.parsed or facts.answer is None:
        return True
    return last.sums[-1].result == facts.answer


def mode(problem: Problem, text: str, correct: bool) -> str:
    """The completion's mode, one of MODES; correct: the result of `is_correct`."""
    if correct:
        return "right"
    if problem.task in GENERAL:
        return "other"
    facts = _read(problem, text)
    if not facts.answered:
        return "repeated" if facts.work.repeats else "unfinished"
    if not facts.work.steps:
        return "guessed"
    if facts.gave_up:
        return "gave up"
    return "false step" if facts.rests_on_falsehood else "other"


def works_through(problem: Problem, text: str) -> bool:
    """Whether a completion has a parsed step and did not give up, right or wrong.

    A search cut off midway has not given up; a chain cut off has.
    """
    if problem.task in GENERAL:
        return False
    facts = _read(problem, text)
    return bool(facts.work.steps) and not facts.gave_up


def before_giving_up(problem: Problem, text: str) -> str | None:
    """The work of a completion that gave up, guessed or did not answer; None for any other.

    Ends with the last line that holds an equation or a verdict, including its line break.
    """
    if mode(problem, text, False) not in ("gave up", "guessed", "unfinished"):
        return None
    lines = text.partition(THINK_CLOSE)[0].partition(ANSWER_OPEN)[0].split("\n")
    parsed = [read_line(TAG.sub("", line)) for line in lines]
    while parsed and not parsed[-1].sums and parsed[-1].verdict is None:
        parsed.pop()
    return "".join(f"{line}\n" for line in lines[: len(parsed)])


@dataclass(frozen=True)
class _Given:
    """What a mini-world question gives.

    terms: signed numbers of a chain, whose first is positive; in countdown the signs are "".
    """

    terms: tuple[tuple[str, Fraction], ...]
    target: Fraction | None

    @property
    def is_chain(self) -> bool:
        return self.terms[0][0] == "+"

    def done_by(self, attempt: Attempt) -> bool:
        """Whether the steps use each term and intermediate result once; countdown: for the target.

        The steps of a chain add or subtract in any order: 11-10+4 can be 11+4=15, 15-10=5.
        """
        available = Counter(self.terms)
        for step in attempt.steps:
            available.subtract(_terms(step) if self.is_chain else [("", n) for n in step.numbers])
            if min(available.values()) < 0:
                return False
            available[self.terms[0][0], step.result] += 1
        left = +available
        return left.total() == 1 and (self.is_chain or ("", self.target) in left)


def _terms(step: Sum) -> list[tuple[str, Fraction]]:
    """Signed numbers of an equation; a product becomes a term that no chain contains."""
    tokens = step.tokens
    if tokens[0] == "-":
        tokens = (f"-{tokens[1]}", *tokens[2:])
    signs, numbers = ("+", *tokens[1::2]), tokens[::2]
    if any(sign not in "+-" for sign in signs) or any(n in "+-*/()" for n in numbers):
        return [("*", Fraction(0))]
    return list(zip(signs, map(Fraction, numbers), strict=True))


@dataclass(frozen=True)
class _Facts:
    """A parsed completion with its problem.

    work: the thinking, or the text before the answer if none is marked.
    rest: everything else, such as the summary.
    answer: the stated number, or the value of a stated expression.
    """

    given: _Given | None
    work: Work
    rest: Work
    answer: Fraction | None
    answered: bool

    @property
    def sound(self) -> bool:
        """Soundness apart from the correctness of the answer."""
        given, work, last = self.given, self.work, self.work.last
        if last is None or self.answer is None or last.result != self.answer:
            return False
        for part in (work, self.rest):
            if not part.true or part.parsed_lines < part.digit_lines:
                return False
            if any(stated != self.answer for stated in part.stated):
                return False
        return given is None or (
            not work.broken_off
            and given.done_by(last)
            and (last.verdict is None or last.verdict.affirms)
            and all(_holds(attempt, given.target) for attempt in work.attempts)
        )

    @property
    def false_check(self) -> bool:
        given = self.given
        return self.work.affirms_false_sum or (
            given is not None
            and any(
                attempt.verdict is not None
                and attempt.verdict.affirms
                and attempt.steps
                and not _holds(attempt, given.target)
                for attempt in self.work.attempts
            )
        )

    @property
    def gave_up(self) -> bool:
        given, last = self.given, self.work.last
        if given and given.is_chain:
            done = sum(step.operators for step in last.steps) if last else 0
            return done < len(given.terms) - 1
        if given and last and self.answered:
            affirmed = last.verdict is not None and last.verdict.affirms
            return last.result != given.target and not affirmed
        return False

    @property
    def rests_on_falsehood(self) -> bool:
        last = self.work.last
        steps = last.steps if self.given and last else self.work.steps
        return self.false_check or not all(step.true for step in steps)


def _holds(attempt: Attempt, target: Fraction | None) -> bool:
    """Whether an attempt's verdict is true for its stated result and the target."""
    verdict, result = attempt.verdict, attempt.result
    if verdict is None:
        return True
    if result is None or target is None:
        return False
    difference = verdict.difference
    if difference and not (difference.true and set(difference.numbers) == {result, target}):
        return False
    return verdict.number in (None, target) and verdict.affirms == (result == target)


def _given(problem: Problem) -> _Given | None:
    """The numbers a mini-world question gives; None for any other."""
    if problem.task == "arithmetic" and (found := _CHAIN.fullmatch(problem.id)):
        terms = [("+", found[1]), *re.findall(r"([-+])(\d+)", found[2])]
        target = value_of(problem.answer)
        return _Given(tuple((sign, Fraction(number)) for sign, number in terms), target)
    if problem.task == "countdown":
        listed, _, goal = problem.answer.partition("=")
        numbers = listed.split(",")
        if goal.isdecimal() and all(number.isdecimal() for number in numbers):
            return _Given(tuple(("", Fraction(number)) for number in numbers), Fraction(goal))
    return None


def _read(problem: Problem, text: str) -> _Facts:
    reading = read(text)
    work, rest = text.partition(ANSWER_OPEN)[0], ""
    if reading.think.strip():
        before, _, after = text.partition(THINK_OPEN)
        after = after.partition(THINK_CLOSE)[2].partition(ANSWER_OPEN)[0]
        work, rest = reading.think, before + "\n" + after
    work, rest = (TAG.sub("\n", part) for part in (work, rest))
    bare, thinks_on = False, THINK_OPEN in text and THINK_CLOSE not in text
    if reading.answer is None and not thinks_on:
        # Without a tag, the last line is the answer if it contains nothing else.
        kept, _, line = (rest if rest.strip() else work).rstrip().rpartition("\n")
        inside = (boxed(line) or "") if "\\boxed" in line else line
        bare = "=" not in line and value_of(inside) is not None
        bare = bare and (problem.task != "arithmetic" or inside.strip(" .。").isdecimal())
        if bare:
            work, rest = (work, kept) if rest.strip() else (kept, rest)
    found = read_work(work), read_work(rest)
    answered = bare or reading.answer is not None
    answered = answered or (not thinks_on and any(part.stated for part in found))
    answer = stated_answer(problem, text)
    return _Facts(_given(problem), *found, None if answer is None else value_of(answer), answered)
