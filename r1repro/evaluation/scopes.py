"""Parts of an evaluation that metrics are computed over: families, levels, languages."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from r1repro.tasks.problem import GENERAL

OF_PARTS = (
    "pass@1", "format_valid", "length", "language_share", "sound", "unworked", "false_check",
)  # fmt: skip
"""Measures that every level and language has too."""


def scopes(problems: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Prefixes of metric paths with their rows, by the columns task and level and the language."""
    general = problems["task"].isin(GENERAL)
    reasoning = problems[~general]
    if len(reasoning):
        yield "reasoning", reasoning
        for task, part in reasoning.groupby("task"):
            yield str(task), part
            for level, some in part.groupby("level"):
                yield f"{task}/level_{level}", some
            for language, some in part.groupby(level="language"):
                yield f"{task}/{language}", some
        for level, part in reasoning.groupby("level"):
            yield f"level_{level}", part
        for language, part in reasoning.groupby(level="language"):
            yield str(language), part
    if general.any():
        yield "general", problems[general]
        for task, part in problems[general].groupby("task"):
            yield f"general/{task}", part
        for language, part in problems[general].groupby(level="language"):
            yield f"general/{language}", part


def is_part(prefix: str) -> bool:
    """Whether a scope is a level or a language."""
    return "level_" in prefix or prefix.split("/")[-1] in ("en", "zh")


def by_problem(
    asked: pd.Index,
) -> Callable[[Sequence[NDArray[np.float64]]], NDArray[np.float64]]:
    """A function that sets columns side by side and sums them over the languages of a problem.

    Both languages of an item are resampled together, since their answers are correlated.
    """
    order = np.argsort(asked, kind="stable")
    sorted_ = asked[order]
    first = np.flatnonzero(np.append(True, sorted_[1:] != sorted_[:-1]))
    return lambda columns: np.add.reduceat(np.concatenate(columns, axis=1)[order], first, axis=0)


@dataclass(frozen=True)
class Ratios:
    """Numerators and denominators of M measures of N rows, one per problem and language."""

    names: list[str]
    top_N_M: NDArray[np.float64]
    bottom_N_M: NDArray[np.float64]

    @classmethod
    def of(cls, table: pd.DataFrame) -> "Ratios":
        names = [name.removesuffix(":of") for name in table.columns if name.endswith(":of")]
        below = [f"{name}:of" for name in names]
        return cls(names, table[names].to_numpy(dtype=float), table[below].to_numpy(dtype=float))

    def part(self, prefix: str, rows: pd.Series) -> "Ratios":
        """The measures that a scope has, of its rows."""
        names = self.names
        if prefix.split("/")[0] == "general":
            names = ["pass@1"]
        elif is_part(prefix):
            names = [name for name in names if name in OF_PARTS]
        at = np.ix_(rows, [self.names.index(name) for name in names])
        return Ratios(names, self.top_N_M[at], self.bottom_N_M[at])
