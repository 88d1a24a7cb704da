"""Figures of a run, from stored metrics and summaries; no model text, so no Chinese font."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from r1repro.evaluation.checkpoints import (
    ARMS,
    BLUE,
    CHAIN,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    STUDENTS,
    VERMILION,
    label_of,
    of_student,
)  # fmt: skip
from r1repro.evaluation.metrics import MEASURES
from r1repro.evaluation.metrics import families as families_of
from r1repro.evaluation.results import Results
from r1repro.evaluation.statistics import over_seeds
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing
from r1repro.reports.tables import paths_of


@drawing.described
def pretraining(metrics: pd.DataFrame) -> Drawing:
    """Loss and speed of pretraining over tokens."""
    figure = drawing.empty(9.2, 3.0)
    left, right = figure.subplots(1, 2)
    tokens = metrics["tokens"] / 1e6
    drawing.noisy(left, tokens, metrics["loss"], BLUE, "loss")
    left.set(title="Pretraining loss", xlabel="tokens seen (millions)", ylabel="nats per token")
    drawing.noisy(right, tokens, metrics["tokens_per_s"] / 1e3, GREEN, "speed")
    right.set(title="Speed", xlabel="tokens seen (millions)", ylabel="thousand tokens per second")
    right.set_ylim(bottom=0)
    return figure


@drawing.described
def learning_curve(metrics: pd.DataFrame, summaries: Results | None = None) -> Drawing:
    """pass@1 and valid format on the training prompts over RL steps.

    summaries: of base, R1-Zero and R1, whose held-out pass@1 stands before the first and after the
    last step, with 95 % intervals. It is sampled with the evaluation's settings, which explains
    part of its gap to the training curve.
    """
    figure = drawing.empty(5.6, 3.7)
    _learning_curve(figure.subplots(), metrics, summaries or {})
    return figure


@drawing.described
def headline(metrics: pd.DataFrame, summaries: Results) -> Drawing:
    """Learning curve and pass@1 by level in one figure."""
    figure = drawing.empty(10.4, 3.8)
    left, right = figure.subplots(1, 2)
    _learning_curve(left, metrics, summaries)
    _by_level(right, summaries, "")
    return figure


@drawing.described
def seeds(curves: Mapping[str, pd.DataFrame], summaries: Mapping[str, Results]) -> Drawing:
    """R1-Zero's training curve as a band over seeds, and every seed's held-out points.

    curves: R1-Zero's metrics by seed; summaries: estimates by seed and checkpoint. Bars are 95 %
    intervals, see statistics.over_seeds.
    """
    figure = drawing.empty(10.4, 3.6)
    axes = figure.subplots(1, 3)
    # the colours of R1-Zero and of no checkpoint
    for column, colour in (("pass_at_1", BLUE), ("format_valid", INK)):
        drawing.bands(axes[0], list(curves.values()), column, colour, MEASURES[column].label)
    axes[0].set(title="R1-Zero, training prompts", xlabel="RL step", ylabel="share of completions")
    axes[0].legend()
    drawing.percent(axes[0])
    drawing.whole_steps(axes[:1])
    for panel, path in zip(axes[1:], ("reasoning/pass@1", "general/score"), strict=True):
        shared = [
            n for n in ("base", "base_best", *CHAIN)
            if all(path in s.get(n, {}) for s in summaries.values())
        ]  # fmt: skip
        for x, name in enumerate(shared):
            each = [run[name][path] for run in summaries.values()]
            _, colour, marker = drawing.checkpoint(name, x)
            spread, values = x + np.linspace(-0.15, 0.15, len(each)), [one.value for one in each]
            panel.plot(spread, values, marker, color=colour, markersize=5, alpha=0.75)
            whole = over_seeds(each)
            ends = [[whole.value - whole.low], [whole.high - whole.value]]
            panel.errorbar(x, whole.value, yerr=ends, color=colour, capsize=4, elinewidth=1.3)
            panel.annotate(
                f"{100 * whole.value:.0f}", (x, whole.high), (0, 4), textcoords="offset points",
                ha="center",
            )  # fmt: skip
        labels = [label_of(n).removeprefix("Base, ").replace(" ", "\n") for n in shared]
        panel.set_xticks(range(len(shared)), labels)
        panel.set(title=f"Held-out: {drawing.SUITES[path].replace(chr(10), ' ').lower()}")
        drawing.percent(panel)
    return figure


@drawing.described
def families(summaries: Results) -> Drawing:
    """Held-out pass@1 by level, one panel per task family."""
    figure, panels = _by_family(summaries)
    for i, (task, panel) in enumerate(panels.items()):
        _by_level(panel, summaries, task, first=not i)
    return figure


def _by_family(summaries: Results) -> tuple[Drawing, dict[str, Axes]]:
    """A figure with a panel for each family of reasoning problems."""
    tasks = families_of(paths_of(summaries))
    figure = drawing.empty(4.6 * len(tasks), 3.3)
    panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
    return figure, dict(zip(tasks, panels, strict=True))


@drawing.described
def pass_at_k(summaries: Results) -> Drawing:
    """Held-out pass@k over k, one panel a task family, with 95 % intervals.

    Where base and trained model meet as k grows, training made likely what the base could already
    do.
    """
    figure, panels = _by_family(summaries)
    for i, (task, panel) in enumerate(panels.items()):
        ticks = set[int]()
        for j, (name, summary) in enumerate(summaries.items()):
            ks = sorted(int(p.split("@")[1]) for p in summary if p.startswith(f"{task}/pass@"))
            estimates = {float(k): summary[f"{task}/pass@{k}"] for k in ks}
            drawing.points(panel, estimates, name, j, line=True)
            ticks |= {*ks}
        panel.set(title=task.capitalize(), xlabel="k (samples a problem)", xscale="log")
        panel.set_xticks(sorted(ticks), [str(k) for k in sorted(ticks)])
        panel.minorticks_off()
        drawing.percent(panel)
        if not i:
            panel.set_ylabel("pass@k, held-out problems")
            panel.legend(loc="lower right")
    return figure


@drawing.described
def behaviour(
    runs: pd.DataFrame | Mapping[str, pd.DataFrame], resets: int | None = None
) -> Drawing:
    """How the completions on the training prompts change over RL steps, in six panels.

    runs: R1-Zero's metrics, or those of several seeds, drawn as bands. resets: the number of steps
    after which the reference is replaced, and the KL starts at zero again.
    """
    found = {"": runs} if isinstance(runs, pd.DataFrame) else runs
    curves = []
    for rows in found.values():
        rate = 1000 * rows["reflection_per_response"] / rows["length"].where(rows["length"] > 0)
        curves.append(rows.assign(reflection_per_1k_tokens=rate))
    figure = drawing.empty(10.4, 5.4)
    axes = figure.subplots(2, 3, sharex=True)
    for panel, (column, colour) in zip(axes.ravel(), _BEHAVIOUR.items(), strict=True):
        again = resets if column == "kl" else None
        drawing.bands(panel, curves, column, colour, "right answers", resets=again)
        if column == "length_correct":
            drawing.bands(panel, curves, "length_wrong", VERMILION, "wrong answers", "--")
            panel.legend()
        replaced = range(again, int(curves[0]["step"].max()), again) if again else ()
        for step in replaced:
            mark = panel.axvline(step + 0.5, color=GREY, linestyle=":", linewidth=1.2)
            panel.legend([mark], ["reference replaced"])
        drawing.labelled(panel, column)
        if column in _PAPER:
            (x, y), said = _PAPER[column]
            panel.text(x, y, said, transform=panel.transAxes, ha="right", fontsize=8.5, color=GREY)
    for panel in axes[1]:
        panel.set_xlabel("RL step")
    drawing.whole_steps(axes.ravel())
    return figure


_BEHAVIOUR = {
    "length_correct": BLUE,
    "reflection_per_response": BLUE,
    "reflection_per_1k_tokens": BLUE,
    "language_share": GREEN,
    "entropy": PURPLE,
    "kl": ORANGE,
}
"""The panels of `behaviour`: column and colour."""
_PAPER = {
    "length_correct": ((0.98, 0.05), "DeepSeek: ↑, × 17"),
    "reflection_per_response": ((0.98, 0.92), "DeepSeek: ↑, × 5 to 7"),
    "language_share": ((0.98, 0.92), "DeepSeek: ↓, no figure"),
}
"""Place and text of what DeepSeek's R1-Zero did: v1, Figure 3; v2, C.2; v1, 2.2.4."""


@drawing.described
def training(metrics: pd.DataFrame) -> Drawing:
    """Health of a run: rewards, groups without signal, clipping and speed."""
    figure = drawing.empty(10.4, 2.9)
    reward, lost, speed = axes = figure.subplots(1, 3, sharex=True)
    for panel, column, colour, label, dash in (
        (reward, "reward_accuracy", BLUE, "accuracy", "-"),
        (reward, "reward_format", VERMILION, "format", "--"),
        (lost, "zero_variance_groups", GREEN, "groups without variance", "-"),
        (lost, "clipped", ORANGE, "completions cut off", "--"),
    ):
        drawing.noisy(panel, metrics["step"], metrics[column], colour, label, dash)
        panel.legend()
    reward.set(title="Reward", ylabel="mean of the batch")
    lost.set(title="Without a signal", ylabel="share")
    lost.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    lost.set_ylim(bottom=0)
    drawing.noisy(speed, metrics["step"], metrics["tokens_per_s"] / 1e3, PURPLE, "speed")
    speed.set(title="Speed of the rollouts", ylabel="thousand tokens per second")
    speed.set_ylim(bottom=0)
    for panel in axes:
        panel.set_xlabel("RL step")
    drawing.whole_steps(axes)
    return figure


@drawing.described
def over_steps(
    runs: Mapping[str, pd.DataFrame], columns: Sequence[str], begins: int | None = None
) -> Drawing:
    """What training logged over the RL steps of each stage, a panel for each measure.

    runs: metrics by stage; columns: keys of PANELS, without a panel if none was measured; begins:
    the first step with general prompts, drawn as a line.
    """
    drawn = [c for c in columns if any(drawing.has(rows, c) for rows in runs.values())]
    wide = max(1, min(len(drawn), 3))
    high = max(1, -(-len(drawn) // wide))
    figure = drawing.empty(3.47 * wide, 0.2 + 2.65 * high)
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    if not drawn:
        panels[0].text(0.5, 0.5, "nothing measured", transform=panels[0].transAxes, ha="center")
        return figure
    for panel in panels[len(drawn) :]:
        panel.remove()
    panels = panels[: len(drawn)]
    last = max(int(rows["step"].max()) for rows in runs.values())
    for panel, column in zip(panels, drawn, strict=True):
        for i, (name, rows) in enumerate(runs.items()):
            said, colour, _ = drawing.checkpoint(name, i)
            drawing.line(panel, rows, column, colour, said, drawing.DASHES[i % len(drawing.DASHES)])
        if begins is not None and begins <= last:
            panel.axvline(begins, color="#9aa0a8", linestyle=":", linewidth=1.2)
        drawing.labelled(panel, column)
        panel.set_xlabel("RL step")
    if len(runs) > 1:
        max(panels, key=lambda p: len(p.get_legend_handles_labels()[1])).legend()
    drawing.whole_steps(panels)
    return figure


def evaluated_students(summaries: Results) -> list[str]:
    """The students that were evaluated with more than one kind of training."""
    return [s for s in STUDENTS if sum(name in summaries for name in of_student(s).values()) > 1]


@drawing.described
def students(summaries: Results) -> Drawing:
    """Scores of each student after each kind of training, with 95 % intervals."""
    figure = drawing.empty(10.4, 3.6)
    axes = figure.subplots(1, 2, sharey=True)
    titles = {"reasoning/pass@1": "Reasoning, pass@1", "general/score": "General score"}
    for panel, (path, title) in zip(axes, titles.items(), strict=True):
        for i, student in enumerate(evaluated_students(summaries)):
            arms = of_student(student)
            found = {
                place + 0.16 * (i - 0.5): summaries[name][path]
                for place, name in enumerate(arms.values())
                if path in summaries.get(name, {})
            }
            drawing.points(panel, found, arms["base"], i, text=STUDENTS[student])
        words = [name.replace(", ", ",\n").replace(" up to ", "\nup to ") for name in ARMS.values()]
        panel.set_xticks(range(len(ARMS)), words)
        panel.set_xlim(-0.5, len(ARMS) - 0.5)
        panel.set(title=title)
        drawing.percent(panel)
    axes[0].set_ylabel("held-out, 95 % intervals")
    axes[0].legend(loc="upper left")
    return figure


def _learning_curve(axes: Axes, metrics: pd.DataFrame, summaries: Results) -> None:
    step = metrics["step"]
    drawing.noisy(
        axes, step, metrics["format_valid"], VERMILION, "valid format, training prompts", "--"
    )
    drawing.noisy(axes, step, metrics["pass_at_1"], BLUE, "pass@1, training prompts")
    last = step.max() if len(step) else 0
    room = max(last * 0.045, 0.35)
    places = {"base": -room, "r1_zero": last + room, "r1": last + 2.6 * room}
    for i, (name, place) in enumerate(places.items()):
        estimate = summaries.get(name, {}).get("reasoning/pass@1")
        if estimate is not None:
            held_out = f"{label_of(name)}, pass@1 on held-out problems"
            drawing.points(axes, {place: estimate}, name, i, text=held_out)
    axes.set(title="R1-Zero training", xlabel="RL step", ylabel="share of completions")
    axes.set_xlim(-1.9 * room, last + (3.5 if "r1" in summaries else 1.9) * room)
    drawing.percent(axes)
    drawing.whole_steps([axes])
    title = "training prompts sampled as in training, held-out ones as in evaluation"
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=2, fontsize=7.8, handlelength=1.6,
        columnspacing=1.2, title=title if axes.containers else None, title_fontsize=7.8,
    )  # fmt: skip


def _by_level(axes: Axes, summaries: Results, task: str, first: bool = True) -> None:
    """pass@1 by level of a family; of all reasoning problems if `task` is ""."""
    start = f"{task}/level_" if task else "level_"
    levels: list[int] = []
    for j, (name, summary) in enumerate(summaries.items()):
        levels = sorted(
            int(path.removeprefix(start).split("/")[0])
            for path in summary
            if path.startswith(start) and path.endswith("/pass@1")
        )
        offset = 0.08 * (j - (len(summaries) - 1) / 2)
        estimates = {level + offset: summary[f"{start}{level}/pass@1"] for level in levels}
        drawing.points(axes, estimates, name, j, line=True)
    title = f"{task.capitalize()} by level" if task else "Held-out problems by level"
    axes.set(title=title, xlabel="level")
    axes.set_xticks(levels)
    drawing.percent(axes)
    if first:
        axes.set_ylabel("pass@1, held-out problems")
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.17), ncols=max(len(summaries), 1),
            fontsize=7.8, title="with 95 % intervals", title_fontsize=7.8,
        )  # fmt: skip
