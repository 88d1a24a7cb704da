"""General fine-tuning and preference data of your own, in place of the mini world's items."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1repro import row_files
from r1repro.config import GeneralConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import fields
from r1repro.tasks.problem import Problem
from r1repro.text.language import language_of
from r1repro.text.tags import ANSWER_CLOSE, ANSWER_OPEN, THINK_CLOSE, THINK_OPEN, read

TASK = "instruction"
"""The family of a person's own questions."""


def problem(prompt: str) -> Problem:
    """A general question, which no rule can grade."""
    name = hashlib.sha256(prompt.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return Problem(f"{TASK}:{name}", TASK, language_of(prompt), 1, prompt.strip(), "")


def completions(general: GeneralConfig) -> list[tuple[Problem, str]]:
    """Questions with answers in R1's form (`in_form`), without duplicates.

    Raises R1ReproError for a row without question or answer.
    """
    found: dict[str, tuple[Problem, str]] = {}
    for place, row, asked in _rows(general, general.sft, general.completion):
        said = _text(row, general.completion, fields.ASSISTANT, place)
        found.setdefault(asked.id, (asked, in_form(said)))
    return list(found.values())


def pairs(general: GeneralConfig) -> list[tuple[Problem, str, str]]:
    """(question, chosen answer, rejected answer) of each row.

    Raises R1ReproError for a row that lacks one of them, or whose answers are the same.
    """
    found = []
    for place, row, asked in _rows(general, general.pairs, general.chosen):
        names = (general.chosen, general.rejected)
        chosen, rejected = (_text(row, name, fields.ASSISTANT, place) for name in names)
        if chosen == rejected:
            raise R1ReproError(f"{place}: {names[0]} and {names[1]} are the same; drop the row")
        found.append((asked, chosen, rejected))
    return found


def in_form(said: str) -> str:
    """The answer with its thinking, empty if it has none, and the rest in the answer tag."""
    if read(said).answer is not None:
        return said
    thought, closed, rest = said.rpartition(THINK_CLOSE)
    thought = thought.partition(THINK_OPEN)[2] if THINK_OPEN in thought else thought
    head = f"{THINK_OPEN}{thought if closed else chr(10)}{THINK_CLOSE}"
    return f"{head}\n{ANSWER_OPEN}{rest.strip()}{ANSWER_CLOSE}"


def _rows(
    general: GeneralConfig, path: str | None, chat: str
) -> Iterator[tuple[str, dict[str, Any], Problem]]:
    """(place for messages, row, question); the question may be in the chat of the answer."""
    assert path is not None
    for number, row in row_files.read(Path(path)):
        place = f"{path}, row {number}"
        name = general.prompt if general.prompt in row else chat
        if isinstance(row.get(name), str) and name == chat:
            row_files.field(row, general.prompt, place)
        yield place, row, problem(_text(row, name, fields.USER, place))


def _text(row: dict[str, Any], name: str, speakers: tuple[str, ...], place: str) -> str:
    said = fields.turn(row_files.field(row, name, place), speakers)
    if said is None or not said.strip():
        raise R1ReproError(f"{place}: {name} must be non-empty text, or a chat that has it")
    return said
