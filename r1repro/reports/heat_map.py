"""The heat map of what each stage of the chain changes in each suite."""

import math
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.patches import Rectangle

from r1repro.evaluation.checkpoints import BLUE, CHAIN, GREY, INK, VERMILION, key, label_of
from r1repro.evaluation.metrics import shown
from r1repro.evaluation.results import Results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing


def pairs(changes: Results) -> list[tuple[str, str]]:
    """The measured (previous stage, stage) pairs of the chain."""
    return [pair for pair in pairwise(CHAIN) if key(*pair) in changes]


ENOUGH = 50
"""Fewest items of a coloured cell: an interval over fewer is itself uncertain."""


@drawing.described
def changes_by_stage(changes: Results) -> Drawing:
    """The change of each stage against the previous one: a row per stage, a column per suite.

    Percentage points with 95 % intervals; cells of ENOUGH items whose interval excludes zero are
    coloured.
    """
    stages = pairs(changes)
    paths = [path for path in drawing.SUITES if any(path in changes[key(*pair)] for pair in stages)]
    cells = [[changes[key(*pair)].get(path) for path in paths] for pair in stages]
    largest = max((abs(c.value) for row in cells for c in row if c and _clear(c)), default=1.0)
    figure = drawing.empty(0.6 + 0.93 * len(paths), 1.0 + 0.62 * len(stages))
    axes = figure.subplots()
    axes.set(xlim=(-0.5, len(paths) - 0.5), ylim=(len(stages) - 0.5, -0.5))
    for y, row in enumerate(cells):
        for x, found in enumerate(row):
            _change_cell(axes, x, y, found, largest)
    axes.set_xticks(range(len(paths)), [drawing.SUITES[path] for path in paths])
    names = [f"{label_of(after)}\nagainst {label_of(before)}" for before, after in stages]
    axes.set_yticks(range(len(stages)), names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9.5)
    axes.xaxis.tick_top()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _clear(change: Estimate) -> bool:
    return change.n >= ENOUGH and (change.low > 0 or change.high < 0)


def _change_cell(axes: Axes, x: int, y: int, found: Estimate | None, largest: float) -> None:
    clear, colour = found is not None and _clear(found), drawing.PALE
    if found is not None and clear:
        ramp = LinearSegmentedColormap.from_list("change", [VERMILION, "#ffffff", BLUE])
        # at most 0.75 of the ramp, on which dark text can be read
        colour = to_hex(ramp(0.5 + 0.375 * found.value / largest))
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour))
    if found is None or math.isnan(found.value):
        axes.text(x, y, "–", ha="center", va="center", color=GREY)
        return
    value, _, between = shown(found, "pass@1", signed=True).partition("\u00a0points ")
    between = between.partition(", n =")[0]  # has no room here, and stands in the table
    ink = INK if clear else "#5b6169"
    weight = "bold" if clear else "normal"
    axes.text(x, y - 0.13, value, ha="center", va="center", color=ink, fontsize=9, weight=weight)
    axes.text(x, y + 0.2, between, ha="center", va="center", color=ink, fontsize=7)
