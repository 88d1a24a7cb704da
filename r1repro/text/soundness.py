"""Parses the arithmetic in a text line by line and checks each equation.

An equation has numbers joined by operators on the left of "=" and a number on the right: "12+5=17",
"5 × 3 = 15", "48/2 = <<48/2=24>>24", "2*3+4 = 6+4 = 10". Words in any language may surround it.
Besides steps there are

- rechecks, introduced by a word such as "wait" or 检查: they replace the previous step;
- checks, which compare a result with a target: "17-15=2, no", "15-15=0，对";
- verdicts: "no", "not 15", 正好15; a check or a verdict ends an attempt;
- stated answers: "The answer is 15".

Any other line with a digit is unparsed, including a restated question. So is a line with a number
outside its equation, which keeps unread numbers from passing unnoticed. Ambiguous text is not read
as an equation: "2x+3=7", "20% of 50 = 10", "7/2 = 3 remainder 1", "3+4=8?".

Nothing is evaluated by Python, every expression is bounded, and time is linear in the text.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_CHARACTERS = 200
"""Maximum characters on one side of an equation."""
MAX_CHAIN = 8
"""Maximum sides after the first, as in "2*3+4 = 6+4 = 10"."""
MAX_DIGITS = 12
"""Maximum digits on either side of a number's decimal point."""
AFFIRMING = ("yes", "correct", "对", "正确")
DENYING = ("no", "wrong", "incorrect", "不对", "错了")

_EXPRESSION = "0123456789.()+-*/ \t"
_SIGNS = str.maketrans(
    {"×": "*", "·": "*", "∙": "*", "÷": "/", "−": "-", "–": "-", "（": "(", "）": ")", "＝": "="}
    | {"$": "", "`": "", "\u00a0": " ", "＋": "+"}
)
_LATEX = {r"\times": "*", r"\cdot": "*", r"\div": "/", r"\left": "", r"\right": ""}
_REMOVED = re.compile(
    r"<<[^<>\n]{0,200}>>"  # GSM8K calculator annotations
    r"|\\[()\[\],;! ]|(?<![\d)])\*\*|\*\*(?![\d(])"
)
_FRACTION = re.compile(r"\\[dt]?frac\{([^{}]{1,40})\}\{([^{}]{1,40})\}")
_BOXED = re.compile(r"\\boxed\{([^{}]{1,80})\}")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_LETTER_TIMES = re.compile(r"(?<=[\d)]) {0,3}[xX] {0,3}(?=[\d(])")
_MARKER = re.compile(r"^\s{0,20}(?:[-*•#]{1,6}\s+)?(?:step\s{0,3})?\d{1,2}[.):：、]\s+", re.I)
_BULLET = re.compile(r"^\s{0,20}[-*•]\s+")
_TOKEN = re.compile(r"\d+(?:\.\d+)?|\.\d+|[-+*/()]")
_APART = re.compile(r"(?<=[\d)])[ \t]+(?=[\d(.])")
"""Two numbers without an operator between them: "3 1/2", "350 000"."""
_STOP = re.compile(r"(?:^|(?<=[\d)]))[ \t]*\.[ \t]+")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_LAST_WORD = re.compile(r"([A-Za-z]{1,20})[\s:]*$")
_ASCII_LETTER = re.compile(r"[A-Za-z]")
_JOINED = re.compile(
    r"(?:\b(?:times|plus|minus|by|over|mod)|(?:[%\d]|percent|half|thirds?|quarters?|\d[a-z]{2}) of)"
    r"\s{0,3}$",
    re.I,
)
"""Words that continue an expression: "20% of 50 - 5 = 5"."""
_QUALIFIED = re.compile(
    r"\s*(?:r(?:em(?:ainder)?)?\b|余|又|万|亿|千|百|and\s+(?:a|one)\b|and\s+\d+/"
    r"|(?:hundred|thousand|million|billion|hours?|feet|pounds)\b)",
    re.I,
)
"""Suffixes that change the value of a number: "3 remainder 1", "2 million", "1 hour 30"."""
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
class Sum:
    """An equation: an expression such as ("12", "+", "5") and its stated result."""

    tokens: tuple[str, ...]
    result: Fraction
    true: bool

    @property
    def numbers(self) -> tuple[Fraction, ...]:
        return tuple(Fraction(token) for token in self.tokens if token not in "+-*/()")

    @property
    def operators(self) -> int:
        """Number of operations."""
        return sum(token in "+-*/" for token in self.tokens)


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
        return len(set(whole)) < len(whole) or any(len(set(one)) < len(one) for one in whole)


def read_work(text: str) -> Work:
    """Parse a text without tags, line by line."""
    lines = tuple(read_line(line) for line in text.split("\n") if line.strip())
    return Work(lines, tuple(_attempts(lines)))


def value_of(text: str) -> Fraction | None:
    """The value of a single numeric expression, such as "8", "1/2" or "(3+5)-7"; else None."""
    text = _plain(text.strip().rstrip(".。")).strip()
    tokens = _tokens(text.partition("=")[0].strip())
    return None if tokens is None else _value(tokens)


def read_line(line: str) -> Line:
    """Parse one line."""
    plain = _plain(line)
    digits = bool(re.search(r"\d", plain))
    bare = plain.strip(_EDGES).lower()
    if not digits:
        if _TRAILING.match(line.strip(" \t,，")):
            return Line(trailing=True)
        if bare in AFFIRMING or bare in DENYING:
            return Line(verdict=Verdict(bare in AFFIRMING))
        return Line()
    plain = _BULLET.sub("", _MARKER.sub("", plain))
    if named := _NAMED.match(plain.strip()):
        explicit = Verdict(named["no"] is None, number=_number(named["number"]))
        return Line(verdict=explicit, digits=True, parsed=explicit.number is not None)
    sums, outside, whole = _sums(plain)
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


def _plain(text: str) -> str:
    """Arithmetic signs in one notation, markup removed."""
    text = text.translate(_SIGNS)
    if "\\" in text:
        for theirs, ours in _LATEX.items():
            text = text.replace(theirs, ours)
        text = _FRACTION.sub(r"((\1)/(\2))", text)
    text = _REMOVED.sub("", text)
    text = _BOXED.sub(r"\1", text)
    return _LETTER_TIMES.sub("*", _THOUSANDS.sub("", text)).replace("==", "=")


def _sums(line: str) -> tuple[list[Sum], list[str], bool]:
    """(equations, text before, between and after them, whether every "=" was read)."""
    pieces = line.split("=")
    sums: list[Sum] = []
    outside: list[str] = []
    whole, at, rest = True, 0, pieces[0]
    while at < len(pieces) - 1:
        head, left = _left(rest)
        end, sides, after, more = at + 1, [left], "", True
        while left is not None and more and len(sides) <= MAX_CHAIN:
            side, after, more = _right(pieces[end], end < len(pieces) - 1)
            sides.append(side)
            more = more and side is not None
            end += more
        found = _sum(sides)
        if found is not None and not after.lstrip().startswith(("?", "？")):
            sums.append(found)
            outside.append(head)
            at, rest = end, after
            continue
        # A label may precede the equation: "Total = 3+4 = 7".
        whole = whole and not re.search(r"\d", rest)
        outside.append(rest)
        at, rest = at + 1, pieces[at + 1]
    outside.append(rest)
    return sums, outside, whole


def _sum(sides: list[tuple[str, ...] | None]) -> Sum | None:
    """The equation with these sides.

    None if the first side has no operation or the last is not a number.
    """
    if len(sides) < 2 or any(side is None for side in sides):
        return None
    first, *others = (side for side in sides if side is not None)
    if not any(token in "+-*/" for token in first[1:]) or not _is_number(others[-1]):
        return None
    values = [_value(side) for side in (first, *others)]
    if any(value is None for value in values):
        return None
    known = [value for value in values if value is not None]
    equal = (_equal(known[0], value, side) for value, side in zip(known[1:], others, strict=True))
    return Sum(first, known[-1], all(equal))


def _equal(value: Fraction, stated: Fraction, side: tuple[str, ...]) -> bool:
    """Whether `stated` equals `value`, exactly or rounded to two or more decimals."""
    decimals = len(side[-1].partition(".")[2])
    return value == stated or (decimals > 1 and abs(value - stated) < Fraction(1, 10**decimals))


def _left(piece: str) -> tuple[str, tuple[str, ...] | None]:
    """(the text before, the expression at the end of a piece)."""
    head = piece.rstrip(_EXPRESSION)
    if len(piece) - len(head) > MAX_CHARACTERS:
        return piece, None
    tail = _STOP.split(piece[len(head) :])[-1]
    sentence = len(head) + len(tail) < len(piece)
    head, text = piece[: len(piece) - len(tail)], tail.strip()
    if not text or _APART.search(text):
        return piece, None
    before = "" if sentence else head.rstrip()
    if before:
        if text[0] in "+-*/)" or before[-1] in "^_%}]!\\|<>~":
            return piece, None
        apart = tail[0] in " \t"
        if text[0] == "." and not apart:
            return piece, None
        word = _LAST_WORD.search(before[-40:])
        # not plain equations: "20% of 50+5", "students x 3/4", "f(3+4)", "x12+5"
        if (word and len(word[1]) == 1) or _JOINED.search(before[-40:]):
            return piece, None
        if word and not apart and text[0] == "(":
            return piece, None
    return head, _tokens(text)


def _right(piece: str, followed: bool) -> tuple[tuple[str, ...] | None, str, bool]:
    """(the expression at the start of a piece, the text after it, whether it is the whole piece).

    followed: another "=" follows the piece, so the left side of the next equation may begin in it.
    """
    rest = piece.lstrip(_EXPRESSION)
    lead = piece[: len(piece) - len(rest)]
    if len(lead) > MAX_CHARACTERS:
        return None, piece, False
    if stop := _STOP.search(lead):
        lead, rest = lead[: stop.start()], piece[stop.start() :]
    text = lead.strip()
    if apart := _APART.search(text):
        # "12+5=17 17-3=14" is two equations, "= 3 1/2" is one number
        first, second = text[: apart.start()], text[apart.end() :]
        if followed and not rest.strip() and re.search(r"[-+*]", second):
            return _tokens(first), " " + second, False
        return None, piece, False
    if not rest.strip():
        return _tokens(text.rstrip(".")), "", followed
    # The text that follows may change the value of this number.
    touching = lead[-1:] not in (" ", "\t") and not stop
    if touching and (rest[0] in "^_%!\\{°" or (text[-1:] != "." and _ASCII_LETTER.match(rest))):
        return None, piece, False
    if _QUALIFIED.match(rest[:30]):
        return None, piece, False
    return _tokens(text.rstrip(".")), rest, False


def _stated(line: str) -> Fraction | None:
    """The value in "The answer is ...", ignoring words after it."""
    match = _ANSWER.search(line)
    if match is None:
        return None
    answer = match[1].strip().lstrip("*: ")
    rest = answer.lstrip(_EXPRESSION)
    tokens = _tokens(answer[: len(answer) - len(rest)].strip().rstrip("."))
    if tokens is None or re.search(r"\d", rest) or re.search(r"\d", line[: match.start()]):
        return None
    return _value(tokens)


def _tokens(text: str) -> tuple[str, ...] | None:
    """Numbers, operators and parentheses; None if the text contains anything else."""
    if not text or len(text) > MAX_CHARACTERS:
        return None
    tokens = tuple(_TOKEN.findall(text))
    if sum(map(len, tokens)) != len(re.sub(r"[ \t]", "", text)):
        return None
    if any(len(part) > MAX_DIGITS for token in tokens for part in token.split(".")):
        return None
    return tokens


def _number(text: str) -> Fraction | None:
    tokens = _tokens(text.strip().rstrip("."))
    return None if tokens is None else _value(tokens)


def _is_number(tokens: tuple[str, ...]) -> bool:
    """Whether the tokens are a number, optionally signed, or a fraction."""
    digits = [token for token in tokens if token not in "+-*/()"]
    kinds = "".join("n" if token in digits else token for token in tokens)
    return kinds in ("n", "-n", "n/n", "-n/n", "((n)/(n))")


def _value(tokens: tuple[str, ...]) -> Fraction | None:
    """Evaluate with two stacks; None for an invalid expression or division by zero."""
    values: list[Fraction] = []
    waiting: list[str] = []
    binds = {"+": 1, "-": 1, "*": 2, "/": 2, "negative": 3}
    operand = True

    def apply() -> bool:
        operator = waiting.pop()
        if operator == "negative":
            values[-1] = -values[-1]
            return True
        right, left = values.pop(), values.pop()
        if operator == "/" and right == 0:
            return False
        values.append(
            left + right
            if operator == "+"
            else left - right
            if operator == "-"
            else left * right
            if operator == "*"
            else left / right
        )
        return True

    for token in tokens:
        if operand:
            if token == "(":
                waiting.append(token)
            elif token == "-" and (not waiting or waiting[-1] == "("):
                waiting.append("negative")
            elif token in "+-*/)":
                return None
            else:
                values.append(Fraction(token))
                operand = False
        elif token == ")":
            while waiting and waiting[-1] != "(":
                if not apply():
                    return None
            if not waiting:
                return None
            waiting.pop()
        elif token in binds:
            while waiting and waiting[-1] != "(" and binds[waiting[-1]] >= binds[token]:
                if not apply():
                    return None
            waiting.append(token)
            operand = True
        else:
            return None
    if operand:
        return None
    while waiting:
        if waiting[-1] == "(" or not apply():
            return None
    return values[-1]
