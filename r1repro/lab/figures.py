"""The lab's figures."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter, StrMethodFormatter

from r1repro.evaluation.checkpoints import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION
from r1repro.lab.why import SIDES
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described
from r1repro.training.kl import ESTIMATORS

COLOURS = (BLUE, ORANGE, VERMILION, GREEN, PURPLE, INK, SKY, GREY)
_KL = {
    "k1 in the loss": (GREY, ":"),
    "k2 in the loss": (ORANGE, "--"),
    "k3 in the loss": (BLUE, "-"),
    "k1 in the reward": (GREEN, "-"),
    "k2 in the reward": (VERMILION, "-."),
    "k3 in the reward": (INK, "-."),
}
_MEASURED = {
    "pass_at_1": ("pass@1, training prompts", "share of completions"),
    "length": ("Length", "tokens a completion"),
    "length_correct": ("Length of right answers", "tokens"),
    "length_wrong": ("Length of wrong answers", "tokens"),
    "clipped": ("Cut off at the cap", "share of completions"),
    "entropy": ("Entropy of the policy", "nats a token"),
    "kl": ("KL to the reference", "nats a token, as estimated"),
    "clip_fraction": ("Clipped tokens", "share of tokens"),
    "explained_variance": (
        "What the critic explains",
        "share of the variance of the rewards to go",
    ),
}
CROWDED = 5
"""Most curves whose legend has room within a panel."""
_METHODS = {"RFT": (GREY, "-."), "Online RFT": (ORANGE, "--"), "GRPO": (BLUE, "-")}
_KINDS = {"all": (INK, "-"), "easy": (GREEN, "--"), "hard": (VERMILION, "-.")}
_ANSWERS = {"right": (GREEN, "-"), "wrong": (VERMILION, "--")}


def dash(i: int) -> str:
    """The dash of the i-th line of a panel; past the last colour it pairs them differently."""
    return drawing.DASHES[(i + i // len(COLOURS)) % len(drawing.DASHES)]


def lines(axes: Axes, curves: pd.DataFrame, colours: Sequence[str] = COLOURS, **style: Any) -> None:
    """A line for each column over the index."""
    for i, (name, values) in enumerate(curves.items()):
        colour = colours[i % len(colours)]
        axes.plot(values.index, values, dash(i), color=colour, label=name, **style)


@described
def estimators(over_distance: pd.DataFrame) -> Drawing:
    """The KL's three estimators, and how wrong each one's gradient is as the policy leaves its
    reference."""
    figure = drawing.empty(9.6, 3.4)
    left, right = figure.subplots(1, 2)
    away = torch.linspace(-2.0, 2.0, 101)
    for name, colour in zip(ESTIMATORS, (GREY, ORANGE, BLUE), strict=True):
        left.plot(away, ESTIMATORS[name](away, torch.zeros_like(away)), color=colour, label=name)
    left.axhline(0, color=INK, linewidth=0.8)
    left.set(
        title="What a token is charged", xlabel="log(π / π_ref) of the token", ylabel="nats",
        ylim=(-2.1, 4.2),
    )  # fmt: skip
    left.legend()
    most = float(over_distance[list(_KL)].max().max())
    for name, (colour, dash) in _KL.items():
        right.plot(over_distance["kl"], over_distance[name], dash, color=colour, label=name)
    right.set(
        title="Error of the expected gradient",
        xlabel="exact KL, nats a token",
        ylabel="‖E g − ∇KL‖ / ‖∇KL‖",
        ylim=(-0.03 * most, 1.45 * most),
    )
    right.legend(ncols=2, loc="upper center")
    return figure


@described
def lengths(found: Mapping[str, pd.DataFrame]) -> Drawing:
    """Mean length of wrong and of right answers over exact updates, by objective."""
    figure = drawing.empty(9.6, 3.3)
    panels = figure.subplots(1, 3)
    curves = pd.concat(found, axis=1)
    shown = {
        "wrong": ("Wrong answers", "tokens"),
        "right": ("Right answers", "tokens"),
        "accuracy": ("Accuracy", "share right"),
    }
    for panel, (column, (title, unit)) in zip(panels, shown.items(), strict=True):
        lines(panel, curves.xs(column, axis=1, level=1))
        panel.set(title=title, xlabel="update", ylabel=unit)
    both = curves.loc[:, (slice(None), ["wrong", "right"])].to_numpy()
    low, high = both.min(), both.max()
    for panel in panels[:2]:
        panel.set_ylim(low - 0.05 * (high - low), high + 0.05 * (high - low))
    drawing.percent(panels[2])
    panels[0].legend()
    return figure


@described
def difficulty(rows: pd.DataFrame) -> Drawing:
    """How much a question teaches, over the probability of its right answer."""
    figure = drawing.empty(5.2, 3.2)
    axes = figure.subplots()
    lines(axes, rows, (BLUE, GREEN))
    axes.set(
        title="Pull on a question's log-odds", xlabel="probability of the right answer",
        ylabel="relative to the largest", ylim=(0, 1.05),
    )  # fmt: skip
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend()
    return figure


@described
def policies(methods: pd.DataFrame, stale: Mapping[str, pd.DataFrame]) -> Drawing:
    """Accuracy over exact updates by where answers come from and how often they are used, and how
    many right answers are left."""
    figure = drawing.empty(10.4, 3.4)
    left, middle, right = figure.subplots(1, 3)
    for name, values in methods.items():
        colour, dash = _METHODS[str(name)]
        left.plot(values.index, values, dash, color=colour, label=name)
    left.set(title="Samples for every update", xlabel="update", ylabel="share right")
    curves = pd.concat(stale, axis=1)
    for panel, column in ((middle, "accuracy"), (right, "right answers")):
        lines(panel, curves.xs(column, axis=1, level=1))
    middle.set(title="All updates on one sample", xlabel="update", ylabel="share right")
    right.set(title="Right answers left", xlabel="update", ylabel="number, in effect")
    for panel in (left, middle):
        drawing.percent(panel)
        panel.legend()
    return figure


@described
def arms(
    shown: Mapping[str, pd.DataFrame], columns: Sequence[str], resets: Mapping[str, float | None]
) -> Drawing:
    """What was measured while the lab's arms were trained, over the completions sampled.

    shown: metrics by method, with a column `samples`; columns that no method has are left out.
    resets: by method, after how many samples its reference is replaced, where the KL starts anew.
    """
    there = [c for c in columns if any(drawing.has(rows, c) for rows in shown.values())]
    crowded = len(shown) > CROWDED
    figure = drawing.empty(3.47 * len(there), 3.3 + 0.25 * crowded * len(shown) / CROWDED)
    panels = figure.subplots(1, len(there), squeeze=False)[0]
    for panel, column in zip(panels, there, strict=True):
        for i, (name, rows) in enumerate(shown.items()):
            if not drawing.has(rows, column):
                continue
            measured = rows.dropna(subset=[column])
            drawing.noisy(
                panel, measured["samples"], measured[column], COLOURS[i % len(COLOURS)], name,
                dash(i), resets[name] if column == "kl" else None,
            )  # fmt: skip
        title, unit = _MEASURED[column]
        panel.set(title=title, ylabel=unit, xlabel="completions sampled")
        if column == "pass_at_1":
            drawing.percent(panel)
        if column == "explained_variance":
            # Where all returns are nearly equal it can be any number below 0.
            panel.set_ylim(max(-1.0, panel.get_ylim()[0]), 1.02)
    if crowded:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    else:
        panels[0].legend()
    return figure


@described
def critics(
    weights: pd.DataFrame, found: pd.DataFrame, held: Mapping[str, Sequence[str]]
) -> Drawing:
    """How much of the last reward reaches the first token, and the bytes of each method by
    model."""
    figure = drawing.empty(9.6, 3.3)
    left, right = figure.subplots(1, 2)
    lines(left, weights, (VERMILION, ORANGE, BLUE))
    left.set(
        title="Reward that reaches the first token", xlabel="tokens of the answer", ylabel="share",
        xscale="log", yscale="log", ylim=(1e-12, 3),
    )  # fmt: skip
    left.legend()
    size = found["bytes"]
    unit, word = (2**30, "GiB") if size.sum() >= 2**30 else (2**20, "MiB")
    for model, colour in zip(size.index, (BLUE, ORANGE, GREY, GREEN), strict=True):
        before = {
            place: size[list(models[: models.index(model)])].sum() / unit
            for place, models in enumerate(held.values())
            if model in models
        }
        right.barh(
            [*before], size[model] / unit, left=[*before.values()], color=colour, label=model
        )
    right.set_yticks(range(len(held)), [*held])
    right.invert_yaxis()
    right.set(title="Weights, gradients and optimizer", xlabel=word)
    right.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return figure


@described
def why(found: pd.DataFrame) -> Drawing:
    """Change of the log-probability of five answers by SFT, RFT and GRPO on one question."""
    figure = drawing.empty(9.6, 3.3)
    axes = figure.subplots()
    answers, colours = [*SIDES.values()], (GREY, ORANGE, BLUE)
    for at, (arm, rows) in enumerate(found.groupby("arm", sort=False)):
        rows = rows.set_index("change of log P").loc[answers]
        places = [place + 0.25 * (at - 1) for place in range(len(answers))]
        error = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        axes.bar(places, rows["value"], 0.23, yerr=error, capsize=3, color=colours[at], label=arm)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(answers)), [textwrap.fill(label, 22) for label in answers])
    axes.set(title="Change of log P of a whole answer", ylabel="nats")
    axes.legend()
    return figure


@described
def searcher(budgets: pd.DataFrame, by_kind: pd.DataFrame) -> Drawing:
    """What a searcher finds under a cap on its tokens, and accuracy of short and long answers by
    kind of question."""
    figure = drawing.empty(9.6, 3.4)
    left, right = figure.subplots(1, 2)
    lines(left, budgets, (GREEN, VERMILION, PURPLE), drawstyle="steps-post")
    left.set(title="What a cap buys", xlabel="most tokens of an answer", ylabel="found")
    for kind, row in by_kind.iterrows():
        colour, style = _KINDS[str(kind)]
        right.plot([0, 1], row[["short", "long"]], style, color=colour, marker="o", label=kind)
    right.set(title="The same searcher, short or long", ylabel="share right", xlim=(-0.3, 1.3))
    right.set_xticks([0, 1], ["one candidate", "two candidates"])
    for panel in (left, right):
        drawing.percent(panel)
    left.legend()
    right.legend(ncols=3, loc="lower center")
    return figure


@described
def by_length(answers: Mapping[str, pd.DataFrame], cut: pd.DataFrame, low: int) -> Drawing:
    """Accuracy by length of the answer for each checkpoint, and accuracy if answers were cut at a
    cap.

    answers: length.by_length by checkpoint; cut: length.by_cap.
    """
    figure = drawing.empty(3.47 * (len(answers) + 1), 3.4)
    *panels, last = figure.subplots(1, len(answers) + 1)
    for panel, (name, rows) in zip(panels, answers.items(), strict=True):
        for kind, (colour, style) in _KINDS.items():
            values = rows[kind].dropna()
            panel.plot(values.index, values, style, color=colour, marker="o", ms=4, label=kind)
        panel.set(title=f"{name}, by length", xlabel="tokens of the answer", ylabel="share right")
        _tokens(panel)
    _cut(last, cut, low)
    return figure


@described
def through_training(training: pd.DataFrame, thirds: pd.DataFrame) -> Drawing:
    """Length of right and wrong answers and the share cut off over RL steps, and length by
    difficulty."""
    figure = drawing.empty(10.4, 3.4)
    left, middle, right = figure.subplots(1, 3)
    for name, column in (("right", "length_correct"), ("wrong", "length_wrong")):
        colour, style = _ANSWERS[name]
        drawing.line(left, training, column, colour, name, style)
    left.set(title="Length", xlabel="step", ylabel="tokens")
    drawing.line(middle, training, "clipped", GREY, "cut off", "-")
    middle.set(title="Cut off at the cap", xlabel="step", ylabel="share of completions")
    middle.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    for difficulty, answer in thirds.columns:
        right.plot(
            range(len(thirds)), thirds[difficulty, answer], _ANSWERS[answer][1],
            color=_KINDS[difficulty][0], marker="o", ms=4, label=f"{difficulty}, {answer}",
        )  # fmt: skip
    right.set_xticks(range(len(thirds)), [name.replace("steps ", "") for name in thirds.index])
    right.set(title="Length by difficulty", xlabel="steps", ylabel="tokens", xlim=(-0.3, 2.3))
    for panel in (left, right):
        drawing.from_zero(panel)
        panel.legend()
    return figure


@described
def by_cap(cut: pd.DataFrame, low: int) -> Drawing:
    """What each arm answers rightly within how many tokens."""
    figure = drawing.empty(6.4, 3.4)
    _cut(figure.subplots(), cut, low)
    return figure


def _cut(axes: Axes, cut: pd.DataFrame, low: int) -> None:
    lines(axes, cut, COLOURS[:5])
    axes.axvline(low, color=GREY, linewidth=0.9)
    axes.set(title="If answers were cut", xlabel="most tokens", ylabel="share right")
    _tokens(axes)


def _tokens(axes: Axes) -> None:
    """Shares over lengths, with a legend."""
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    drawing.percent(axes)
    axes.legend()
