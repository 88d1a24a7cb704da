"""Figures of notebook length_and_cap."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from r1repro.evaluation.checkpoints import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, VERMILION
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described

_KINDS = {"all": (INK, "-"), "easy": (GREEN, "--"), "hard": (VERMILION, "-.")}
_ANSWERS = {"right": (GREEN, "-"), "wrong": (VERMILION, "--")}


@described
def pencil(budgets: pd.DataFrame, by_kind: pd.DataFrame) -> Drawing:
    """What a searcher finds under a cap on its tokens, and accuracy of short and long answers by
    kind of question."""
    figure = drawing.empty(9.6, 3.4)
    left, right = figure.subplots(1, 2)
    for i, (name, values) in enumerate(budgets.items()):
        colour = (GREEN, VERMILION, PURPLE)[i]
        left.step(values.index, values, drawing.DASHES[i], where="post", color=colour, label=name)
    left.set(title="What a cap buys", xlabel="most tokens of an answer", ylabel="found")
    for kind, row in by_kind.iterrows():
        colour, dash = _KINDS[str(kind)]
        right.plot([0, 1], row[["short", "long"]], dash, color=colour, marker="o", label=kind)
    right.set(title="The same searcher, short or long", ylabel="share right", xlim=(-0.3, 1.3))
    right.set_xticks([0, 1], ["one candidate", "two candidates"])
    for panel in (left, right):
        drawing.percent(panel)
    left.legend()
    right.legend(ncols=3, loc="lower center")
    return figure


@described
def measured(lengths: Mapping[str, pd.DataFrame], cut: pd.DataFrame, low: int) -> Drawing:
    """Accuracy by length of the answer for each checkpoint, and accuracy if answers were cut at a
    cap.

    lengths: length.by_length by checkpoint; cut: length.by_cap.
    """
    figure = drawing.empty(3.47 * (len(lengths) + 1), 3.4)
    *panels, last = figure.subplots(1, len(lengths) + 1)
    for panel, (name, rows) in zip(panels, lengths.items(), strict=True):
        for kind, (colour, dash) in _KINDS.items():
            values = rows[kind].dropna()
            panel.plot(values.index, values, dash, color=colour, marker="o", ms=4, label=kind)
        panel.set(title=f"{name}, by length", xlabel="tokens of the answer", ylabel="share right")
        _tokens(panel)
        drawing.percent(panel)
        panel.legend()
    _cut(last, cut, low)
    return figure


@described
def through_training(training: pd.DataFrame, thirds: pd.DataFrame) -> Drawing:
    """Length of right and wrong answers and the share cut off over RL steps, and length by
    difficulty."""
    figure = drawing.empty(10.4, 3.4)
    left, middle, right = figure.subplots(1, 3)
    for name, column in (("right", "length_correct"), ("wrong", "length_wrong")):
        drawing.line(left, training, column, *(_ANSWERS[name][0], name, _ANSWERS[name][1]))
    left.set(title="Length", xlabel="step", ylabel="tokens")
    drawing.line(middle, training, "clipped", GREY, "cut off", "-")
    middle.set(title="Cut off at the cap", xlabel="step", ylabel="share of completions")
    middle.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for difficulty, answer in thirds.columns:
        colour, dash = _KINDS[difficulty][0], _ANSWERS[answer][1]
        right.plot(
            range(len(thirds)), thirds[difficulty, answer], dash, color=colour, marker="o", ms=4,
            label=f"{difficulty}, {answer}",
        )  # fmt: skip
    right.set_xticks(range(len(thirds)), [name.replace("steps ", "") for name in thirds.index])
    right.set(title="Length by difficulty", xlabel="steps", ylabel="tokens", xlim=(-0.3, 2.3))
    for panel in (left, right):
        drawing.from_zero(panel)
        panel.legend()
    return figure


@described
def arms(cut: pd.DataFrame, low: int) -> Drawing:
    """What each arm answers rightly within how many tokens."""
    figure = drawing.empty(6.4, 3.4)
    _cut(figure.subplots(), cut, low)
    return figure


def _cut(axes: Axes, cut: pd.DataFrame, low: int) -> None:
    colours = (BLUE, ORANGE, VERMILION, GREEN, PURPLE)
    for i, (name, values) in enumerate(cut.items()):
        dash = drawing.DASHES[i % len(drawing.DASHES)]
        axes.plot(values.index, values, dash, color=colours[i % len(colours)], label=name)
    axes.axvline(low, color=GREY, linewidth=0.9)
    axes.set(title="If answers were cut", xlabel="most tokens", ylabel="share right")
    _tokens(axes)
    drawing.percent(axes)
    axes.legend()


def _tokens(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
