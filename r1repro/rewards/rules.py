"""The rewards of R1-Zero as TRL calls them: accuracy and format (R1 v2, Eq. 4)."""

from collections.abc import Sequence
from typing import Any

from r1repro.rewards.accuracy import is_correct
from r1repro.tasks.problem import Problem
from r1repro.text.tags import read


def accuracy(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answer is right, else 0: the answer tag's or, without one, the last stated.

    Tags are paid for by `format` alone, so that each rule pays for one thing and a right answer
    is worth something from the first step on.
    """
    problems = problems_of(columns)
    return [
        float(is_correct(problem, text))
        for problem, text in zip(problems, completions, strict=True)
    ]


def format(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 where the completion is `<think>...</think><answer>...</answer>` and nothing else."""
    return [float(read(text).format_valid) for text in completions]


def columns_of(problem: Problem) -> dict[str, Any]:
    """A problem as the columns of a data set row."""
    return {
        "problem_id": problem.id,
        "task": problem.task,
        "language": problem.language,
        "level": problem.level,
        "question": problem.prompt,
        "gold": problem.answer,
    }


def problems_of(columns: dict[str, Any]) -> list[Problem]:
    """The problems of a batch's columns, as `columns_of` wrote them."""
    names = ("problem_id", "task", "language", "level", "question", "gold")
    return [Problem(*values) for values in zip(*(columns[name] for name in names), strict=True)]
