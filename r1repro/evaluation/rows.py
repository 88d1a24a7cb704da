"""One row of evaluation.parquet: a problem, one sample of an answer, and what is read from it."""

from typing import Any

from r1repro.rewards.accuracy import is_correct, is_strictly_correct, stated_answer, vote
from r1repro.tasks.problem import Completion, Problem
from r1repro.text.language import is_mixed, language_share, words
from r1repro.text.readability import is_readable
from r1repro.text.reflection import reflection_count
from r1repro.text.repetition import repetition
from r1repro.text.tags import read, thinking


def row(problem: Problem, sample: int, completion: Completion) -> dict[str, Any]:
    """What evaluation.parquet holds of one sample.

    Language, words and mixing are read from the thinking, or from the whole text where no
    thinking is marked (a base model mostly marks none); reflection and repetition from the whole.
    """
    reading = read(completion.text)
    thought = thinking(completion.text)
    return {
        "problem_id": problem.id,
        "task": problem.task,
        "language": problem.language,
        "level": problem.level,
        "prompt": _storable(problem.prompt),
        "answer": _storable(problem.answer),
        "sample": sample,
        "text": _storable(completion.text),
        "tokens": len(completion.token_ids),
        "finished": completion.finished,
        "correct": is_correct(problem, completion.text),
        "strict_correct": is_strictly_correct(problem, completion.text),
        "format_valid": reading.format_valid,
        "extracted": _storable(stated_answer(problem, completion.text)),
        "vote": _storable(vote(problem, completion.text)),
        "reflection_count": reflection_count(completion.text),
        "words": len(words(thought)),
        "language_share": language_share(thought, problem.language),
        "mixed": is_mixed(thought),
        "repetition": repetition(completion.text),
        "readable": completion.finished and is_readable(completion.text, problem.language),
    }


def _storable(text: str | None) -> str | None:
    # Parquet holds UTF-8, which has no lone surrogates; they are kept visible as \udcxx.
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
