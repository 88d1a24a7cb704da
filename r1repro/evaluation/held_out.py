"""What the held-out problems gave: all that a report reads of the evaluations.

A few light files, so that a report, and a report of several seeds, needs neither rows nor weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.evaluation import answers, metrics
from r1repro.evaluation.checkpoints import MAIN, key, names, pairs
from r1repro.evaluation.results import Results, read_adds, read_results, write_json, write_results

RESULTS, DIFFERENCES = "results.json", "differences.json"
REFLECTION, ANSWERS = "reflection.json", "answers.parquet"


@dataclass(frozen=True)
class HeldOut:
    """Measures of every checkpoint, and what is shown of the answers themselves.

    summaries: by checkpoint; changes: "after - before" of the declared pairs, paired over problems;
    reflection: p by group of answers, see `metrics.reflection_tests`; answers: the rows chosen by
    answers.RULE of the checkpoints of MAIN, with a column `checkpoint`; ways: of each family
    the best way of asking the base and its temperature, as validation chose it.
    """

    summaries: Results
    changes: Results
    reflection: Mapping[str, float]
    answers: pd.DataFrame
    ways: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def adds(self) -> dict[str, dict[str, Any]]:
        """What RL adds, by family: R1-Zero's pass@1 less the best way's of asking the base."""
        changes = self.changes.get(key("base_best", "r1_zero"), {})
        return {
            family: {**changes[f"{family}/pass@1"].as_dict(), **way}
            for family, way in self.ways.items()
            if f"{family}/pass@1" in changes
        }


def measure(
    evaluations: Mapping[str, pd.DataFrame], ways: Mapping[str, Mapping[str, Any]] | None = None
) -> HeldOut:
    """Of the rows of evaluation.parquet by checkpoint; any of the checkpoints may be missing.

    ways: what stage base_search has chosen.
    """
    ordered = {name: evaluations[name] for name in names(evaluations)}
    summaries, changes = metrics.compare(ordered, pairs(ordered)) if ordered else ({}, {})
    main = {name: ordered[name] for name in MAIN if name in ordered}
    tested = (
        metrics.reflection_tests(main["base"], main["r1_zero"])
        if set(MAIN[:2]) <= main.keys()
        else {}
    )
    return HeldOut(
        summaries,
        {key(*pair): change for pair, change in changes.items()},
        tested,
        answers.chosen(main),
        {
            family: {"way": way["way"], "temperature": way["temperature"]}
            for family, way in (ways or {}).items()
        },
    )


def write(folder: Path, found: HeldOut) -> None:
    """Write results.json, differences.json, reflection.json and answers.parquet."""
    write_results(folder / RESULTS, found.summaries, found.adds)
    write_results(folder / DIFFERENCES, found.changes)
    write_json(folder / REFLECTION, dict(found.reflection))
    found.answers.to_parquet(folder / ANSWERS, index=False)


def read(folder: Path) -> HeldOut:
    """What `write` left. Raises OSError or ValueError if a file is missing or broken."""
    return HeldOut(
        read_results(folder / RESULTS),
        read_results(folder / DIFFERENCES),
        json.loads((folder / REFLECTION).read_text(encoding="utf-8")),
        pd.read_parquet(folder / ANSWERS),
        {
            family: {"way": one["way"], "temperature": one["temperature"]}
            for family, one in read_adds(folder / RESULTS).items()
        },
    )
