"""Parts of an evaluation that metrics are computed over: families, levels, languages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from r1repro.evaluation.statistics import resampled_ratios
from r1repro.tasks.problem import GENERAL

OF_PARTS = (
    "pass@1", "format_valid", "length", "language_share", "sound", "unworked", "false_check",
)  # fmt: skip
"""Measures that every level and language has too."""


def scopes(problems: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Prefixes of metric paths with their rows; problems: columns task, level and language."""
    general = problems["task"].isin(GENERAL)
    if not general.all():
        reasoning = problems[~general]
        yield "reasoning", reasoning
        for task, part in reasoning.groupby("task"):
            yield str(task), part
            yield from _parts(part, f"{task}/")
        yield from _parts(reasoning)
    if general.any():
        items = problems[general]
        yield "general", items
        for column in ("task", "language"):
            for name, part in items.groupby(column):
                yield f"general/{name}", part


def _parts(problems: pd.DataFrame, prefix: str = "") -> Iterator[tuple[str, pd.DataFrame]]:
    for level, part in problems.groupby("level"):
        yield f"{prefix}level_{level}", part
    for language, part in problems.groupby("language"):
        yield f"{prefix}{language}", part


def is_part(prefix: str) -> bool:
    """Whether a scope is a level or a language."""
    return "level_" in prefix or prefix.split("/")[-1] in ("en", "zh")


@dataclass(frozen=True)
class Part:
    """M measures of a table over the N problems of a scope, as ratios, with their D resamples.

    rows_N: rows per problem, one per language.
    """

    names: list[str]
    top_N_M: NDArray[np.float64]
    bottom_N_M: NDArray[np.float64]
    drawn_D_M: NDArray[np.float64]
    rows_N: NDArray[np.int64]


def resampled(prefix: str, tables: Mapping[str, pd.DataFrame], draws: int) -> dict[str, Part]:
    """The measures of a scope, from its rows of tables of r1repro.evaluation.per_problem.

    The rows are sorted by problem and the same in every table. The languages of a problem are
    summed, since their answers are correlated and must be resampled together.
    """
    items = next(iter(tables.values())).index.get_level_values("problem_id")
    first = np.flatnonzero(~items.duplicated())
    names = [_measures(prefix, rows) for rows in tables.values()]

    def summed(suffix: str) -> list[NDArray[np.float64]]:
        columns = [[f"{name}{suffix}" for name in own] for own in names]
        values = [
            rows[own].to_numpy(float) for rows, own in zip(tables.values(), columns, strict=True)
        ]
        return [np.add.reduceat(each, first, axis=0) for each in values]

    tops, bottoms = summed(""), summed(":of")
    drawn = resampled_ratios(np.concatenate(tops, 1), np.concatenate(bottoms, 1), draws)
    drawn_of = np.split(drawn, np.cumsum([len(own) for own in names])[:-1], axis=1)
    rows_N = np.diff(first, append=len(items))
    return {
        name: Part(*part, rows_N)
        for name, part in zip(tables, zip(names, tops, bottoms, drawn_of, strict=True), strict=True)
    }


def _measures(prefix: str, rows: pd.DataFrame) -> list[str]:
    if prefix.split("/")[0] == "general":
        return ["pass@1"]
    names = [name.removesuffix(":of") for name in rows.columns if name.endswith(":of")]
    return [name for name in names if name in OF_PARTS] if is_part(prefix) else names
