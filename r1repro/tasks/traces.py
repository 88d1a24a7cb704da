"""A stronger teacher's answers as fine-tuning data: a file, or a data set of the hub."""

from itertools import islice
from pathlib import Path
from typing import Any

from r1repro import records
from r1repro.config import StudentsConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import sources
from r1repro.tasks.sources import Source
from r1repro.text.tags import THINK_CLOSE


def source(student: StudentsConfig) -> Source:
    """Where the traces are."""
    assert student.traces is not None
    if Path(student.traces).suffix in records.SUFFIXES:
        return Source("traces", path=student.traces)
    return Source("traces", hub=student.traces)


def rows(student: StudentsConfig) -> list[dict[str, Any]]:
    """Rows of a data set for SFT: a problem's columns and its `completion`, each question once.

    Of several completions the first is taken. Raises R1ReproError for a row that is not text or
    whose thinking does not end, and where there is none at all.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, row in sources.rows(source(student)):
        if len(found) == student.traces_rows:
            break
        prompt = records.field(row, student.traces_prompt, place)
        said = records.field(row, student.traces_completion, place)
        completion = next(iter(islice(said, 1)), None) if isinstance(said, list) else said
        if not (isinstance(prompt, str) and isinstance(completion, str) and completion.strip()):
            raise R1ReproError(f"{place}: {student.traces_completion} is no answer in text")
        if THINK_CLOSE not in completion:
            raise R1ReproError(
                f"{place}: {student.traces_completion} has no {THINK_CLOSE}, and a student is "
                "asked with its thinking begun: give the field that holds thinking and answer"
            )
        name = f"traces:{sources.canonical(prompt)}"
        problem = {"problem_id": name, "task": "traces", "language": "en", "level": 1}
        found.setdefault(name, problem | {"prompt": prompt, "answer": "", "completion": completion})
    if not found:
        raise R1ReproError(f"{student.traces} has no rows: give traces of a teacher")
    return list(found.values())
