"""Equality of mathematical answers, by rules and, where those are undecided, by sympy.

math-verify parses LaTeX and compares with sympy, which can take minutes or all memory on odd
expressions. It runs in worker processes with limits, so a failure costs one answer only.
"""

import math
import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection, wait
from typing import Any

from r1repro.errors import R1ReproError
from r1repro.rewards.math_answers import (
    Group,
    Leaf,
    decimals,
    number,
    parse,
    plain,
    readings,
)
from r1repro.text.prose import is_sentence
from r1repro.text.tags import marked_answer

SECONDS = 5.0
"""Time limit for one answer."""
START_SECONDS = 120.0
"""Time limit for a worker to import sympy."""
BYTES = 4 * 2**30
"""Memory limit of a worker."""


@dataclass(frozen=True)
class Verdict:
    """The result of one comparison.

    correct: whether the answer equals the gold answer.
    extracted: the compared answer, None if there was none.
    reason: why.
    """

    correct: bool
    extracted: str | None
    reason: str


def same(gold: str, answer: str) -> bool:
    """Whether two answers are equal, computed in this process; call it through a Verifier.

    Lists and sets compare in any order, tuples and intervals part by part, values by math-verify or
    numerically at sample points.
    """
    one, other = parse(gold), parse(answer)
    if isinstance(one, Group) == isinstance(other, Group):
        return _same(one, other)
    return _leaves(plain(gold), plain(answer))


def quick(gold: str, answer: str) -> bool | None:
    """Equality decided from the text alone; None if sympy is needed."""
    one, other = plain(gold), plain(answer)
    if one == other:
        return True
    pairs = [(a, b) for a in readings(one) for b in readings(other)]
    values = [(number(a), number(b)) for a, b in pairs]
    if any(None in pair for pair in values):
        return None
    return any(
        x == y or _rounded(a, b, y) or _rounded(b, a, x)
        for (a, b), (x, y) in zip(pairs, values, strict=True)
    )


def _rounded(decimal: str, other: str, exact: float | Fraction | None) -> bool:
    """Whether a decimal is the rounded exact value of the other side, which is not a decimal.

    Requires at least two decimal places and two significant digits.
    """
    digits, value = decimals(decimal), number(decimal)
    if exact is None or not value or digits is None or digits < 2 or decimals(other) is not None:
        return False
    significant = len(decimal.replace(".", "").lstrip("-0 "))
    return significant >= 2 and abs(value - Fraction(exact)) <= Fraction(1, 2 * 10**digits)


def _same(gold: Leaf | Group, answer: Leaf | Group) -> bool:
    if isinstance(gold, Leaf) and isinstance(answer, Leaf):
        return _leaves(gold.text, answer.text)
    if not isinstance(gold, Group) or not isinstance(answer, Group):
        return False
    if len(gold.parts) != len(answer.parts) or gold.kind != answer.kind:
        return False
    if gold.kind:
        return all(map(_same, gold.parts, answer.parts))
    left = list(answer.parts)
    for part in gold.parts:
        found = next((i for i, other in enumerate(left) if _named_alike(part, other)), None)
        if found is None:
            return False
        del left[found]
    return True


def _named_alike(gold: Leaf | Group, answer: Leaf | Group) -> bool:
    names = [part.name if isinstance(part, Leaf) else "" for part in (gold, answer)]
    return (not all(names) or names[0] == names[1]) and _same(gold, answer)


def _leaves(gold: str, answer: str) -> bool:
    known = quick(gold, answer)
    if known is not None:
        return known
    return any(_values(a, b) for a in readings(gold) for b in readings(answer))


def _values(gold: str, answer: str) -> bool:
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, verify
    from math_verify import parse as read

    kinds = [LatexExtractionConfig(), ExprExtractionConfig()]
    sides = [
        read(f"${text}$", extraction_config=kinds, parsing_timeout=None) for text in (gold, answer)
    ]
    if not all(sides):
        return False
    if verify(*sides, timeout_seconds=None):
        return True
    return _by_numbers(sides[0][0], sides[1][0], gold, answer)


def _by_numbers(first: Any, second: Any, gold: str, answer: str) -> bool:
    """Whether two expressions agree exactly, after rounding, or at sample points."""
    import sympy

    if not (isinstance(first, sympy.Expr) and isinstance(second, sympy.Expr)):
        return False
    if first.free_symbols != second.free_symbols:
        return False
    if not first.free_symbols:
        one, two = (complex(side.evalf(30)) for side in (first, second))
        if one.imag or two.imag or not math.isfinite(one.real + two.real):
            return False
        if _rounded(gold, answer, two.real) or _rounded(answer, gold, one.real):
            return True
    if first.has(sympy.Float) or second.has(sympy.Float):
        return False
    free = sorted(first.free_symbols, key=str)
    for point in _POINTS:
        at = {letter: sympy.Rational(point) * (i + 7) / 7 for i, letter in enumerate(free)}
        found = (first - second).subs(at).evalf(_DIGITS, maxn=200)
        size = abs(first.subs(at).evalf(15))
        if not (found.is_number and size.is_finite):
            return False
        if abs(found) > sympy.Float(10) ** (8 - _DIGITS) * max(1, size):
            return False
    return True


# Both signs, to distinguish absolute values and roots.
_POINTS = ("-2137/1000", "-293/1000", "411/1000", "1713/1000", "53/10")
_DIGITS = 60


def _work(pipe: Connection) -> None:
    """Worker loop: reply to (gold, answer) with True, False or a failure reason."""
    import logging

    import math_verify  # noqa: F401  slow import, done before any timer starts

    logging.disable(logging.CRITICAL)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    pipe.send(True)
    while True:
        try:
            gold, answer = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(same(gold, answer))
        except Exception as error:  # model output can make a parser raise anything
            pipe.send(f"not comparable: {type(error).__name__}")


class Verifier:
    """Worker processes that compare answers; a worker that hangs is killed and replaced."""

    def __init__(self, workers: int | None = None, seconds: float = SECONDS) -> None:
        self.seconds, self.timeouts = seconds, 0
        self._context = multiprocessing.get_context("spawn")
        self._wanted = workers or os.cpu_count() or 1
        self._workers: list[_Worker] = []

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self._workers:
            worker.end()
        self._workers = []

    def grade(
        self, golds: Sequence[str], texts: Sequence[str], answer_only: bool = False
    ) -> Iterator[Verdict]:
        """One verdict per completion, in order; with `answer_only` each text is an answer."""
        jobs: list[tuple[int, str, str]] = []
        verdicts: dict[int, Verdict] = {}
        for i, (gold, text) in enumerate(zip(golds, texts, strict=True)):
            answer = text if answer_only else marked_answer(text)
            known = quick(gold, answer) if answer is not None else None
            if answer is None:
                verdicts[i] = Verdict(False, None, "no answer")
            elif known is not None:
                verdicts[i] = Verdict(known, answer, "equal" if known else "different")
            else:
                jobs.append((i, gold, answer))
        answers = self._compared(jobs)
        for i in range(len(golds)):
            while i not in verdicts:
                index, verdict = next(answers)
                verdicts[index] = verdict
            yield verdicts.pop(i)

    def _compared(self, jobs: list[tuple[int, str, str]]) -> Iterator[tuple[int, Verdict]]:
        waiting = iter(jobs)
        for worker in self._workers:
            if worker.job is not None:  # the caller stopped before its verdict
                worker.replace()
        while len(self._workers) < min(self._wanted, len(jobs)):
            self._workers.append(_Worker(self._context))
        for worker in self._workers:
            worker.take(next(waiting, None), self.seconds)
        while busy := [worker for worker in self._workers if worker.job is not None]:
            soonest = min(worker.until for worker in busy) - time.monotonic()
            ready = wait([worker.pipe for worker in busy], max(0.0, soonest))
            for worker in busy:
                job = worker.job
                assert job is not None
                if worker.pipe in ready or worker.pipe.poll():
                    result = worker.answer()
                elif time.monotonic() >= worker.until:
                    result = f"no verdict within {self.seconds:g} s"
                    self.timeouts += 1
                    worker.replace()
                else:
                    continue
                yield job[0], _verdict(result, job[2])
                worker.take(next(waiting, None), self.seconds)


def _verdict(result: bool | str, answer: str) -> Verdict:
    if isinstance(result, str):
        return Verdict(False, answer, result)
    return Verdict(result, answer, "equal" if result else "different")


class _Worker:
    """A worker process, its pipe and its current job."""

    def __init__(self, context: Any) -> None:
        self._context, self.job, self.until = context, None, 0.0
        self._start()

    job: tuple[int, str, str] | None

    def _start(self) -> None:
        self.pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def take(self, job: tuple[int, str, str] | None, seconds: float) -> None:
        """Send a job once the process is ready."""
        self.job = job
        if job is None:
            return
        with suppress(OSError, EOFError):  # a dead process is detected when its answer is read
            if not self._ready and self.pipe.poll(START_SECONDS):
                self._ready = bool(self.pipe.recv())
            self.pipe.send(job[1:])
        self.until = time.monotonic() + seconds

    def answer(self) -> bool | str:
        try:
            result: bool | str = self.pipe.recv()
        except (EOFError, OSError):  # out of memory, or a parser crash
            self.replace()
            return "not comparable: its process died"
        return result

    def replace(self) -> None:
        self.job = None
        self.end()
        self._start()

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


def check_gold(gold: str, place: str, sentences: bool = False) -> None:
    """Raise R1ReproError if a gold answer is empty or, unless `sentences`, a sentence."""
    if not plain(gold):
        raise R1ReproError(
            f"{place}: the gold answer {gold!r} is empty; give an answer such as 12 or east"
        )
    if is_sentence(gold) and not sentences:
        raise R1ReproError(
            f"{place}: the gold answer {gold[:60]!r} is a sentence, which no rule can compare; "
            "give the answer alone, such as 12 or east"
        )


def throughput(count: int, seconds: float) -> str:
    return f"{count:,} answers in {seconds:.1f} s, {count / max(seconds, 1e-9):,.0f} a second"
