"""What the held-out problems gave: all that a report reads of the evaluations.

A few light files, so that a report, and a report of several seeds, needs neither rows nor weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from r1repro.evaluation import metrics
from r1repro.reports import figures, transcripts
from r1repro.reports.checkpoints import MAIN, key, names, pairs
from r1repro.reports.files import Results, read_results, write_json, write_results

RESULTS, DIFFERENCES = "results.json", "differences.json"
REFLECTION, ANSWERS = "reflection.json", "answers.parquet"


@dataclass(frozen=True)
class HeldOut:
    """Measures of every checkpoint, and what is shown of the answers themselves.

    summaries: by checkpoint; changes: "after - before" of the declared pairs, paired over problems;
    reflection: p by group of answers, see `metrics.reflection_tests`; answers: the rows chosen by
    transcripts.RULE of the checkpoints of MAIN, with a column `checkpoint`.
    """

    summaries: Results
    changes: Results
    reflection: Mapping[str, float]
    answers: pd.DataFrame


def measure(evaluations: Mapping[str, pd.DataFrame]) -> HeldOut:
    """Of the rows of evaluation.parquet by checkpoint; any of the checkpoints may be missing."""
    ordered = {name: evaluations[name] for name in names(evaluations)}
    summaries, changes = metrics.compare(ordered, pairs(ordered)) if ordered else ({}, {})
    main = figures.main(ordered)
    tested = (
        metrics.reflection_tests(main["base"], main["r1_zero"])
        if set(MAIN[:2]) <= main.keys()
        else {}
    )
    return HeldOut(
        summaries,
        {key(*pair): change for pair, change in changes.items()},
        tested,
        transcripts.chosen(main),
    )


def write(folder: Path, found: HeldOut) -> None:
    """Write results.json, differences.json, reflection.json and answers.parquet."""
    write_results(folder / RESULTS, found.summaries)
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
    )
