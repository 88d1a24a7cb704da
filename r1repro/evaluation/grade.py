"""Grades the mathematical answers in a file: one row out for each row in."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from r1repro import row_files
from r1repro.errors import R1ReproError
from r1repro.rewards.verifier import Verdict, Verifier, check_gold
from r1repro.tasks.datasets import right_answer
from r1repro.tasks.fields import completion_text, gold_text
from r1repro.text.escapes import mended
from r1repro.text.prose import is_sentence
from r1repro.text.tags import THINK_CLOSE, THINK_OPEN, marked_answer, math_answer
from r1repro.text.turns import one_family, runs_on

NO_GOLD, NO_TEXT = "no gold answer", "no completion: null"
_OWN = ("correct", "lenient", "extracted", "reason")


@dataclass
class Job:
    """What to grade.

    gold, text, question: names of fields; see `compare`.
    answer_only: the text is the bare answer.
    last: read the last stated value where nothing is marked.
    seconds: time limit for one answer.
    """

    file: Path
    gold: str = "gold"
    text: str = "completion"
    question: str | None = None
    answer_only: bool = False
    last: bool = False
    seconds: float = 5.0


@dataclass
class Counts:
    """What a file held; see `lines`."""

    rows: int = 0
    right: int = 0
    lenient: int = 0
    unmarked: int = 0
    ran_on: int = 0
    sentences: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict | None, reason: str) -> None:
        self.reasons[reason] += 1
        if verdict is not None:
            self.rows += 1
            self.right += verdict.correct
            self.lenient += verdict.lenient

    def lines(self, job: Job) -> Iterator[str]:
        """The summary, a line each."""
        share = 100 * self.ran_on / max(1, self.rows)
        went_on = "" if job.answer_only else f"; went on after the answer: {share:.1f} %"
        lenient = f"lenient, with rounding that is not asked for: {self.lenient} of {self.rows}"
        yield f"correct: {self.right} of {self.rows}; {lenient}{went_on}"
        for reason, count in self.reasons.most_common():
            yield f"{reason}: {count}"
        if not job.answer_only:
            read = ", read from the last stated value" if job.last else ""
            yield f"without a marked answer: {self.unmarked} of {self.rows}{read}"
            yield f"went on after the answer: {self.ran_on} of {self.rows} ({share:.1f} %)"
        if self.sentences:
            note = "gold answers that are sentences, which match only the same words"
            yield f"{note}: {self.sentences}"


@dataclass
class _Row:
    fields: dict[str, Any]
    gold: str | None
    text: str | None
    question: str | None
    answer: str | None = None


def grade(job: Job, counts: Counts) -> Iterator[dict[str, Any]]:
    """Each row with its own fields and a verdict; fills `counts`.

    A row without a gold answer gets `correct: None`. Where a row has fields of the verdict's names,
    the verdict's are called graded_correct and so on. Raises R1ReproError for a malformed row,
    before the first verdict, and if no row has a gold answer.
    """
    rows = [_row(job, f"{job.file}, row {i}", row) for i, row in row_files.read(job.file)]
    if not any(row.gold is not None for row in rows):
        raise R1ReproError(f"{job.file}: {job.gold} is empty in every row: give gold answers")
    prefix = "graded_" if any(name in row.fields for row in rows for name in _OWN) else ""
    graded = [row for row in rows if row.gold is not None and row.text is not None]
    _read_answers(job, graded, counts)
    counts.sentences = sum(is_sentence(row.gold) for row in rows if row.gold)
    stated = [row for row in graded if row.answer]
    with Verifier(seconds=job.seconds) as verifier:
        verdicts = verifier.grade(
            [str(row.gold) for row in stated],
            [str(row.answer) for row in stated],
            answer_only=True,
            questions=[row.question for row in stated],
        )
        for row in rows:
            verdict, reason = None, NO_GOLD
            if row.gold is not None:
                missing = NO_TEXT if row.text is None else "no answer"
                verdict = next(verdicts) if row.answer else Verdict(False, False, None, missing)
                reason = verdict.reason
            counts.add(verdict, reason)
            shown = asdict(verdict) if verdict else {**dict.fromkeys(_OWN), "reason": reason}
            yield {**row.fields, **{prefix + name: value for name, value in shown.items()}}


def _row(job: Job, place: str, row: dict[str, Any]) -> _Row:
    gold = gold_text(row_files.field(row, job.gold, place), f"{place}, {job.gold}")
    if gold is not None:
        gold = right_answer(gold)
        check_gold(gold, place, sentences=job.answer_only)
    value = row_files.field(row, job.text, place)
    if job.answer_only and isinstance(value, int | float) and not isinstance(value, bool):
        value = gold_text(value, place)
    text = completion_text(value, job.text, place)
    asked = None if job.question is None else str(row_files.field(row, job.question, place))
    return _Row(row, gold, text, asked)


def _read_answers(job: Job, rows: list[_Row], counts: Counts) -> None:
    """Set each row's `answer`; counts the rows that mark none and those that run on."""
    opened = not job.answer_only and opens_in_prompt([row.text or "" for row in rows])
    for row in rows:
        text = row.text or ""
        if job.answer_only:
            row.answer = mended(text).strip()
            continue
        counts.ran_on += runs_on(text)
        unfinished = opened and THINK_CLOSE not in one_family(text)
        row.answer = None if unfinished else marked_answer(text)
        counts.unmarked += row.answer is None
        if row.answer is None and job.last and not unfinished:
            row.answer = math_answer(text)


def opens_in_prompt(texts: list[str]) -> bool:
    """Whether the prompts opened the thinking: most completions close it without opening it.

    A completion of such a file without a closing tag was cut off in its thinking.
    """
    told = [one_family(text) for text in texts]
    closed = sum(THINK_CLOSE in text and THINK_OPEN not in text for text in told)
    return 2 * closed > len(texts)
