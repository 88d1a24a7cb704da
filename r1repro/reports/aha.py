"""Finds "aha moments": right answers that retract a stated result on the way.

The criterion is a rule (`metrics.reconsidered`). The base's rate at step 0 is always shown, since a
base pretrained on corrections writes some without RL.
"""

import pandas as pd

from r1repro.evaluation.checkpoints import main
from r1repro.evaluation.metrics import families
from r1repro.evaluation.problems import reconsidered
from r1repro.evaluation.results import Results
from r1repro.evaluation.rows import with_work
from r1repro.reports.markup import Row, Table
from r1repro.reports.tables import side_by_side
from r1repro.reports.transcripts import LANGUAGES
from r1repro.tasks.problem import GENERAL

RATES = ("reconsidered", "reconsidered_right")
KIND = ["task", "language"]


def rates(summaries: Results) -> Table | None:
    """Shares of the held-out answers: two rows per family, one column per checkpoint."""
    shown = main(summaries)
    there = {path for each in shown.values() for path in each}
    paths = [f"{task}/{name}" for task in families(there) for name in RATES]
    paths = [path for path in paths if path in there]
    return side_by_side(shown, {}, paths, "Held-out answers") if paths else None


def firsts(completions: pd.DataFrame) -> pd.DataFrame:
    """The first such completion of each family and language among those stored in training.

    Only sound ones count: a corrected slip is still a false sum.
    """
    reasoning = with_work(completions[~completions["task"].isin(GENERAL)])
    found = reasoning[reconsidered(reasoning) & reasoning["sound"].astype(bool)]
    found = found.sort_values("step", kind="stable")
    return found.drop_duplicates(KIND).sort_values(KIND)


def steps(taken_back: pd.DataFrame) -> Table:
    """The step of each first occurrence, one column per seed.

    taken_back: rows of `firsts` of every seed, with a column `seed`.
    """
    seeds = list(dict.fromkeys(taken_back["seed"]))
    rows = []
    for (task, language), found in taken_back.groupby(KIND):
        first = found.set_index("seed")["step"]
        cells = tuple(f"{first[seed]}" if seed in first else "–" for seed in seeds)
        rows.append(Row(f"{str(task).capitalize()}, {LANGUAGES[str(language)]}", cells))
    return Table(tuple(seeds), tuple(rows), "RL step of the first sound one kept")
