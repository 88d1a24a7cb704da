"""The rule rewards by name, for TRL: accuracy and format (R1 v2, Eq. 4), language (Eq. 7).

DAPO's overlong punishment is for the lab; R1 has none.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple
from typing import Any

from r1repro.rewards.correctness import is_strictly_correct, judge
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.text.language import language_share
from r1repro.text.tags import read, thinking

OVERLONG = 0.2
"""Share of the cap over which the punishment grows: DAPO's 4,096 of 20,480."""


def accuracy(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 for a right answer, else 0; reads the answer tag or, without one, the last stated answer.

    Tags are rewarded by `format` only, so each rule rewards one thing and right answers earn reward
    from the first step. General prompts get 0, since no rule judges them.
    """
    problems = problems_of(columns)
    return [
        float(right and problem.task not in GENERAL)
        for problem, right in zip(problems, judge(problems, completions), strict=True)
    ]


def accuracy_in_tag(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 if the answer tag holds the right answer, else 0; 0 on general prompts.

    Follows the paper, where the answer must be "in the specified format" (R1 v2, section 2.2).
    """
    return [
        float(problem.task not in GENERAL and is_strictly_correct(problem, text))
        for problem, text in zip(problems_of(columns), completions, strict=True)
    ]


def format(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 for thinking, an optional summary and an answer in their tags, else 0."""
    return [float(read(text).format_valid) for text in completions]


def format_of_right(completions: Sequence[str], **columns: Any) -> list[float]:
    """The format reward, on reasoning prompts for right answers only.

    If every answer earns it, format is learned first, and fastest by short answers that reliably
    close their tags; search disappears before it can earn reward (runs in docs/paper.md).
    """
    right = accuracy_in_tag(completions, **columns)
    return [
        valid if task in GENERAL else valid * pays
        for valid, pays, task in zip(format(completions), right, columns["task"], strict=True)
    ]


def language(completions: Sequence[str], **columns: Any) -> list[float]:
    """Share of the thinking's words in the language of the question (R1 v2, Eq. 7).

    Thinking without words, such as bare equations, gets 1.
    """
    shares = [
        language_share(thinking(text), asked)
        for text, asked in zip(completions, columns["language"], strict=True)
    ]
    return [1.0 if math.isnan(share) else share for share in shares]


def overlong(
    completions: Sequence[str],
    *,
    completion_ids: Sequence[Sequence[int]],
    cap: Callable[[int], int],
    trainer_state: Any = None,
    **columns: Any,
) -> list[float]:
    """DAPO's soft overlong punishment by each completion's tokens; cap: of an update, from 0."""
    most = cap(trainer_state.global_step if trainer_state else 0)
    return [overlong_punishment(len(ids), most) for ids in completion_ids]


def overlong_punishment(tokens: int, most: int, share: float = OVERLONG) -> float:
    """0 up to (1 - share) of `most` tokens, from there down to -1 in a line, and no lower.

    Source: DAPO (arXiv 2503.14476), equation 13, with L_max = most and L_cache = share * most.
    """
    return max(-1.0, min(0.0, ((1 - share) * most - tokens) / (share * most)))


_COLUMNS = ("problem_id", "task", "language", "level", "question", "gold")
"""Columns of a batch, one for each field of a problem; "prompt" is the rendered one."""


def columns_of(problem: Problem) -> dict[str, Any]:
    """A problem as columns of a dataset row."""
    return dict(zip(_COLUMNS, astuple(problem), strict=True))


def problems_of(columns: dict[str, Any], names: Sequence[str] = _COLUMNS) -> list[Problem]:
    """The problems of a batch, from the columns of `columns_of`."""
    return [Problem(*row) for row in zip(*(columns[name] for name in names), strict=True)]


def problems_of_rows(data: Any) -> list[Problem]:
    """Problems of dataset rows (problem_id, task, language, level, prompt, answer)."""
    return problems_of(data, ("problem_id", "task", "language", "level", "prompt", "answer"))
