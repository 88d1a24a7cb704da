"""What all figures share: names and colours of the checkpoints, the style, and the curves.

Colours are from the Okabe-Ito palette, which is safe for colour-vision deficiencies; lines also
differ in dash or marker.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from r1repro.evaluation.checkpoints import ARMS, arm_label
from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.statistics import Estimate

Summary = Mapping[str, Estimate]
Evaluation: TypeAlias = pd.DataFrame | Summary
"""Rows of evaluation.parquet, or their summary by `summarize`."""

INK = "#222222"
BLUE, ORANGE, GREEN, VERMILION, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7"
SKY, GREY, PALE = "#56B4E9", "#6b7280", "#f3f4f6"
CHECKPOINTS: dict[str, tuple[str, str, str]] = {
    "base": ("Base", GREY, "s"),
    "r1_zero": ("R1-Zero", BLUE, "o"),
    "dev1": ("Dev1", ORANGE, "v"),
    "dev2": ("Dev2", SKY, "D"),
    "dev3": ("Dev3", PURPLE, "P"),
    "r1": ("R1", GREEN, "^"),
    "base_best": ("Base, best way of asking", GREY, "p"),
    "base_plain": ("Base, question alone", GREY, "<"),
    "base_begun": ("Base, think tag begun", GREY, ">"),
    "base_few_shot": ("Base, after worked examples", GREY, "*"),
    "base_forced": ("Base, made to go on", GREY, "d"),
    "base_rft": ("Base, fine-tuned on its right samples", SKY, "h"),
    "r1_zero_permuted": ("R1-Zero, rewards permuted", INK, "x"),
    "r1_zero_format_only": ("R1-Zero, format reward alone", INK, "+"),
    "r1_zero_equal_weights": ("R1-Zero, the paper’s sum of rewards", INK, "1"),
    "dev2_no_language_reward": ("Dev2 without language reward", INK, "X"),
    "dev3_reasoning_only": ("Dev3 on reasoning data only", INK, "<"),
    "r1_preference_throughout": ("R1, preference from step 1", INK, ">"),
    **{
        f"{student}_{arm}": (f"{name}: {arm_label(arm)}", colour, marker)
        for student, name, colour, marker in (
            ("qwen", "Qwen", BLUE, "o"),
            ("llama", "Llama", VERMILION, "s"),
        )
        for arm in ARMS
    },
    "qwen_rl_plateau": ("Qwen: RL alone to a plateau", INK, "o"),
    "llama_rl_plateau": ("Llama: RL alone to a plateau", INK, "s"),
}
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
"""The suites that `stage_changes` shows, all of them shares, with their labels."""
PANELS: dict[str, tuple[str, str, str]] = {
    "pass_at_1": ("Reasoning, pass@1", "share of completions", "whole"),
    "format_valid": ("Valid format", "share of completions", "whole"),
    "general_correct": ("General prompts, right by rule", "share of completions", "whole"),
    "preference": ("Preference reward", "mean over general prompts", "whole"),
    "language_share": ("Language of the thinking", "words in the question's language", "share"),
    "zero_variance_groups": ("Groups without variance", "share of groups", "whole"),
    "reward_deviation": ("Spread of the reward", "standard deviation in a batch", "zero"),
    "length": ("Length", "tokens a completion", "zero"),
    "entropy": ("Entropy of the policy", "nats per token", "zero"),
    "kl": ("KL to the reference", "nats per token (k3 estimate)", "free"),
}
"""Column of an RL stage's metrics: title, axis label and axis range."""
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
    if name in CHECKPOINTS:
        return CHECKPOINTS[name]
    colour, marker = _OTHERS[index % len(_OTHERS)]
    return name.replace("_", " ").capitalize(), colour, marker


class Drawing(Figure):
    """A figure that tells a notebook its alternative text."""

    alt = ""

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        return {}, {"image/png": {"alt": self.alt}}  # IPython draws the picture itself


def described(draw: Callable[..., Drawing]) -> Callable[..., Drawing]:
    """Draw in the common style and close the figure, so that a notebook shows it once.

    Its alternative text is the first sentence of the function's docstring.
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


def points(
    axes: Axes,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    name: str,
    index: int,
    line: bool = False,
    text: str | None = None,
) -> None:
    """Estimates of a checkpoint with their intervals."""
    label, colour, marker = checkpoint(name, index)
    bars(axes, x, estimates, colour, marker, text or label, "-" if line else "")


def bars(
    axes: Axes,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    colour: str,
    marker: str,
    label: str,
    dash: str,
) -> None:
    """Estimates with their intervals."""
    value = np.array([e.value for e in estimates])
    below = np.nan_to_num(value - np.array([e.low for e in estimates])).clip(0)
    above = np.nan_to_num(np.array([e.high for e in estimates]) - value).clip(0)
    axes.errorbar(
        x, value, yerr=[below, above], color=colour, marker=marker, markersize=6,
        markeredgecolor="white", markeredgewidth=0.8, capsize=3, elinewidth=1.4, linewidth=1.5,
        linestyle=dash or "none", label=label, zorder=5, clip_on=False,
    )  # fmt: skip


def noisy(axes: Axes, x: pd.Series, y: pd.Series, colour: str, label: str, dash: str = "-") -> None:
    """The values faintly, and their running mean over a tenth of the run."""
    window = max(1, round(len(y) / 10))
    smooth = y.rolling(window, center=True, min_periods=1).mean()
    short = len(y) < 10
    if not short:
        axes.plot(x, y, color=colour, alpha=0.25, linewidth=0.9)
    axes.plot(x, smooth, dash, color=colour, label=label, marker="." if short else None)


def bands(
    axes: Axes,
    runs: Sequence[pd.DataFrame],
    column: str,
    colour: str,
    label: str,
    dash: str = "-",
) -> None:
    """A column over RL steps: one run as in `noisy`, several seeds as a band.

    The band spans the lowest to the highest running mean; the line is their mean.
    """
    if len(runs) == 1:
        noisy(axes, runs[0]["step"], runs[0][column], colour, label, dash)
        return
    each = pd.concat([rows.set_index("step")[column].astype(float) for rows in runs], axis=1)
    smooth = each.rolling(max(1, len(each) // 10), center=True, min_periods=1).mean()
    axes.fill_between(
        smooth.index, smooth.min(axis=1), smooth.max(axis=1), color=colour, alpha=0.22, linewidth=0
    )
    axes.plot(smooth.mean(axis=1), dash, color=colour, label=label)


def has(rows: pd.DataFrame, column: str) -> bool:
    return column in rows and bool(rows[column].notna().any())


def line(axes: Axes, rows: pd.DataFrame, column: str, colour: str, label: str, dash: str) -> None:
    """A column over the steps at which it was measured."""
    if column not in rows:
        return
    values = pd.to_numeric(rows[column]).dropna()
    if len(values):
        noisy(axes, rows["step"].loc[values.index], values, colour, label, dash)


def from_zero(axes: Axes) -> None:
    """Start the axis at zero and leave room above the curves."""
    values = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    drawn = [float(np.nanmax(value)) for value in values if value.size]
    most = max(drawn, default=0.0)
    axes.set_ylim(0, 1.08 * most if most > 0 else None)


def percent(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def whole_steps(panels: Sequence[Axes]) -> None:
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def summarized(evaluations: Mapping[str, Evaluation]) -> dict[str, Summary]:
    return {
        name: summarize(given) if isinstance(given, pd.DataFrame) else given
        for name, given in evaluations.items()
    }
