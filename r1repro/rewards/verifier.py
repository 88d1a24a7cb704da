"""Verdicts on mathematical answers, in worker processes with limits on time and memory.

Model output is hostile: an expression can ask for any amount of either. Whatever rational
arithmetic cannot decide is compared in a worker, so a failure costs one answer.
"""

import multiprocessing
import os
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

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


_Job = tuple[int, str, str, str | None]
"""Its place, the gold answer, the answer, and the question if it is known."""


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
        self,
        golds: Sequence[str],
        texts: Sequence[str],
        answer_only: bool = False,
        questions: Sequence[str | None] = (),
    ) -> Iterator[Verdict]:
        """One verdict per completion, in order.

        answer_only: each text is an answer. questions: see `compare`.
        """
        jobs: list[_Job] = []
        verdicts: dict[int, Verdict] = {}
        known = questions or [None] * len(golds)
        for i, (gold, text, asked) in enumerate(zip(golds, texts, known, strict=True)):
            answer = text if answer_only else marked_answer(text)
            result = quick(gold, answer, asked) if answer is not None else None
            if answer is None:
                verdicts[i] = Verdict(False, False, None, "no answer")
            elif result is not None:
                verdicts[i] = verdict(result, answer)
            else:
                jobs.append((i, gold, answer, asked))
        answers = self._compared(jobs)
        for i in range(len(golds)):
            while i not in verdicts:
                index, late = next(answers)
                verdicts[index] = late
            yield verdicts.pop(i)
        next(answers, None)  # lets the last worker go idle rather than be replaced

    def _compared(self, jobs: list[_Job]) -> Iterator[tuple[int, Verdict]]:
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
                yield job[0], verdict(result, job[2])
                worker.take(next(waiting, None), self.seconds)


def verdict(result: str, answer: str) -> Verdict:
    """From a result of `compare`, or the reason why there is none."""
    reason = _ROUNDED if result == ROUNDED else result
    return Verdict(result == EQUAL, result in (EQUAL, ROUNDED), answer, reason)


class _Worker:
    """A worker process, its pipe and its current job."""

    def __init__(self, context: Any) -> None:
        self._context, self.job, self.until = context, None, 0.0
        self._start()

    job: _Job | None

    def _start(self) -> None:
        self.pipe, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()
        self._ready = False

    def take(self, job: _Job | None, seconds: float) -> None:
        """Send a job once the process is ready."""
        self.job = job
        if job is None:
            return
        with suppress(OSError, EOFError):  # a dead process is detected when its answer is read
            if not self._ready and self.pipe.poll(START_SECONDS):
                self._ready = bool(self.pipe.recv())
            self.pipe.send(job[1:])
        self.until = time.monotonic() + seconds

    def answer(self) -> str:
        try:
            result: str = self.pipe.recv()
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
