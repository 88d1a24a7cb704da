"""The lab's figures."""

import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd
import torch
from matplotlib.ticker import PercentFormatter

from r1repro.evaluation.checkpoints import BLUE, GREEN, GREY, INK, ORANGE, PURPLE, SKY, VERMILION
from r1repro.lab import why as why_
from r1repro.lab.advantages import OBJECTIVES, Lengths
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described
from r1repro.training.kl import ESTIMATORS

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
_ARMS = (GREY, ORANGE, BLUE)
_METHODS = {"RFT": (GREY, "-."), "Online RFT": (ORANGE, "--"), "GRPO": (BLUE, "-")}


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
def lengths(found: Lengths) -> Drawing:
    """Mean length of wrong and of right answers over exact updates, by objective."""
    figure = drawing.empty(9.6, 3.3)
    panels = figure.subplots(1, 3)
    colours = dict(zip(OBJECTIVES, (BLUE, ORANGE, VERMILION, GREEN), strict=True))
    shown = (
        ("wrong", "Wrong answers", "tokens"),
        ("right", "Right answers", "tokens"),
        ("accuracy", "Accuracy", "share right"),
    )
    for panel, (column, title, unit) in zip(panels, shown, strict=True):
        for i, (name, rows) in enumerate(found.curves.items()):
            panel.plot(
                rows["update"], rows[column], drawing.DASHES[i], color=colours[name], label=name
            )
        panel.set(title=title, xlabel="update", ylabel=unit)
    both = [rows[c] for rows in found.curves.values() for c in ("wrong", "right")]
    low, high = min(map(min, both)), max(map(max, both))
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
    for (name, values), colour, dash in zip(rows.items(), (BLUE, GREEN), ("-", "--"), strict=True):
        axes.plot(rows.index, values, dash, color=colour, label=name)
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
    colours = (BLUE, ORANGE, VERMILION, GREEN)
    for i, (name, rows) in enumerate(stale.items()):
        for panel, column in ((middle, "accuracy"), (right, "right answers")):
            panel.plot(
                rows["update"], rows[column], drawing.DASHES[i], color=colours[i], label=name
            )
    middle.set(title="All updates on one sample", xlabel="update", ylabel="share right")
    right.set(title="Right answers left", xlabel="update", ylabel="number, in effect")
    for panel in (left, middle):
        drawing.percent(panel)
        panel.legend()
    return figure


@described
def arms(
    shown: Mapping[str, pd.DataFrame],
    columns: Sequence[str],
    resets: Mapping[str, float] | None = None,
) -> Drawing:
    """What was measured while the lab's arms were trained, over the completions sampled.

    shown: metrics by method, with a column `samples`; columns that no method has are left out.
    resets: by method, after how many samples its reference is replaced, where the KL starts anew.
    """
    there = [c for c in columns if any(drawing.has(rows, c) for rows in shown.values())]
    crowded = len(shown) > CROWDED
    figure = drawing.empty(3.47 * len(there), 3.3 + 0.25 * crowded * len(shown) / CROWDED)
    panels = figure.subplots(1, len(there), squeeze=False)[0]
    colours = (BLUE, ORANGE, VERMILION, GREEN, PURPLE, INK, SKY, GREY)
    for panel, column in zip(panels, there, strict=True):
        for i, (name, rows) in enumerate(shown.items()):
            if not drawing.has(rows, column):
                continue
            measured = rows.dropna(subset=[column])
            # Past the last colour other dashes than before, so that no two lines look alike.
            dash = drawing.DASHES[(i + i // len(colours)) % len(drawing.DASHES)]
            again = (resets or {}).get(name) if column == "kl" else None
            drawing.noisy(
                panel, measured["samples"], measured[column], colours[i % len(colours)], name,
                dash, again,
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
    colours = (VERMILION, ORANGE, BLUE)
    for i, (name, values) in enumerate(weights.items()):
        left.plot(values.index, values, drawing.DASHES[i], color=colours[i], label=name)
    left.set(
        title="Reward that reaches the first token", xlabel="tokens of the answer", ylabel="share",
        xscale="log", yscale="log", ylim=(1e-12, 3),
    )  # fmt: skip
    left.legend()
    names, most = list(held), int(found["bytes"].sum())
    unit, word = (2**30, "GiB") if most >= 2**30 else (2**20, "MiB")
    for i, model in enumerate(found.index):
        shown = [name for name in names if model in held[name]]
        before = [
            sum(found.loc[list(held[n])[: list(held[n]).index(model)], "bytes"]) for n in shown
        ]
        sizes = found.loc[model, "bytes"] / unit
        right.barh(
            [names.index(n) for n in shown], [sizes] * len(shown),
            left=[b / unit for b in before], color=(BLUE, ORANGE, GREY, GREEN)[i], label=model,
        )  # fmt: skip
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set(title="Weights, gradients and optimizer", xlabel=word)
    right.legend(ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return figure


@described
def why(found: pd.DataFrame) -> Drawing:
    """Change of the log-probability of five answers by SFT, RFT and GRPO on one question."""
    figure = drawing.empty(9.6, 3.3)
    axes = figure.subplots()
    answers = [*why_.SIDES.values()]
    for at, (arm, colour) in enumerate(zip(found["arm"].unique(), _ARMS, strict=True)):
        rows = found[found["arm"] == arm].set_index("change of log P").loc[answers]
        places = [place + 0.25 * (at - 1) for place in range(len(answers))]
        error = [rows["value"] - rows["low"], rows["high"] - rows["value"]]
        axes.bar(places, rows["value"], 0.23, yerr=error, capsize=3, color=colour, label=arm)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_xticks(range(len(answers)), [textwrap.fill(label, 22) for label in answers])
    axes.set(title="Change of log P of a whole answer", ylabel="nats")
    axes.legend()
    return figure
