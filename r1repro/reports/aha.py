"""The "aha" finder: right answers that take a stated result back on the way.

What counts is a rule (r1repro.text.withdrawal), the same for the base: its rate at step 0 stands
beside every other, since a base that has read corrections writes some without any RL.
"""

from collections.abc import Mapping

import pandas as pd

from r1repro.evaluation.metrics import shown
from r1repro.evaluation.statistics import Estimate
from r1repro.reports.stage_figures import share
from r1repro.reports.tables import Row, Table, label
from r1repro.tasks.problem import REASONING
from r1repro.text.tags import thinking
from r1repro.text.withdrawal import reconsiders


def moments(rows: pd.DataFrame) -> pd.Series:
    """Which rows are right and have a result taken back and another one after it."""
    found = [
        bool(right) and isinstance(text, str) and reconsiders(thinking(text))
        for right, text in zip(rows["correct"], rows["text"], strict=True)
    ]
    return pd.Series(found, index=rows.index)


def rates(evaluations: Mapping[str, pd.DataFrame]) -> Table:
    """Share of the held-out completions, by family: a row a family, a column a checkpoint."""
    families = [t for t in REASONING if all((r["task"] == t).any() for r in evaluations.values())]
    rows = [
        Row(
            f"{family.capitalize()}, of {what}",
            tuple(
                shown(_rate(found[found["task"] == family], only_right), "share")
                for found in evaluations.values()
            ),
        )
        for family in families
        for what, only_right in (("all answers", False), ("right answers", True))
    ]
    return Table(tuple(map(label, evaluations)), tuple(rows), "Took a result back, then was right")


def firsts(completions: pd.DataFrame) -> pd.DataFrame:
    """The first such completion of each family and language among those kept over training."""
    reasoning = completions[completions["task"].isin(REASONING)]
    found = reasoning[moments(reasoning)].sort_values("step", kind="stable")
    return found.drop_duplicates(["task", "language"]).sort_values(["task", "language"])


def _rate(rows: pd.DataFrame, only_right: bool) -> Estimate:
    rows = rows[rows["correct"]] if only_right else rows
    return share(moments(rows), rows["problem_id"])
