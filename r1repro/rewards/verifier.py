"""Verdicts on mathematical answers, in worker processes with limits on time and memory.

Model output is hostile: an expression can ask for any amount of either. Whatever rational
arithmetic cannot decide is compared in a worker, so a failure costs one answer.
"""

import multiprocessing
import os
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from r1repro.errors import R1ReproError
from r1repro.rewards.math_answers.comparison import EQUAL, ROUNDED, compare
from r1repro.rewards.math_answers.notation import clean
from r1repro.text.prose import is_sentence
from r1repro.text.tags import marked_answer

SECONDS = 5.0
"""Time limit for one answer."""
START_SECONDS = 120.0
"""Time limit for a worker to start."""
BYTES = 4 * 2**30
"""Memory limit of a worker."""
_ROUNDED = "in doubt: rounded, and the question does not ask for it"


@dataclass(frozen=True)
class Verdict:
    """The result of one comparison.

    correct: whether the answer equals the gold answer; False where that is in doubt.
    lenient: whether it does apart from rounding that the question does not ask for.
    extracted: the compared answer, None if there was none.
    reason: why.
    """

    correct: bool
    lenient: bool
    extracted: str | None
    reason: str


def quick(gold: str, answer: str, question: str | None = None) -> str | None:
    """The result of `compare` where rational arithmetic decides; None where a worker has to."""
    try:
        return compare(gold, answer, question, quick=True)
    except Exception:  # undecided, or a failure that the worker repeats and names
        return None


class Verifier:
    """Worker processes that compare answers; a worker that hangs is killed and replaced."""

    def __init__(self, workers: int | None = None, seconds: float = SECONDS) -> None:
        self.seconds, self.timeouts = seconds, 0
        self._most = workers or os.cpu_count() or 1
        self._idle: list[_Worker] = []

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(self, *error: object) -> None:
        while self._idle:
            self._idle.pop().end()

    def grade(
        self,
        golds: Sequence[str],
        texts: Sequence[str],
        answer_only: bool = False,
        questions: Sequence[str | None] = (),
    ) -> Iterator[Verdict]:
        """One verdict per completion, in order.

        answer_only: each text is an answer. questions: see `compare`.
        """
        known = questions or [None] * len(golds)
        threads = ThreadPoolExecutor(self._most)
        found: list[tuple[str | None, str | Future[str]]] = []
        try:
            for gold, text, question in zip(golds, texts, known, strict=True):
                answer = text if answer_only else marked_answer(text)
                result = "no answer" if answer is None else quick(gold, answer, question)
                late = result or threads.submit(self._compared, gold, answer, question)
                found.append((answer, late))
            for answer, late in found:
                told = late if isinstance(late, str) else late.result()
                lenient, reason = told in (EQUAL, ROUNDED), _ROUNDED if told == ROUNDED else told
                yield Verdict(told == EQUAL, lenient, answer, reason)
        finally:  # also where the caller stops early
            threads.shutdown(cancel_futures=True)

    def _compared(self, *job: str | None) -> str:
        """The result of `compare`, or why there is none; each thread has a worker to itself."""
        try:
            worker = self._idle.pop()
        except IndexError:
            worker = _Worker()
        try:
            worker.pipe.send(job)
            if worker.pipe.poll(self.seconds):
                result: str = worker.pipe.recv()
                self._idle.append(worker)
                return result
            self.timeouts += 1
            result = f"no verdict within {self.seconds:g} s"
        except (EOFError, OSError):  # out of memory, or a parser crash
            result = "not comparable: its process died"
        worker.end()
        return result


class _Worker:
    """A process that compares, and a pipe to it."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        with suppress(EOFError, OSError):  # a dead process is noticed at its first answer
            if self.pipe.poll(START_SECONDS):
                self.pipe.recv()

    def end(self) -> None:
        self.pipe.close()
        self._process.kill()
        self._process.join()


def _work(pipe: Connection) -> None:
    """Worker loop: replies to (gold, answer, question) with a result or the reason of a failure."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (BYTES, BYTES))
    pipe.send(True)
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(compare(*job))
        except Exception as error:  # model output can make a parser raise anything
            pipe.send(f"not comparable: {type(error).__name__}")


def check_gold(gold: str, place: str, sentences: bool = False) -> None:
    """Raise R1ReproError if a gold answer is empty or, unless `sentences`, a sentence."""
    if not clean(gold):
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
