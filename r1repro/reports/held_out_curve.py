"""R1-Zero on held-out problems over its training: the paper's curve (R1 v1, Fig. 2) and answers."""

from itertools import cycle

import pandas as pd

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import BLUE, GREEN, VERMILION
from r1repro.evaluation.results import Results
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing

FILE = "held_out_curve.json"
"""What `by_step` found, in a run's folder."""
LENGTHS = {"length_correct": "right answers", "length_wrong": "wrong answers"}


def by_step(rows: pd.DataFrame) -> Results:
    """Summaries of what `draw` draws, by RL step as text; step 0 is the base, asked alike.

    rows: curve.parquet of stage r1_zero_curve.
    """
    families = rows["task"].unique() if rows["task"].nunique() > 1 else ()
    kept = {"reasoning/pass@1", f"reasoning/cons@{rows['sample'].nunique()}"}
    kept |= {f"{family}/pass@1" for family in families} | {*LENGTHS}
    found = {str(step): metrics.summarize(part) for step, part in rows.groupby("step")}
    return {
        step: {path: one for path, one in summary.items() if path in kept}
        for step, summary in found.items()
    }


@drawing.described
def draw(found: Results) -> Drawing:
    """Held-out pass@1, cons@k and length of R1-Zero over RL steps, with 95 % intervals.

    found: of `by_step`, or its mean over seeds.
    """
    paths = sorted({path for one in found.values() for path in one})
    whole = [path for path in paths if path.startswith("reasoning/")][::-1]  # pass@1 first
    families = [path for path in paths if path.endswith("/pass@1") and path not in whole]
    lengths = [path for path in LENGTHS if path in paths]
    panels = [
        ("Held-out problems", "share of answers", whole, (BLUE, VERMILION)),
        ("Held-out problems by family", "share of answers", families, (BLUE, GREEN, VERMILION)),
        ("Length", "tokens", lengths, (GREEN, VERMILION)),
    ]
    panels = [panel for panel in panels if panel[2]]
    figure = drawing.empty(10.4, 3.4)
    every = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, unit, drawn, colours) in zip(every, panels, strict=True):
        for path, colour, marker in zip(drawn, cycle(colours), cycle("os^"), strict=False):
            label = LENGTHS.get(path) or path.removeprefix("reasoning/").replace("/", ", ")
            there = {int(step): one[path] for step, one in found.items() if path in one}
            steps, estimates = list(there), list(there.values())
            drawing.bars(axes, steps, estimates, colour, marker, label, "-")
        axes.set(title=title, ylabel=unit, xlabel="RL step")
        axes.legend()
        if unit == "tokens":
            axes.set_ylim(bottom=0)
        else:
            drawing.percent(axes)
    drawing.whole_steps(list(every))
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
