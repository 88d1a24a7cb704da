"""A stronger teacher's answers as fine-tuning data, from a file or a hub data set."""

from pathlib import Path
from typing import Any

from r1repro import row_files
from r1repro.config import StudentsConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import datasets, fields
from r1repro.tasks.datasets import Source
from r1repro.tasks.rewriting import tagged
from r1repro.text.tags import THINK_CLOSE


def source(student: StudentsConfig) -> Source:
    """The location of the traces."""
    assert student.traces is not None
    if Path(student.traces).suffix in row_files.SUFFIXES:
        return Source("traces", path=student.traces)
    return Source("traces", hub=student.traces)


def rows(student: StudentsConfig) -> list[dict[str, Any]]:
    """SFT rows (a problem's columns and its `completion`), the first completion of each question.

    A boxed answer is repeated in the answer tag, which rewards and evaluation read. Raises
    R1ReproError for a row that is not text or whose thinking does not end, and for an empty source.
    """
    by_question: dict[str, dict[str, Any]] = {}
    for place, row in datasets.rows(source(student)):
        if len(by_question) == student.traces_rows:
            break
        prompt = fields.turn(row_files.field(row, student.traces_prompt, place), fields.USER)
        completion = _answer(row_files.field(row, student.traces_completion, place))
        if not (isinstance(prompt, str) and isinstance(completion, str) and completion.strip()):
            raise R1ReproError(f"{place}: {student.traces_completion} must be non-empty text")
        if THINK_CLOSE not in completion:
            raise R1ReproError(
                f"{place}: {student.traces_completion} has no {THINK_CLOSE}, but students are "
                "prompted with an open think tag; give the column with thinking and answer"
            )
        name = f"traces:{datasets.canonical(prompt)}"
        problem = {"problem_id": name, "task": "traces", "language": "en", "level": 1}
        problem |= {"prompt": prompt, "answer": "", "completion": tagged(completion)}
        by_question.setdefault(name, problem)
    if not by_question:
        raise R1ReproError(f"{student.traces} has no rows; give a teacher's traces")
    return list(by_question.values())


def _answer(field: Any) -> str | None:
    """The text of a completion: itself, the first of several, or the last turn of a chat."""
    if isinstance(field, list) and field and not isinstance(field[0], dict):
        return field[0] if isinstance(field[0], str) else None
    return fields.turn(field, fields.ASSISTANT)
