"""Parses the work in a text line by line and checks each of its equations.

See equations.py for what an equation is. Besides steps there are

- rechecks, introduced by a word such as "wait" or 检查: they replace the previous step;
- checks, which compare a result with a target: "17-15=2, no", "15-15=0，对";
- verdicts: "no", "not 15", 正好15; a check or a verdict ends an attempt;
- stated answers: "The answer is 15".

Any other line with a digit is unparsed, including a restated question, and so is a line with a
number outside its equation: no number passes unread.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from r1repro.text import equations
from r1repro.text.equations import Sum

AFFIRMING = ("yes", "correct", "对", "正确")
DENYING = ("no", "wrong", "incorrect", "不对", "错了")
_MARKER = re.compile(r"^\s{0,20}(?:[-*•#]{1,6}\s+)?(?:step\s{0,3})?\d{1,2}[.):：、]\s+", re.I)
_BULLET = re.compile(r"^\s{0,20}[-*•]\s+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_RECHECK = re.compile(
    r"^\W{0,5}(?:no[,，]\s{0,3}wrong|wait|hold on|check|let me (?:verify|check|recheck)"
    r"|等等|等一下|检查|检验|验证|验算|不对)",
    re.I,
)
_AFTER = re.compile(
    r"^[\s,，;；。.:：-]{0,5}(?:(?P<yes>yes|correct|right|正确|对(?![于应称面]))"
    r"|(?P<no>no|wrong|incorrect|not|不对|不是|错了?))(?![A-Za-z])",
    re.I,
)
_NAMED = re.compile(
    r"^(?:no[,，]?\s{1,3}|不对，)?(?:(?P<no>(?:that is |it is |is )?not|不是|不等于)"
    r"|(?P<yes>that is|it is|yes,? that is|正好|等于|就是))"
    r"\s{0,3}(?P<number>-?\d[\d.]*?)[.。!！]?$",
    re.I,
)
_ANSWER = re.compile(r"(?:answer is|answer:|答案是|答案为|答案：|####)\s{0,3}(.*)$", re.I)
_TRAILING = re.compile(r"(?:and so on|etc|如此类推|\.{3}|…)[\s.。…]{0,8}$", re.I)
"""Marks omitted work, on its own line or at the end of an equation."""
_EDGES = " \t,，.。:：;；!！*"


@dataclass(frozen=True)
class Verdict:
    """A statement that an attempt's result is or is not the target.

    difference: the subtraction of a check, such as 17-15=2.
    number: the number that a verdict names, such as 15 in "not 15".
    """

    affirms: bool
    difference: Sum | None = None
    number: Fraction | None = None


@dataclass(frozen=True)
class Attempt:
    """Steps up to a verdict; a rechecked step appears once, as last written."""

    steps: tuple[Sum, ...]
    verdict: Verdict | None = None

    @property
    def result(self) -> Fraction | None:
        return self.steps[-1].result if self.steps else None


@dataclass(frozen=True)
class Line:
    """The content of one line.

    digits: whether the line contains any digit.
    parsed: whether every number in it was read.
    """

    sums: tuple[Sum, ...] = ()
    recheck: bool = False
    verdict: Verdict | None = None
    stated: Fraction | None = None
    trailing: bool = False
    digits: bool = False
    parsed: bool = False


@dataclass(frozen=True)
class Work:
    """All lines of a text and the attempts they form."""

    lines: tuple[Line, ...]
    attempts: tuple[Attempt, ...]

    @property
    def steps(self) -> tuple[Sum, ...]:
        """Steps of all attempts, without checks and replaced steps."""
        return tuple(step for attempt in self.attempts for step in attempt.steps)

    @property
    def last(self) -> Attempt | None:
        """The last attempt with at least one step."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.steps), None)

    @property
    def true(self) -> bool:
        """Whether every equation holds, including those corrected later."""
        return all(found.true for line in self.lines for found in line.sums)

    @property
    def stated(self) -> tuple[Fraction, ...]:
        """The answers stated in words."""
        return tuple(line.stated for line in self.lines if line.stated is not None)

    @property
    def digit_lines(self) -> int:
        return sum(line.digits for line in self.lines)

    @property
    def parsed_lines(self) -> int:
        return sum(line.digits and line.parsed for line in self.lines)

    @property
    def broken_off(self) -> bool:
        """Whether any line marks omitted work."""
        return any(line.trailing for line in self.lines)

    @property
    def affirms_false_sum(self) -> bool:
        """Whether a recheck or an affirmed check contains a false equation."""
        return any(
            not found.true
            for line in self.lines
            if line.recheck or (line.verdict is not None and line.verdict.affirms)
            for found in line.sums
        )

    @property
    def repeats(self) -> bool:
        """Whether an attempt occurs twice, or a step twice within one attempt."""
        whole = [attempt.steps for attempt in self.attempts if attempt.steps]
        return any(len(set(each)) < len(each) for each in (whole, *whole))


def read_work(text: str) -> Work:
    """Parse a text without tags, line by line."""
    lines = tuple(read_line(line) for line in text.split("\n") if line.strip())
    return Work(lines, tuple(_attempts(lines)))


def value_of(text: str) -> Fraction | None:
    """The value of a single numeric expression, such as "8", "1/2" or "(3+5)-7"; else None."""
    plain = equations.plain(text.strip().rstrip(".。"))
    return equations.value(equations.tokens(plain.partition("=")[0].strip()))


def read_line(line: str) -> Line:
    """Parse one line."""
    plain = equations.plain(line)
    digits = bool(re.search(r"\d", plain))
    if not digits:
        bare = plain.strip(_EDGES).lower()
        if _TRAILING.match(line.strip(" \t,，")):
            return Line(trailing=True)
        if bare in AFFIRMING or bare in DENYING:
            return Line(verdict=Verdict(bare in AFFIRMING))
        return Line()
    plain = _BULLET.sub("", _MARKER.sub("", plain))
    if named := _NAMED.match(plain.strip()):
        explicit = Verdict(named["no"] is None, number=_number(named["number"]))
        return Line(verdict=explicit, digits=True, parsed=explicit.number is not None)
    sums, outside, whole = equations.sums(plain)
    if not sums:
        stated = _stated(plain)
        return Line(stated=stated, digits=True, parsed=stated is not None)
    held = {number for found in sums for number in (*found.numbers, abs(found.result))}
    stray = (_number(number) for part in outside for number in _NUMBER.findall(part))
    parsed = whole and all(number in held for number in stray)
    verdict = None
    if after := _AFTER.match(outside[-1]):
        last = sums[-1]
        difference = last if len(last.tokens) == 3 and last.tokens[1] == "-" else None
        verdict = Verdict(after["no"] is None, difference)
    recheck, trailing = bool(_RECHECK.match(outside[0])), bool(_TRAILING.search(plain))
    return Line(tuple(sums), recheck, verdict, None, trailing, True, parsed)


def _attempts(lines: tuple[Line, ...]) -> list[Attempt]:
    found: list[Attempt] = []
    steps: list[Sum] = []
    for line in lines:
        check = line.verdict is not None and line.verdict.difference is not None
        for step in line.sums[:-1] if check else line.sums:
            # A recheck, with or without an introducing word, replaces the previous step.
            if steps and steps[-1].tokens == step.tokens:
                steps.pop()
            steps.append(step)
        if line.verdict is not None:
            found.append(Attempt(tuple(steps), line.verdict))
            steps = []
    if steps:
        found.append(Attempt(tuple(steps)))
    return found


def _stated(line: str) -> Fraction | None:
    """The value in "The answer is ...", ignoring words after it."""
    match = _ANSWER.search(line)
    if match is None:
        return None
    answer = match[1].strip().lstrip("*: ")
    rest = answer.lstrip(equations.EXPRESSION)
    if re.search(r"\d", rest) or re.search(r"\d", line[: match.start()]):
        return None
    return _number(answer[: len(answer) - len(rest)])


def _number(text: str) -> Fraction | None:
    return equations.value(equations.tokens(text.strip().rstrip(".")))
