"""Choice of the answers shown in reports, by a fixed rule."""

from collections.abc import Mapping

import pandas as pd

from r1repro.evaluation.rows import with_work
from r1repro.tasks.problem import GENERAL

LEVELS = (1, 3, 5)
RULE = (
    "the first held-out problem by id of each family and language at levels 1, 3 and 5 that every "
    "checkpoint was asked; of each, the first sample that is not a right answer after unsound "
    "reasoning"
)
_ASKED, _CELLS = ["problem_id", "language"], ["task", "language", "level"]


def chosen(evaluations: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The rows chosen by RULE for each checkpoint, with a column `checkpoint`."""
    firsts = {
        name: shown(rows).sort_values("sample", kind="stable").drop_duplicates(_ASKED)
        for name, rows in evaluations.items()
    }
    if not firsts:
        return pd.DataFrame({"checkpoint": []})
    asked, *others = firsts.values()
    for rows in others:
        asked = asked.merge(rows[_ASKED], on=_ASKED)
    asked = asked[asked["level"].isin(LEVELS)].sort_values(_ASKED, kind="stable")
    asked = asked.drop_duplicates(_CELLS).sort_values(_CELLS)[_ASKED]
    return pd.concat(
        [asked.merge(rows, on=_ASKED).assign(checkpoint=name) for name, rows in firsts.items()],
        ignore_index=True,
    )


def shown(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows without right answers reached by unsound reasoning, which are not informative.

    General tasks have no reasoning to judge.
    """
    judged = with_work(rows)
    unsound = judged["correct"] & ~judged["sound"] & ~judged["task"].isin(GENERAL)
    return rows[~unsound]
