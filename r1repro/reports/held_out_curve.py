"""R1-Zero on held-out problems over its training: the curve of R1 v1, Figure 2, and answers."""

from itertools import cycle

import pandas as pd

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import BLUE, GREEN, VERMILION
from r1repro.evaluation.results import Results
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing
from r1repro.reports.transcripts import spaced

FILE = "held_out_curve.json"
"""The file of a run's folder with the result of `by_step`."""
LENGTHS = {"length_correct": "right answers", "length_wrong": "wrong answers"}


def by_step(rows: pd.DataFrame) -> Results:
    """The measures of curve.parquet that `draw` shows, by RL step as text; step 0 is the base."""
    families = rows["task"].unique() if rows["task"].nunique() > 1 else ()
    kept = {"reasoning/pass@1", f"reasoning/cons@{rows['sample'].nunique()}", *LENGTHS}
    kept |= {f"{family}/pass@1" for family in families}
    return {
        str(step): {path: one for path, one in metrics.summarize(part).items() if path in kept}
        for step, part in rows.groupby("step")
    }


@drawing.described
def draw(found: Results) -> Drawing:
    """Held-out pass@1, cons@k and length of R1-Zero over RL steps, with 95 % intervals.

    found: from `by_step`, or its mean over seeds.
    """
    paths = sorted({path for one in found.values() for path in one})
    whole = [path for path in paths if path.startswith("reasoning/")][::-1]  # pass@1 first
    families = [path for path in paths if path.endswith("/pass@1") and path not in whole]
    lengths = [path for path in LENGTHS if path in paths]
    panels = [
        ("Held-out problems", whole, (BLUE, VERMILION)),
        ("Held-out problems by family", families, (BLUE, GREEN, VERMILION)),
        ("Length", lengths, (GREEN, VERMILION)),
    ]
    panels = [panel for panel in panels if panel[1]]
    figure = drawing.empty(10.4, 3.4)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, drawn, colours) in zip(every, panels, strict=True):
        for path, colour, marker in zip(drawn, cycle(colours), cycle("os^"), strict=False):
            label = LENGTHS.get(path) or path.removeprefix("reasoning/").replace("/", ", ")
            there = {float(step): one[path] for step, one in found.items() if path in one}
            drawing.bars(axes, there, colour, marker, label, "-")
        axes.set(title=title, ylabel="share of answers", xlabel="RL step")
        axes.legend()
        if drawn is lengths:
            axes.set_ylabel("tokens")
            axes.set_ylim(bottom=0)
        else:
            drawing.percent(axes)
    drawing.whole_steps(every)
    return figure


def one_problem(rows: pd.DataFrame, shown: int = 5) -> pd.DataFrame:
    """The first sample of one problem at up to `shown` evenly spaced steps.

    It is the first problem by id of the hardest level: of countdown in English, or of all problems
    if countdown is not asked.
    """
    asked = rows[(rows["task"] == "countdown") & (rows["language"] == "en")]
    asked = rows if asked.empty else asked
    asked = asked[asked["level"] == asked["level"].max()]
    found = asked[(asked["problem_id"] == asked["problem_id"].min()) & (asked["sample"] == 0)]
    found = found.drop_duplicates("step").sort_values("step")
    return found[found["step"].isin(spaced(found["step"], shown))]
