"""Finds "aha moments": right answers that take a stated result back on the way.

A rule finds them (`per_problem.reconsidered`). The base's rate is always shown, since a base
pretrained on corrections writes some without RL.
"""

import pandas as pd

from r1repro.evaluation.checkpoints import main
from r1repro.evaluation.metrics import families
from r1repro.evaluation.per_problem import reconsidered
from r1repro.evaluation.results import Results
from r1repro.evaluation.rows import with_work
from r1repro.reports.markup import Row, Table
from r1repro.reports.tables import paths_of, side_by_side
from r1repro.reports.transcripts import LANGUAGES
from r1repro.tasks.problem import GENERAL

KIND = ["task", "language"]


def rates(summaries: Results) -> Table | None:
    """Shares of the held-out answers: two rows per family, a column per checkpoint."""
    shown = main(summaries)
    there, names = paths_of(shown), ("reconsidered", "reconsidered_right")
    paths = [p for task in families(there) for name in names if (p := f"{task}/{name}") in there]
    return side_by_side(shown, {}, paths, "Held-out answers") if paths else None


def firsts(completions: pd.DataFrame) -> pd.DataFrame:
    """Of training's completions, the first sound one that retracts, by family and language.

    An unsound one may retract a true result.
    """
    reasoning = with_work(completions[~completions["task"].isin(GENERAL)])
    found = reasoning[reconsidered(reasoning) & reasoning["sound"].astype(bool)]
    found = found.sort_values("step", kind="stable")
    return found.drop_duplicates(KIND).sort_values(KIND)


def steps(taken_back: pd.DataFrame) -> Table:
    """The steps of `firsts` of several seeds (column `seed`), a column per seed."""
    seeds = list(dict.fromkeys(taken_back["seed"]))
    rows = []
    for (task, language), found in taken_back.groupby(KIND):
        first = found.set_index("seed")["step"]
        cells = tuple(f"{first[seed]}" if seed in first else "–" for seed in seeds)
        rows.append(Row(f"{str(task).capitalize()}, {LANGUAGES[str(language)]}", cells))
    return Table(tuple(seeds), rows, "RL step of the first sound one kept")
