"""Soundness of a completion's work, and the failure mode of a wrong one.

Not a reward: R1-Zero is rewarded for its answer alone (R1 v2, section 2.2). Used for metrics and to
select training data. r1repro.text.soundness parses the lines; this module compares them with the
problem.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

from r1repro.rewards.accuracy import is_correct, stated_answer
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.soundness import Attempt, Sum, Work, read_line, read_work, value_of
from r1repro.text.tags import ANSWER_OPEN, TAGS, THINK_CLOSE, THINK_OPEN, boxed, read

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
_OPERATION = re.compile(r"([-+])(\d+)")
_TAG = re.compile("|".join(map(re.escape, TAGS)))


@dataclass(frozen=True)
class Soundness:
    """Soundness of one completion.

    sound: answer and work are both right: at least one parsed step; every line with a digit parsed;
        every equation (later corrections included) and verdict true; the last result equal to the
        answer; in the mini world, each given number used exactly once in the last attempt. General
        tasks have no work and are never sound.
    unworked: the answer is right without a parsed step.
    false_check: a check, recheck or verdict affirms a falsehood, whether or not the answer is
        right.
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

    In the mini world it must be sound. Most lines of a data set's answers are prose that cannot be
    parsed, so requiring soundness would drop them all. These are dropped only for a false equation,
    or if the last line with a digit is parsed and its result differs from the answer. Coverage
    reports how much was parsed.
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
    work = [bool(read_line(_TAG.sub("", line)).sums or _is_verdict(line)) for line in lines]
    kept = len(work) - work[::-1].index(True) if any(work) else 0
    return "".join(f"{line}\n" for line in lines[:kept])


def _is_verdict(line: str) -> bool:
    return read_line(_TAG.sub("", line)).verdict is not None


@dataclass(frozen=True)
class _Chain:
    start: int
    operations: tuple[tuple[str, int], ...]

    def done_by(self, attempt: Attempt) -> bool:
        """Whether the steps add or subtract each number exactly once, in any order.

        For example, 11-10+4 can be worked as 11+4=15, 15-10=5.
        """
        available = Counter([("+", Fraction(self.start))])
        available.update((op, Fraction(number)) for op, number in self.operations)
        for step in attempt.steps:
            available.subtract(_terms(step))
            if min(available.values()) < 0:
                return False
            available["+", step.result] += 1
        return sum(available.values()) == 1


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
class _Numbers:
    numbers: tuple[int, ...]
    target: int

    def done_by(self, attempt: Attempt) -> bool:
        """Whether the steps use each number and intermediate result once and reach the target."""
        available = Counter(map(Fraction, self.numbers))
        for step in attempt.steps:
            available.subtract(Counter(step.numbers))
            if min(available.values()) < 0:
                return False
            available[step.result] += 1
        return +available == Counter([Fraction(self.target)])


@dataclass(frozen=True)
class _Facts:
    """A parsed completion with its problem.

    work: the thinking, or the text before the answer if none is marked.
    rest: everything else, such as the summary.
    answer: the stated number, or the value of a stated expression.
    """

    problem: Problem
    given: _Chain | _Numbers | None
    work: Work
    rest: Work
    answer: Fraction | None
    answered: bool

    @property
    def target(self) -> Fraction | None:
        if isinstance(self.given, _Numbers):
            return Fraction(self.given.target)
        return value_of(self.problem.answer)

    @property
    def sound(self) -> bool:
        """Soundness apart from the correctness of the answer."""
        work, last = self.work, self.work.last
        if last is None or not (work.true and self.rest.true):
            return False
        if any(part.parsed_lines < part.digit_lines for part in (work, self.rest)):
            return False
        if self.answer is None or last.result != self.answer:
            return False
        if any(stated != self.answer for part in (work, self.rest) for stated in part.stated):
            return False
        if self.given is None:
            return True
        return (
            not work.broken_off
            and self.given.done_by(last)
            and (last.verdict is None or last.verdict.affirms)
            and all(_holds(attempt, self.target) for attempt in work.attempts)
        )

    @property
    def false_check(self) -> bool:
        if self.work.affirms_false_sum:
            return True
        return self.given is not None and any(
            attempt.verdict is not None
            and attempt.verdict.affirms
            and attempt.steps
            and not _holds(attempt, self.target)
            for attempt in self.work.attempts
        )

    @property
    def gave_up(self) -> bool:
        last = self.work.last
        if isinstance(self.given, _Chain):
            done = sum(step.operators for step in last.steps) if last else 0
            return done < len(self.given.operations)
        if isinstance(self.given, _Numbers) and last is not None and self.answered:
            affirmed = last.verdict is not None and last.verdict.affirms
            return last.result != self.target and not affirmed
        return False

    @property
    def rests_on_falsehood(self) -> bool:
        last = self.work.last
        steps = last.steps if self.given is not None and last is not None else self.work.steps
        return self.false_check or any(not step.true for step in steps)


def _holds(attempt: Attempt, target: Fraction | None) -> bool:
    """Whether an attempt's verdict is true for its stated result and the target."""
    verdict, result = attempt.verdict, attempt.result
    if verdict is None:
        return True
    if result is None or target is None:
        return False
    if verdict.difference is not None:
        pair = set(verdict.difference.numbers)
        if not verdict.difference.true or pair != {result, target}:
            return False
    if verdict.number not in (None, target):
        return False
    return verdict.affirms == (result == target)


def _given(problem: Problem) -> _Chain | _Numbers | None:
    """The numbers a mini-world question gives; None for any other."""
    if problem.task == "arithmetic" and (found := _CHAIN.fullmatch(problem.id)):
        operations = [(op, int(number)) for op, number in _OPERATION.findall(found[2])]
        return _Chain(int(found[1]), tuple(operations))
    if problem.task == "countdown":
        numbers, _, target = problem.answer.partition("=")
        listed = numbers.split(",")
        if target.isdecimal() and all(number.isdecimal() for number in listed):
            return _Numbers(tuple(map(int, listed)), int(target))
    return None


def _read(problem: Problem, text: str) -> _Facts:
    reading = read(text)
    work, rest = text.partition(ANSWER_OPEN)[0], ""
    if reading.think.strip():
        before, _, after = text.partition(THINK_OPEN)
        after = after.partition(THINK_CLOSE)[2].partition(ANSWER_OPEN)[0]
        work, rest = reading.think, before + "\n" + after
    work, rest = (_TAG.sub("\n", part) for part in (work, rest))
    bare, thinks_on = False, THINK_OPEN in text and THINK_CLOSE not in text
    if reading.answer is None and not thinks_on:
        # Without a tag, the last line is the answer if it contains nothing else.
        last = rest if rest.strip() else work
        kept, _, line = last.rstrip().rpartition("\n")
        inside = (boxed(line) or "") if "\\boxed" in line else line
        bare = "=" not in line and value_of(inside) is not None
        bare = bare and (problem.task != "arithmetic" or inside.strip(" .。").isdecimal())
        if bare and rest.strip():
            rest = kept
        elif bare:
            work = kept
    found = read_work(work), read_work(rest)
    answer = stated_answer(problem, text)
    return _Facts(
        problem,
        _given(problem),
        *found,
        None if answer is None else value_of(answer),
        reading.answer is not None
        or bare
        or (not thinks_on and any(part.stated for part in found)),
    )
