"""What all figures share: style, axes and curves. Lines differ in dash or marker too."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from r1repro.evaluation.checkpoints import (
    CHECKPOINTS,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    about,
)
from r1repro.evaluation.metrics import MEASURES
from r1repro.evaluation.statistics import Estimate

PALE = "#f3f4f6"
_OTHERS = ((VERMILION, "^"), (GREEN, "D"), (PURPLE, "v"), (ORANGE, "P"))
SUITES = {
    "reasoning/pass@1": "Reasoning",
    "arithmetic/pass@1": "Arithmetic",
    "countdown/pass@1": "Countdown",
    "general/score": "General\nscore",
    "general/translation": "Trans-\nlation",
    "general/fact": "Facts",
    "general/instruction": "Instruc-\ntions",
    "general/greeting": "Greetings",
    "general/refusal": "Refusals",
    "format_valid": "Valid\nformat",
    "language_share": "Language\nasked",
    "readability": "Readable",
}
"""The suites of the heat map, all of them shares, with their labels."""
_RANGES = {
    "whole": "pass_at_1 format_valid general/score preference zero_variance_groups",
    "share": "language_share",
    "zero": "reward_deviation length reflection_per_response reflection_per_1k_tokens entropy",
    "free": "length_correct kl",
}
PANELS = {column: kind for kind, columns in _RANGES.items() for column in columns.split()}
"""The axis range of a column of an RL stage's metrics: 0 to 1, a share, from zero, or free."""
DASHES = ("-", "--", "-.", ":")
_STYLE = {
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 9.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa0a8",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.8,
    "xtick.color": "#5b6169",
    "ytick.color": "#5b6169",
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "lines.linewidth": 1.9,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "figure.dpi": 110,
    "figure.facecolor": "white",
}


def checkpoint(name: str, index: int = 0) -> tuple[str, str, str]:
    """Label, colour and marker of a checkpoint, the same in every figure."""
    found = about(name)
    if name not in CHECKPOINTS:
        return found.label, *_OTHERS[index % len(_OTHERS)]
    return found.label, found.colour, found.marker


class Drawing(Figure):
    """A figure with an alternative text for notebooks."""

    alt = ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        return {}, {"image/png": {"alt": self.alt}}  # IPython draws the picture itself


def described(draw: Callable[..., Drawing]) -> Callable[..., Drawing]:
    """Draw in the common style and close the figure, so that a notebook shows it once.

    Its alternative text is the first paragraph of the function's docstring.
    """

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Drawing:
        with plt.rc_context(_STYLE):
            made = draw(*args, **kwargs)
            made.draw_without_rendering()  # creates the ticks within the style
            plt.close(made)
        made.alt = " ".join((draw.__doc__ or "").partition("\n\n")[0].split())
        return made

    return drawn


def empty(width: float, height: float) -> Drawing:
    """A figure without panels, in inches."""
    made = plt.figure(figsize=(width, height), layout="constrained", FigureClass=Drawing)
    assert isinstance(made, Drawing)
    return made


def save(figure: Figure, path: Path) -> None:
    """Save as <path>.png, at twice the width of a page's column, and as <path>.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with plt.rc_context({"svg.hashsalt": "r1repro"}):  # equal data make equal files
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


def points(
    axes: Axes,
    estimates: Mapping[float, Estimate],
    name: str,
    index: int,
    line: bool = False,
    text: str | None = None,
) -> None:
    """The estimates of a checkpoint, drawn by `bars` with its own colour and marker."""
    label, colour, marker = checkpoint(name, index)
    bars(axes, estimates, colour, marker, text or label, "-" if line else "none")


def bars(
    axes: Axes,
    estimates: Mapping[float, Estimate],
    colour: str,
    marker: str,
    label: str,
    dash: str = "none",
) -> None:
    """Estimates by x, with their intervals."""
    ends = [(one.low, one.value, one.high) for one in estimates.values()]
    low, value, high = np.array(ends, dtype=float).reshape(-1, 3).T
    axes.errorbar(
        [*estimates], value, yerr=np.nan_to_num([value - low, high - value]).clip(0), color=colour,
        marker=marker, markersize=6, markeredgecolor="white", markeredgewidth=0.8, capsize=3,
        elinewidth=1.4, linewidth=1.5, linestyle=dash, label=label, zorder=5, clip_on=False,
    )  # fmt: skip


def noisy(
    axes: Axes,
    x: pd.Series,
    y: pd.Series,
    colour: str,
    label: str,
    dash: str = "-",
    resets: float | None = None,
) -> None:
    """The values in a faint line, and their running mean over a tenth of the run.

    resets: the length along `x`, from 0, after which the curve starts anew; no mean crosses that.
    """
    smooth = _running(y.set_axis(x), resets)
    short = len(y) < 10
    if not short:
        axes.plot(x, y, color=colour, alpha=0.25, linewidth=0.9)
    axes.plot(x, smooth, dash, color=colour, label=label, marker="." if short else None)


def _running(values: pd.Series, resets: float | None = None) -> pd.Series:
    """The running mean over a tenth of the run; values: indexed by step or sample."""
    window = max(1, round(len(values) / 10))
    parts = values.index * 0 if resets is None else np.ceil(values.index / resets)
    return values.groupby(parts).transform(
        lambda part: part.rolling(window, center=True, min_periods=1).mean()
    )


def bands(
    axes: Axes,
    runs: Sequence[pd.DataFrame],
    column: str,
    colour: str,
    label: str,
    dash: str = "-",
    resets: int | None = None,
) -> None:
    """A column over RL steps: `noisy` for one run, mean and range of running means for several."""
    if len(runs) == 1:
        noisy(axes, runs[0]["step"], runs[0][column], colour, label, dash, resets)
        return
    each = [rows.set_index("step")[column].astype(float) for rows in runs]
    smooth = pd.concat([_running(one, resets) for one in each], axis=1)
    axes.fill_between(
        smooth.index, smooth.min(axis=1), smooth.max(axis=1), color=colour, alpha=0.22, linewidth=0
    )
    axes.plot(smooth.mean(axis=1), dash, color=colour, label=label)


def has(rows: pd.DataFrame, column: str) -> bool:
    return column in rows and bool(rows[column].notna().any())


def line(axes: Axes, rows: pd.DataFrame, column: str, colour: str, label: str, dash: str) -> None:
    """A column over the steps at which it was measured."""
    if has(rows, column):
        values = pd.to_numeric(rows[column]).dropna()
        noisy(axes, rows["step"].loc[values.index], values, colour, label, dash)


def from_zero(axes: Axes) -> None:
    """Start the axis at zero and leave room above the curves."""
    most = float(axes.dataLim.y1)  # bands too, not lines alone
    axes.set_ylim(0, 1.08 * most if 0 < most < np.inf else None)


def labelled(axes: Axes, column: str) -> None:
    """The title, label and range of a panel for a column of PANELS."""
    axes.set(title=MEASURES[column].label, ylabel=MEASURES[column].axis)
    if PANELS[column] == "whole":
        percent(axes)
    elif PANELS[column] == "share":
        # as many decimals as keep the ticks apart
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    elif PANELS[column] == "zero":
        from_zero(axes)


def percent(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def whole_steps(panels: Iterable[Axes]) -> None:
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
