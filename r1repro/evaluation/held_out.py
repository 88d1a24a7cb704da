"""Summaries of the evaluations: everything that a report reads of them.

They are small files, so that reports of one or several runs need neither rows nor weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.evaluation import metrics, shown_answers
from r1repro.evaluation.checkpoints import MAIN, key, main, names, pairs
from r1repro.evaluation.results import Results, read_adds, read_results, write_json, write_results

RESULTS, DIFFERENCES = "results.json", "differences.json"
REFLECTION, ANSWERS = "reflection.json", "answers.parquet"


@dataclass(frozen=True)
class HeldOut:
    """Measures of every checkpoint, and the answers shown in reports.

    summaries: by checkpoint; changes: "after - before" of the declared pairs, paired over problems;
    reflection: p value by group of answers, see `metrics.reflection_tests`; answers: rows chosen by
    shown_answers.RULE for the checkpoints of MAIN, with a column `checkpoint`, which older
    published versions lack; ways: each family's best prompt of the base and its temperature, chosen
    on validation.
    """

    summaries: Results
    changes: Results
    reflection: Mapping[str, float]
    answers: pd.DataFrame
    ways: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def adds(self) -> dict[str, dict[str, Any]]:
        """The gain of RL by family: R1-Zero's pass@1 minus that of the base's best prompt."""
        changes = self.changes.get(key("base_best", "r1_zero"), {})
        return {
            family: {**changes[f"{family}/pass@1"].as_dict(), **way}
            for family, way in self.ways.items()
            if f"{family}/pass@1" in changes
        }


def measure(
    evaluations: Mapping[str, pd.DataFrame], ways: Mapping[str, Mapping[str, Any]] | None = None
) -> HeldOut:
    """Summarize the rows of evaluation.parquet by checkpoint; checkpoints may be missing.

    ways: the choice of stage base_search.
    """
    ordered = {name: evaluations[name] for name in names(evaluations)}
    summaries, changes = metrics.compare(ordered, pairs(ordered)) if ordered else ({}, {})
    sides = [ordered[name] for name in MAIN[:2] if name in ordered]
    return HeldOut(
        summaries,
        {key(*pair): change for pair, change in changes.items()},
        metrics.reflection_tests(*sides) if len(sides) == 2 else {},
        shown_answers.chosen(main(ordered)),
        _ways(ways or {}),
    )


def _ways(found: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        family: {name: one[name] for name in ("way", "temperature")}
        for family, one in found.items()
    }


def write(folder: Path, found: HeldOut) -> None:
    """Write results.json, differences.json, reflection.json and answers.parquet."""
    write_results(folder / RESULTS, found.summaries, found.adds)
    write_results(folder / DIFFERENCES, found.changes)
    write_json(folder / REFLECTION, dict(found.reflection))
    found.answers.to_parquet(folder / ANSWERS, index=False)


def read(folder: Path) -> HeldOut:
    """Read the files of `write`. Raises OSError or ValueError if one is missing or malformed."""
    shown = folder / ANSWERS
    return HeldOut(
        read_results(folder / RESULTS),
        read_results(folder / DIFFERENCES),
        json.loads((folder / REFLECTION).read_text(encoding="utf-8")),
        pd.read_parquet(shown) if shown.is_file() else pd.DataFrame(),
        _ways(read_adds(folder / RESULTS)),
    )
