"""Rows of evaluation.parquet: one per problem and sample."""

from dataclasses import asdict
from typing import Any

import pandas as pd

from r1repro.rewards import soundness
from r1repro.rewards.correctness import (
    is_correct,
    is_leniently_correct,
    is_strictly_correct,
    stated_answer,
    vote,
)
from r1repro.tasks.problem import Completion, Problem
from r1repro.text.language import is_mixed, language_share, words
from r1repro.text.readability import is_readable
from r1repro.text.reflection import reflection_count
from r1repro.text.repetition import repetition
from r1repro.text.tags import read, thinking

WORK = ("sound", "unworked", "false_check", "coverage", "mode", "worked")
"""Columns about the work; see `soundness.Soundness` and `soundness.MODES`."""


def row(problem: Problem, sample: int, completion: Completion) -> dict[str, Any]:
    """The row of one sample.

    Language, words and mixing are measured on the thinking, or on the whole text if none is marked
    (as in most base-model output); reflection and repetition on the whole text.
    """
    text = completion.text
    thought = thinking(text)
    correct = is_correct(problem, text)
    return {
        "problem_id": problem.id,
        "task": problem.task,
        "language": problem.language,
        "level": problem.level,
        "prompt": _storable(problem.prompt),
        "answer": _storable(problem.answer),
        "sample": sample,
        "text": _storable(text),
        "tokens": len(completion.token_ids),
        "finished": completion.finished,
        "correct": correct,
        "strict_correct": is_strictly_correct(problem, text),
        "lenient_correct": is_leniently_correct(problem, text),
        "format_valid": read(text).format_valid,
        "extracted": _storable(stated_answer(problem, text)),
        "vote": _storable(vote(problem, text)),
        "reflection_count": reflection_count(text),
        "words": len(words(thought)),
        "language_share": language_share(thought, problem.language),
        "mixed": is_mixed(thought),
        "repetition": repetition(text),
        "readable": completion.finished and is_readable(text, problem.language),
        **_work(problem, text, correct),
    }


def whole_groups(completions: pd.DataFrame) -> pd.DataFrame:
    """The whole group of each step's first question, from completions.parquet, where it was kept.

    Empty for files from before whole groups were kept.
    """
    if "rest_of_group" not in completions:
        return completions.iloc[:0]
    rest = completions["rest_of_group"].eq(True)
    rows = completions[rest | ~completions["step"].duplicated()]
    return rows[rows["step"].isin(rows["step"][rest])].sort_values("step", kind="stable")


def with_work(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of evaluation.parquet or completions.parquet with the columns of WORK.

    Older files lack these columns; they are computed from the texts here.
    """
    if set(WORK) <= set(rows.columns):
        return rows
    columns = ["problem_id", "task", "language", "level", "prompt", "answer", "text", "correct"]
    found = [
        _work(Problem(*asked), text if isinstance(text, str) else "", bool(correct))
        for *asked, text, correct in rows[columns].itertuples(index=False)
    ]
    return rows.assign(**{name: [each[name] for each in found] for name in WORK})


def _work(problem: Problem, text: str, correct: bool) -> dict[str, Any]:
    return {
        **asdict(soundness.judge(problem, text)),
        "mode": soundness.mode(problem, text, correct),
        "worked": soundness.works_through(problem, text),
    }


def _storable(text: str | None) -> str | None:
    # Parquet stores UTF-8, which cannot encode lone surrogates; write them as \udcxx.
    return None if text is None else text.encode("utf-8", "backslashreplace").decode("utf-8")
