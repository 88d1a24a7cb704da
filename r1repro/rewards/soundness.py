"""Whether the work of a completion is sound, and in which way a wrong one went wrong.

No reward: R1-Zero is paid for its answer alone (R1 v2, section 2.2). This is for what is measured
and for what becomes training data. r1repro.text.soundness reads the lines; here they are held
against what was asked.
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
"""What became of an answer, in the order in which it is asked: each answer has exactly one.

right: the answer is right, whatever the work. Of the wrong ones:
repeated: no answer was given, and an attempt was made twice, or a step twice within one.
unfinished: no answer was given otherwise.
guessed: answered without one readable step.
gave up: answered although the work had not come to an end: in countdown the last attempt does not
    reach the target and is not said to, in arithmetic fewer operations are done than were asked.
false step: the attempt that the answer rests on holds a false sum, or a check affirms what is
    false; of a data set's answers, any sum that was not mended.
other: such as true work on other numbers, or text that is not parsed.
"""
_CHAIN = re.compile(r"arithmetic:(\d{1,12})((?:[-+]\d{1,12})+)")
_OPERATION = re.compile(r"([-+])(\d+)")
_TAG = re.compile("|".join(map(re.escape, TAGS)))


@dataclass(frozen=True)
class Soundness:
    """What is found of one completion.

    sound: the answer is right and so is the work: at least one readable step; every line that
        holds a digit parsed and every sum true, a slip that is mended later among them; every
        verdict true; the numbers as given; the last result is what is answered. The numbers are
        those of the question in the mini world: the operations of a chain in order, of countdown
        each number once in the last attempt. Of a data set's question they are not known, and the
        rest is asked. A general task has no work, and none is sound.
    unworked: the answer is right without one readable step.
    false_check: a check, recheck or verdict affirms what is false, be the answer right or wrong.
    coverage: share of the lines with a digit that were parsed, in 0 to 1; NaN without such lines.
    """

    sound: bool
    unworked: bool
    false_check: bool
    coverage: float


def judge(problem: Problem, text: str) -> Soundness:
    """The soundness of one completion."""
    if problem.task in GENERAL:
        return Soundness(False, False, False, math.nan)
    found = _read(problem, text)
    right = is_correct(problem, text)
    lines = found.work.digit_lines + found.rest.digit_lines
    parsed = found.work.parsed_lines + found.rest.parsed_lines
    return Soundness(
        right and found.sound,
        right and not found.work.steps,
        found.false_check,
        parsed / lines if lines else math.nan,
    )


def passes(problem: Problem, text: str) -> bool:
    """Whether a right completion may become training data by its work.

    In the mini world it has to be sound. Of a data set's answers most lines are prose that nothing
    here can parse, so that asking the same would leave none: they are dropped for a sum that is
    false, or where the last line of work that holds a digit is parsed and its result is another
    number than the answer. How much of them was parsed is the coverage that stands beside.
    """
    if problem.task in GENERAL:
        return True
    found = _read(problem, text)
    if found.given is not None:
        return found.sound and is_correct(problem, text)
    if not (found.work.true and found.rest.true):
        return False
    last = next((line for line in reversed(found.work.lines) if line.digits), None)
    if last is None or not last.sums or not last.parsed or found.answer is None:
        return True
    return last.sums[-1].result == found.answer


def mode(problem: Problem, text: str, correct: bool) -> str:
    """Which of MODES a completion is; correct: as `is_correct` says."""
    if correct:
        return "right"
    if problem.task in GENERAL:
        return "other"
    found = _read(problem, text)
    if not found.answered:
        return "repeated" if found.work.repeats else "unfinished"
    if not found.work.steps:
        return "guessed"
    if found.gave_up:
        return "gave up"
    return "false step" if found.rests_on_falsehood else "other"


def works_through(problem: Problem, text: str) -> bool:
    """Whether a completion has a readable step and did not give up, be its answer right or wrong.

    One that is cut off in the middle of a search has not given up; a chain cut off has.
    """
    if problem.task in GENERAL:
        return False
    found = _read(problem, text)
    return bool(found.work.steps) and not found.gave_up


def before_giving_up(problem: Problem, text: str) -> str | None:
    """The work of a completion that gave up, guessed or never answered; None of any other.

    What is left ends with its last line that holds a sum or a verdict, and that line's end.
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
        """Whether the steps add and subtract each number once, in any order, and nothing else.

        11-10+4 is also 11+4=15, 15-10=5.
        """
        there = Counter([("+", Fraction(self.start))])
        there.update((op, Fraction(number)) for op, number in self.operations)
        for step in attempt.steps:
            there.subtract(_terms(step))
            if min(there.values()) < 0:
                return False
            there["+", step.result] += 1
        return sum(there.values()) == 1


def _terms(step: Sum) -> list[tuple[str, Fraction]]:
    """The numbers of a sum with their signs; a product counts as a term that no chain has."""
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
        """Whether the steps use each number once, and what they make of them."""
        there = Counter(map(Fraction, self.numbers))
        for step in attempt.steps:
            there.subtract(Counter(step.numbers))
            if min(there.values()) < 0:
                return False
            there[step.result] += 1
        return +there == Counter([Fraction(self.target)])


@dataclass(frozen=True)
class _Found:
    """A completion as it is held against its problem.

    work: the thinking or, where none is marked, the text before the answer; rest: what else is
    said, the summary; answer: the number that is answered, of an expression its value.
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
        """But for the answer itself, which has to be right."""
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
    """Whether an attempt's verdict is true: of its result as stated, and of the target."""
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
    """What a question of the mini world gives; None of any other."""
    if problem.task == "arithmetic" and (found := _CHAIN.fullmatch(problem.id)):
        operations = [(op, int(number)) for op, number in _OPERATION.findall(found[2])]
        return _Chain(int(found[1]), tuple(operations))
    if problem.task == "countdown":
        numbers, _, target = problem.answer.partition("=")
        listed = numbers.split(",")
        if target.isdecimal() and all(number.isdecimal() for number in listed):
            return _Numbers(tuple(map(int, listed)), int(target))
    return None


def _read(problem: Problem, text: str) -> _Found:
    reading = read(text)
    said, marked, _ = text.partition(ANSWER_OPEN)
    work, rest = said, ""
    if reading.think.strip():
        before, _, after = text.partition(THINK_OPEN)
        after = after.partition(THINK_CLOSE)[2].partition(ANSWER_OPEN)[0]
        work, rest = reading.think, before + "\n" + after
    work, rest = (_TAG.sub("\n", part) for part in (work, rest))
    bare, thinks_on = False, THINK_OPEN in text and THINK_CLOSE not in text
    if reading.answer is None and not thinks_on:
        # Without a tag the answer is the last line, if it is nothing but an answer.
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
    return _Found(
        problem,
        _given(problem),
        *found,
        None if answer is None else value_of(answer),
        reading.answer is not None
        or bare
        or (not thinks_on and any(part.stated for part in found)),
    )
