"""The rewards by rule, as TRL calls them: accuracy and format (R1 v2, Eq. 4), language (Eq. 7)."""

import math
from collections.abc import Sequence
from typing import Any

from r1repro.rewards.accuracy import is_strictly_correct, judge
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.language import language_share
from r1repro.text.tags import read, thinking


def accuracy(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answer is right, else 0: the answer tag's or, without one, the last stated.

    Tags are paid for by `format` alone, so that each rule pays for one thing and a right answer
    is worth something from the first step on. General prompts get 0: no rule judges them.
    """
    problems = problems_of(columns)
    return [
        float(right and problem.task not in GENERAL)
        for problem, right in zip(problems, judge(problems, completions), strict=True)
    ]


def format(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 where the completion is thinking, perhaps a summary, and an answer, in their tags."""
    return [float(read(text).format_valid) for text in completions]


def accuracy_in_tag(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 where the answer tag holds the right answer, else 0; 0 on general prompts.

    The paper's rule reads the answer where it was asked to stand (R1 v2, section 2.2: "in the
    specified format").
    """
    return [
        float(problem.task not in GENERAL and is_strictly_correct(problem, text))
        for problem, text in zip(problems_of(columns), completions, strict=True)
    ]


def format_of_right(completions: Sequence[str], **columns: Any) -> list[float]:
    """The format's reward, on reasoning prompts paid to right answers alone.

    Paid to all, it is learned first and by the shortest answers, which close their tags surest: the
    search is gone before it could be found to pay (docs/paper.md has the runs).
    """
    right = accuracy_in_tag(completions, **columns)
    return [
        valid if task in GENERAL else valid * pays
        for valid, pays, task in zip(format(completions), right, columns["task"], strict=True)
    ]


def language(completions: Sequence[str], **columns: Any) -> list[float]:
    """The share of the thinking's words that are in the language of the question (R1 v2, Eq. 7).

    Thinking without a word, bare sums, is read in any language: 1.
    """
    shares = [
        language_share(thinking(text), asked)
        for text, asked in zip(completions, columns["language"], strict=True)
    ]
    return [1.0 if math.isnan(share) else share for share in shares]


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


def problems_of_rows(data: Any) -> list[Problem]:
    """The problems of a data set's rows (problem_id, task, language, level, prompt, answer)."""
    names = ("problem_id", "task", "language", "level", "prompt", "answer")
    return [Problem(*values) for values in zip(*(data[name] for name in names), strict=True)]
