"""Figures of a run, shared by notebooks and the report.

Each function takes a stage's stored DataFrames and returns a matplotlib Figure. Colours are from
the Okabe-Ito palette, which is safe for colour-vision deficiencies; lines also differ in dash or
marker. Figures contain no model text, so no Chinese font is needed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeAlias

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from r1repro.evaluation.checkpoints import ARMS, CHAIN, MAIN, STUDENTS, arm_label, key
from r1repro.evaluation.metrics import families as families_of
from r1repro.evaluation.metrics import shown, summarize
from r1repro.evaluation.statistics import Estimate, over_seeds

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


def main(found: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """The headline's checkpoints among these, in the order of the pipeline."""
    return {name: found[name] for name in MAIN if name in found}


@contextmanager
def _style() -> Iterator[None]:
    with plt.rc_context(_STYLE):
        yield


def _figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the common style and close the figure, so that a notebook shows it once."""

    @wraps(draw)
    def drawn(*args: Any, **kwargs: Any) -> Figure:
        with _style():
            figure = draw(*args, **kwargs)
            figure.draw_without_rendering()  # creates the ticks within the style
            plt.close(figure)
        return figure

    return drawn


@_figure
def pretraining(metrics: pd.DataFrame) -> Figure:
    """Loss and speed of pretraining over tokens."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.0), layout="constrained")
    tokens = metrics["tokens"] / 1e6
    _noisy(left, tokens, metrics["loss"], BLUE, "loss")
    left.set(title="Pretraining loss", xlabel="tokens seen (millions)", ylabel="nats per token")
    _noisy(right, tokens, metrics["tokens_per_s"] / 1e3, GREEN, "speed")
    right.set(title="Speed", xlabel="tokens seen (millions)", ylabel="thousand tokens per second")
    right.set_ylim(bottom=0)
    return figure


@_figure
def learning_curve(
    metrics: pd.DataFrame, evaluations: Mapping[str, Evaluation] | None = None
) -> Figure:
    """pass@1 and valid format on the training prompts over RL steps.

    With `evaluations` ({"base": rows, "r1_zero": rows, "r1": rows}) the held-out pass@1 before the
    first and after the last step is drawn beside the curve with 95 % intervals, and right of it
    that of R1. It is sampled with the evaluation's settings, which explains a part of its gap to
    the training curve.
    """
    figure, axes = plt.subplots(figsize=(5.6, 3.7), layout="constrained")
    _learning_curve(axes, metrics, _summaries(evaluations or {}))
    return figure


@_figure
def by_level(evaluations: Mapping[str, Evaluation], task: str | None = None) -> Figure:
    """Held-out pass@1 by level for each checkpoint, with 95 % intervals; one family with `task`."""
    figure, axes = plt.subplots(figsize=(5.6, 3.7), layout="constrained")
    _by_level(axes, _summaries(evaluations), task)
    return figure


@_figure
def headline(metrics: pd.DataFrame, evaluations: Mapping[str, Evaluation]) -> Figure:
    """Learning curve and pass@1 by level in one figure."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 3.8), layout="constrained")
    summaries = _summaries(evaluations)
    _learning_curve(left, metrics, summaries)
    _by_level(right, summaries, None)
    return figure


@_figure
def seeds(
    curves: Mapping[str, pd.DataFrame], summaries: Mapping[str, Mapping[str, Summary]]
) -> Figure:
    """R1-Zero's training curve as a band over seeds, and every seed's held-out points.

    curves: R1-Zero's metrics by seed; summaries: estimates by seed and checkpoint. The band goes
    from the lowest to the highest running mean; bars are 95 % intervals, see statistics.over_seeds.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10.4, 3.6), layout="constrained")
    for column, colour in (("pass_at_1", BLUE), ("format_valid", GREEN)):
        _curves(axes[0], list(curves.values()), column, colour, PANELS[column][0])
    axes[0].set(title="R1-Zero, training prompts", xlabel="RL step", ylabel="share of completions")
    axes[0].legend()
    _percent(axes[0])
    _whole_steps(axes[:1])
    for panel, path in zip(axes[1:], ("reasoning/pass@1", "general/score"), strict=True):
        shared = [
            n for n in ("base", *CHAIN) if all(path in s.get(n, {}) for s in summaries.values())
        ]
        for x, name in enumerate(shared):
            values = [run[name][path].value for run in summaries.values()]
            label, colour, marker = checkpoint(name, x)
            spread = x + np.linspace(-0.15, 0.15, len(values))
            panel.plot(spread, values, marker, color=colour, markersize=5, alpha=0.75)
            whole = over_seeds([run[name][path] for run in summaries.values()])
            low, high = whole.low, whole.high
            panel.errorbar(
                x, np.mean(values), yerr=[[np.mean(values) - low], [high - np.mean(values)]],
                color=colour, capsize=4, elinewidth=1.3,
            )  # fmt: skip
        panel.set_xticks(range(len(shared)), [checkpoint(n)[0] for n in shared])
        panel.set(title=f"Held-out: {SUITES[path].replace(chr(10), ' ').lower()}")
        panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        panel.set_ylim(bottom=0)
    return figure


@_figure
def families(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Held-out pass@1 by level, one panel per task family."""
    summaries = _summaries(evaluations)
    tasks = families_of(path for summary in summaries.values() for path in summary)
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(4.6 * len(tasks), 3.3), layout="constrained", sharey=True,
        squeeze=False,
    )  # fmt: skip
    for i, task in enumerate(tasks):
        _by_level(axes[0, i], summaries, task)
        if i:
            axes[0, i].set_ylabel("")
            axes[0, i].get_legend().remove()
    return figure


@_figure
def pass_at_k(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Held-out pass@k over k, one panel a task family, with 95 % intervals.

    Where base and trained model meet as k grows, training made likely what the base could already
    do.
    """
    summaries = _summaries(evaluations)
    tasks = families_of(path for summary in summaries.values() for path in summary)
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(4.6 * len(tasks), 3.3), layout="constrained", sharey=True,
        squeeze=False,
    )  # fmt: skip
    for i, task in enumerate(tasks):
        panel = axes[0, i]
        for j, (name, summary) in enumerate(summaries.items()):
            ks = sorted(int(p.split("@")[1]) for p in summary if p.startswith(f"{task}/pass@"))
            estimates = [summary[f"{task}/pass@{k}"] for k in ks]
            _points(panel, ks, estimates, name, j, line=True)
        panel.set(title=task.capitalize(), xlabel="k (samples a problem)", xscale="log")
        panel.set_xticks(ks, [str(k) for k in ks])
        panel.minorticks_off()
        _percent(panel)
    axes[0, 0].set_ylabel("pass@k, held-out problems")
    axes[0, 0].legend(loc="lower right")
    return figure


@_figure
def behaviour(runs: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """How the completions on the training prompts change over RL steps, in six panels.

    runs: R1-Zero's metrics, or those of several seeds, which are drawn as bands.
    """
    found = {"": runs} if isinstance(runs, pd.DataFrame) else runs
    curves = [
        rows.assign(rate=1000 * rows["reflection"] / rows["length"].where(rows["length"] > 0))
        for rows in found.values()
    ]
    figure, axes = plt.subplots(2, 3, figsize=(10.4, 5.4), layout="constrained", sharex=True)

    panel = axes[0, 0]
    _curves(panel, curves, "length_correct", BLUE, "right answers")
    _curves(panel, curves, "length_wrong", VERMILION, "wrong answers", "--")
    panel.set(title="Length", ylabel="tokens a completion")
    panel.legend()

    panel = axes[0, 1]
    _curves(panel, curves, "reflection", BLUE, "a response")
    panel.set(title="Reflection words", ylabel="words a response")
    panel.set_ylim(bottom=0)

    panel = axes[0, 2]
    _curves(panel, curves, "rate", BLUE, "per 1,000 tokens")
    panel.set(title="Reflection words, by length", ylabel="words per 1,000 tokens")
    panel.set_ylim(bottom=0)

    panel = axes[1, 0]
    _curves(panel, curves, "language_share", GREEN, "share")
    panel.set(title="Language of the thinking", ylabel="words in the question's language")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))

    panel = axes[1, 1]
    _curves(panel, curves, "entropy", PURPLE, "entropy")
    panel.set(title="Entropy of the policy", ylabel="nats per token")
    panel.set_ylim(bottom=0)

    panel = axes[1, 2]
    _curves(panel, curves, "kl", ORANGE, "KL")
    panel.set(title="KL to the reference", ylabel="nats per token (k3 estimate)")

    for panel in axes[1]:
        panel.set_xlabel("RL step")
    _whole_steps(axes.ravel())
    return figure


@_figure
def training(metrics: pd.DataFrame) -> Figure:
    """Health of a run: rewards, groups without signal, clipping and speed."""
    figure, axes = plt.subplots(1, 3, figsize=(10.4, 2.9), layout="constrained", sharex=True)
    step = metrics["step"]
    panel = axes[0]
    _noisy(panel, step, metrics["reward_accuracy"], BLUE, "accuracy")
    _noisy(panel, step, metrics["reward_format"], VERMILION, "format", "--")
    panel.set(title="Reward", ylabel="mean of the batch")
    panel.legend()

    panel = axes[1]
    _noisy(panel, step, metrics["zero_variance_groups"], GREEN, "groups without variance")
    _noisy(panel, step, metrics["clipped_completions"], ORANGE, "completions cut off", "--")
    panel.set(title="Without a signal", ylabel="share")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_ylim(bottom=0)
    panel.legend()

    panel = axes[2]
    _noisy(panel, step, metrics["tokens_per_s"] / 1e3, PURPLE, "speed")
    panel.set(title="Speed of the rollouts", ylabel="thousand tokens per second")
    panel.set_ylim(bottom=0)
    for panel in axes:
        panel.set_xlabel("RL step")
    _whole_steps(axes)
    return figure


@_figure
def over_steps(
    runs: Mapping[str, pd.DataFrame], columns: Sequence[str], begins: int | None = None
) -> Figure:
    """Columns of PANELS over the RL steps of {stage: metrics}, one panel per column.

    begins: first step with general prompts, drawn as a line. Unmeasured columns and empty panels
    are left out.
    """
    drawn = [column for column in columns if any(_has(rows, column) for rows in runs.values())]
    wide = max(1, min(len(drawn), 3))
    high = max(1, -(-len(drawn) // wide))
    figure = _empty(3.47 * wide, 0.2 + 2.65 * high)
    panels = list(figure.subplots(high, wide, squeeze=False).ravel())
    if not drawn:
        panels[0].text(0.5, 0.5, "nothing measured", transform=panels[0].transAxes, ha="center")
        return figure
    for panel in panels[len(drawn) :]:
        panel.remove()
    panels = panels[: len(drawn)]
    last = max(int(rows["step"].max()) for rows in runs.values())
    for panel, column in zip(panels, drawn, strict=True):
        title, label, kind = PANELS[column]
        for i, (name, rows) in enumerate(runs.items()):
            said, colour, _ = checkpoint(name, i)
            _line(panel, rows, column, colour, said, DASHES[i % len(DASHES)])
        if begins is not None and begins <= last:
            panel.axvline(begins, color="#9aa0a8", linestyle=":", linewidth=1.2)
        panel.set(title=title, xlabel="RL step", ylabel=label)
        if kind == "whole":
            _percent(panel)
        elif kind == "share":
            panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        elif kind == "zero":
            _from_zero(panel)
    if len(runs) > 1:
        max(panels, key=lambda p: len(p.get_legend_handles_labels()[1])).legend()
    _whole_steps(panels)
    return figure


def stage_pairs(changes: Mapping[str, Summary]) -> list[tuple[str, str]]:
    """The measured (previous stage, stage) pairs of the chain."""
    steps = zip(CHAIN, CHAIN[1:], strict=False)
    return [(before, after) for before, after in steps if key(before, after) in changes]


@_figure
def stage_changes(changes: Mapping[str, Summary]) -> Figure:
    """The change of each stage against the previous one: a row per stage, a column per suite.

    changes: paired differences as in differences.json. Percentage points with 95 % intervals;
    only cells whose interval excludes zero are coloured.
    """
    pairs = stage_pairs(changes)
    paths = [path for path in SUITES if any(path in changes[key(*pair)] for pair in pairs)]
    cells = [[changes[key(*pair)].get(path) for path in paths] for pair in pairs]
    beside_zero = [c for row in cells for c in row if c is not None and not c.low <= 0 <= c.high]
    largest = max([abs(c.value) for c in beside_zero], default=0.0) or 1.0
    figure, axes = plt.subplots(
        figsize=(0.6 + 0.93 * len(paths), 1.0 + 0.62 * len(pairs)), layout="constrained"
    )
    axes.set(xlim=(-0.5, len(paths) - 0.5), ylim=(len(pairs) - 0.5, -0.5))
    for y, row in enumerate(cells):
        for x, found in enumerate(row):
            _change_cell(axes, x, y, found, largest)
    axes.set_xticks(range(len(paths)), [SUITES[path] for path in paths])
    names = [f"{checkpoint(after)[0]}\nagainst {checkpoint(before)[0]}" for before, after in pairs]
    axes.set_yticks(range(len(pairs)), names)
    axes.tick_params(length=0, labelcolor=INK, labelsize=9.5)
    axes.xaxis.tick_top()
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


def _change_cell(axes: Axes, x: int, y: int, found: Estimate | None, largest: float) -> None:
    clear = found is not None and not np.isnan(found.low) and not found.low <= 0 <= found.high
    colour = PALE
    if found is not None and clear:
        ramp = LinearSegmentedColormap.from_list("change", [VERMILION, "#ffffff", BLUE])
        # at most 0.75 of the ramp, on which dark text can be read
        colour = to_hex(ramp(0.5 + 0.375 * found.value / largest))
    axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour))
    if found is None or np.isnan(found.value):
        axes.text(x, y, "–", ha="center", va="center", color=GREY)
        return
    value, _, between = shown(found, "pass@1", signed=True).partition("\u00a0points ")
    between = between.partition(", n =")[0]  # has no room here, and stands in the table
    ink = INK if clear else "#5b6169"
    weight = "bold" if clear else "normal"
    axes.text(x, y - 0.13, value, ha="center", va="center", color=ink, fontsize=9, weight=weight)
    axes.text(x, y + 0.2, between, ha="center", va="center", color=ink, fontsize=7)


def evaluated_students(summaries: Mapping[str, Summary]) -> list[str]:
    """The students that were evaluated after more than one kind of training."""
    return [s for s in STUDENTS if sum(f"{s}_{arm}" in summaries for arm in ARMS) > 1]


@_figure
def students(evaluations: Mapping[str, Evaluation]) -> Figure:
    """Scores of each student after each kind of training, with 95 % intervals."""
    summaries = _summaries(evaluations)
    figure, axes = plt.subplots(1, 2, figsize=(10.4, 3.6), layout="constrained", sharey=True)
    titles = {"reasoning/pass@1": "Reasoning, pass@1", "general/score": "General score"}
    for panel, (path, title) in zip(axes, titles.items(), strict=True):
        for i, student in enumerate(evaluated_students(summaries)):
            found = [
                (x + 0.16 * (i - 0.5), summaries[name][path])
                for x, name in enumerate(f"{student}_{arm}" for arm in ARMS)
                if path in summaries.get(name, {})
            ]
            _points(
                panel, [x for x, _ in found], [e for _, e in found], f"{student}_base", i,
                text=STUDENTS[student],
            )  # fmt: skip
        words = [name.replace(", ", ",\n").replace(" up to ", "\nup to ") for name in ARMS.values()]
        panel.set_xticks(range(len(ARMS)), words)
        panel.set_xlim(-0.5, len(ARMS) - 0.5)
        panel.set(title=title)
        _percent(panel)
    axes[0].set_ylabel("held-out, 95 % intervals")
    axes[0].legend(loc="upper left")
    return figure


def _learning_curve(axes: Axes, metrics: pd.DataFrame, summaries: Mapping[str, Summary]) -> None:
    step = metrics["step"]
    _noisy(axes, step, metrics["format_valid"], VERMILION, "valid format, training prompts", "--")
    _noisy(axes, step, metrics["pass_at_1"], BLUE, "pass@1, training prompts")
    last = step.max() if len(step) else 0
    room = max(last * 0.045, 0.35)
    places = {"base": -room, "r1_zero": last + room, "r1": last + 2.6 * room}
    for i, (name, place) in enumerate(places.items()):
        estimate = summaries.get(name, {}).get("reasoning/pass@1")
        if estimate is not None:
            held_out = f"{checkpoint(name, i)[0]}, pass@1 on held-out problems"
            _points(axes, [place], [estimate], name, i, text=held_out)
    axes.set(title="R1-Zero training", xlabel="RL step", ylabel="share of completions")
    axes.set_xlim(-1.9 * room, last + (3.5 if "r1" in summaries else 1.9) * room)
    _percent(axes)
    _whole_steps([axes])
    title = "training prompts sampled as in training, held-out ones as in evaluation"
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=7.8, handlelength=1.6,
        columnspacing=1.2, title=title if axes.containers else None, title_fontsize=7.8,
    )  # fmt: skip


def _by_level(axes: Axes, summaries: Mapping[str, Summary], task: str | None) -> None:
    start = f"{task}/level_" if task else "level_"
    levels: list[int] = []
    for j, (name, summary) in enumerate(summaries.items()):
        levels = sorted(
            int(path.removeprefix(start).split("/")[0])
            for path in summary
            if path.startswith(start) and path.endswith("/pass@1")
        )
        offset = 0.08 * (j - (len(summaries) - 1) / 2)
        estimates = [summary[f"{start}{level}/pass@1"] for level in levels]
        _points(axes, [level + offset for level in levels], estimates, name, j, line=True)
    title = f"{task.capitalize()} by level" if task else "Held-out problems by level"
    axes.set(title=title, xlabel="level", ylabel="pass@1, held-out problems")
    axes.set_xticks(levels)
    _percent(axes)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=max(len(summaries), 1),
        fontsize=7.8, title="with 95 % intervals", title_fontsize=7.8,
    )  # fmt: skip


def _points(
    axes: Axes,
    x: Sequence[float],
    estimates: Sequence[Estimate],
    name: str,
    index: int,
    line: bool = False,
    text: str | None = None,
) -> None:
    label, colour, marker = checkpoint(name, index)
    value = np.array([e.value for e in estimates])
    below = np.nan_to_num(value - np.array([e.low for e in estimates])).clip(0)
    above = np.nan_to_num(np.array([e.high for e in estimates]) - value).clip(0)
    axes.errorbar(
        x, value, yerr=[below, above], color=colour, marker=marker, markersize=6,
        markeredgecolor="white", markeredgewidth=0.8, capsize=3, elinewidth=1.4,
        linewidth=1.5 if line else 0, label=text or label, zorder=5, clip_on=False,
    )  # fmt: skip


def _noisy(
    axes: Axes, x: pd.Series, y: pd.Series, colour: str, label: str, dash: str = "-"
) -> None:
    """The values faintly, and their running mean over a tenth of the run."""
    window = max(1, round(len(y) / 10))
    smooth = y.rolling(window, center=True, min_periods=1).mean()
    short = len(y) < 10
    if not short:
        axes.plot(x, y, color=colour, alpha=0.25, linewidth=0.9)
    axes.plot(x, smooth, dash, color=colour, label=label, marker="." if short else None)


def _curves(
    axes: Axes,
    runs: Sequence[pd.DataFrame],
    column: str,
    colour: str,
    label: str,
    dash: str = "-",
) -> None:
    """A column over RL steps: one run as in `_noisy`, several seeds as a band.

    The band spans the lowest to the highest running mean; the line is their mean.
    """
    if len(runs) == 1:
        _noisy(axes, runs[0]["step"], runs[0][column], colour, label, dash)
        return
    each = pd.concat([rows.set_index("step")[column].astype(float) for rows in runs], axis=1)
    smooth = each.rolling(max(1, len(each) // 10), center=True, min_periods=1).mean()
    axes.fill_between(
        smooth.index, smooth.min(axis=1), smooth.max(axis=1), color=colour, alpha=0.22, linewidth=0
    )
    axes.plot(smooth.mean(axis=1), dash, color=colour, label=label)


def _has(rows: pd.DataFrame, column: str) -> bool:
    return column in rows and bool(rows[column].notna().any())


def _line(axes: Axes, rows: pd.DataFrame, column: str, colour: str, label: str, dash: str) -> None:
    """A column over the steps at which it was measured."""
    if column not in rows:
        return
    values = pd.to_numeric(rows[column]).dropna()
    if len(values):
        _noisy(axes, rows["step"].loc[values.index], values, colour, label, dash)


def _from_zero(axes: Axes) -> None:
    """Start the axis at zero and leave room above the curves."""
    values = [np.asarray(line.get_ydata(), dtype=float) for line in axes.lines]
    drawn = [float(np.nanmax(value)) for value in values if value.size]
    most = max(drawn, default=0.0)
    axes.set_ylim(0, 1.08 * most if most > 0 else None)


def _empty(width: float, height: float) -> Figure:
    return plt.figure(figsize=(width, height), layout="constrained")


def _percent(axes: Axes) -> None:
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))


def _whole_steps(panels: Sequence[Axes]) -> None:
    for panel in panels:
        panel.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _summaries(evaluations: Mapping[str, Evaluation]) -> dict[str, Summary]:
    return {
        name: summarize(given) if isinstance(given, pd.DataFrame) else given
        for name, given in evaluations.items()
    }
