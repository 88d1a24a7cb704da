"""R1-Zero on held-out problems over its training: the paper's curve (R1 v1, Fig. 2) and answers."""

import pandas as pd

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import BLUE, GREEN, VERMILION
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing


@drawing.described
def draw(rows: pd.DataFrame) -> Drawing:
    """Held-out pass@1, cons@k and length of R1-Zero over RL steps, with 95 % intervals.

    rows: curve.parquet of stage r1_zero_curve; step 0 is the base, with the same prompt.
    """
    figure = drawing.empty(10.4, 3.4)
    left, middle, right = figure.subplots(1, 3)
    by_step = {step: metrics.summarize(part) for step, part in rows.groupby("step")}
    majority = f"cons@{rows['sample'].nunique()}"
    drawn = (
        (left, "reasoning/pass@1", "pass@1", BLUE, "o"),
        (left, f"reasoning/{majority}", majority, VERMILION, "s"),
        (middle, "arithmetic/pass@1", "arithmetic, pass@1", BLUE, "o"),
        (middle, "countdown/pass@1", "countdown, pass@1", GREEN, "^"),
        (right, "length_correct", "right answers", GREEN, "o"),
        (right, "length_wrong", "wrong answers", VERMILION, "s"),
    )
    for axes, path, label, colour, marker in drawn:
        found = {step: summary[path] for step, summary in by_step.items() if path in summary}
        if found:
            drawing.bars(axes, list(found), list(found.values()), colour, marker, label, "-")
    left.set(title="Held-out problems", ylabel="share of answers")
    middle.set(title="Held-out problems by family", ylabel="share of answers")
    right.set(title="Length", ylabel="tokens")
    right.set_ylim(bottom=0)
    for axes in (left, middle, right):
        axes.set_xlabel("RL step")
        axes.legend()
    drawing.percent(left)
    drawing.percent(middle)
    drawing.whole_steps([left, middle, right])
    return figure


def one_problem(rows: pd.DataFrame, family: str = "countdown", shown: int = 5) -> pd.DataFrame:
    """The first sample of one problem at up to `shown` steps, evenly spaced.

    The problem is the first by id of the hardest level of `family` in English, or of all problems
    where that family is not asked.
    """
    asked = rows[(rows["task"] == family) & (rows["language"] == "en")]
    asked = rows if asked.empty else asked
    asked = asked[asked["level"] == asked["level"].max()]
    found = asked[(asked["problem_id"] == asked["problem_id"].min()) & (asked["sample"] == 0)]
    found = found.drop_duplicates("step").sort_values("step")
    places = {round(i * (len(found) - 1) / max(1, shown - 1)) for i in range(shown)}
    return found.iloc[sorted(places)]
