import math

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from r1repro.evaluation import held_out
from r1repro.evaluation.checkpoints import CHAIN, CHECKPOINTS, key
from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.statistics import Estimate
from r1repro.lab import figures as lab_figures
from r1repro.reports import drawing, figures, stage_figures
from tests.reports.made_up import pretraining_metrics, rl_metrics


@pytest.mark.parametrize("steps", [1, 4, 110])
def test_figures_of_training(steps):
    metrics = rl_metrics(steps)
    for figure in (
        figures.learning_curve(metrics),
        figures.behaviour(metrics),
        figures.training(metrics),
        figures.pretraining(pretraining_metrics(steps)),
    ):
        assert isinstance(figure, Figure)
        assert all(panel.get_title() or panel.get_title("left") for panel in figure.axes)
        assert all(panel.get_ylabel() for panel in figure.axes)
    assert plt.get_fignums() == []  # closed: a notebook would show them twice


def test_evaluated_checkpoints_stand_beside_the_curve(evaluations):
    summaries = {name: summarize(rows, draws=50) for name, rows in evaluations.items()}
    figure = figures.learning_curve(rl_metrics(), summaries)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert "Base, pass@1 on held-out problems" in labels
    assert "R1-Zero, pass@1 on held-out problems" in labels
    assert "R1, pass@1 on held-out problems" in labels
    legend = figure.axes[0].get_legend()
    assert "held-out ones as in evaluation" in legend.get_title().get_text()
    drawn = legend.get_window_extent()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.width, "the legend is cut off"
    alone = figures.learning_curve(rl_metrics()).axes[0].get_legend()
    assert not alone.get_title().get_text(), "nothing is held out where nothing is evaluated"


def test_levels_are_drawn_where_they_were_measured(evaluations):
    summaries = {name: summarize(rows, draws=50) for name, rows in evaluations.items()}
    panel = figures.headline(rl_metrics(), summaries).axes[1]
    for line, summary in zip(panel.containers, summaries.values(), strict=True):
        drawn = line.lines[0].get_ydata()
        assert list(drawn) == [summary[f"level_{i}/pass@1"].value for i in range(1, 6)]
    families = figures.families(summaries)
    assert len(families.axes) == len(figures.pass_at_k(summaries).axes) == 2
    families.draw_without_rendering()
    first = families.axes[0]
    assert first.get_legend().get_window_extent().y1 < first.get_window_extent().y0, "on the lines"


def test_checkpoints_of_the_chain_look_different_and_all_names_are():
    chain = [CHECKPOINTS[name] for name in ("base", *CHAIN)]
    assert len({one.colour for one in chain}) == len({one.marker for one in chain}) == 6
    assert len({one.label for one in CHECKPOINTS.values()}) == len(CHECKPOINTS)


def test_only_clear_changes_are_coloured(results):
    changes = held_out.read(results["comparison"].folder).changes
    figure = stage_figures.changes_by_stage(changes)
    (panel,) = figure.axes
    cells = [change.get(path) for change in _of_the_chain(changes) for path in drawing.SUITES]
    assert len(panel.patches) == len(cells) == 4 * 12
    clear = [(cell.low > 0 or cell.high < 0) and cell.n >= 50 for cell in cells]
    assert any(cell.low > 0 and cell.n < 50 for cell in cells), "of few items"
    coloured = [to_hex(patch.get_facecolor()) != drawing.PALE for patch in panel.patches]
    assert coloured == clear and 0 < sum(clear) < len(clear)
    drawn = [text.get_window_extent() for text in panel.texts]
    width = panel.patches[0].get_window_extent().width
    assert all(extent.width <= width for extent in drawn), "text runs into the next cell"


def test_a_change_that_does_not_exist_is_a_dash():
    none = {path: Estimate(math.nan, math.nan, math.nan, 0) for path in drawing.SUITES}
    panel = stage_figures.changes_by_stage({"dev1 - r1_zero": none}).axes[0]
    assert [text.get_text() for text in panel.texts] == ["–"] * len(drawing.SUITES)


def test_students_stand_where_they_were_measured(results):
    summaries = held_out.read(results["comparison"].folder).summaries
    panel = figures.students(summaries).axes[0]
    for line, student in zip(panel.containers, ("qwen", "llama"), strict=True):
        drawn = list(line.lines[0].get_ydata())
        arms = ("base", "rl", "rl_equal_flops", "distilled", "distilled_rl")
        assert drawn == [summaries[f"{student}_{arm}"]["reasoning/pass@1"].value for arm in arms]
    assert figures.evaluated_students({"qwen_base": {}, "llama_rl": {}, "llama_base": {}}) == [
        "llama"
    ]


def test_curves_only_of_what_was_measured():
    dev2 = rl_metrics(40).assign(**{"preference": None, "general/score": None})
    columns = ["pass_at_1", "general/score", "preference"]
    assert len(figures.over_steps({"dev2": dev2}, columns).axes) == 1
    both = figures.over_steps({"dev2": dev2, "r1": rl_metrics(40)}, columns).axes
    assert len(both) == 3 and all(panel.get_ylabel() for panel in both)


def test_no_mean_covers_two_references():
    """A KL that starts at zero again: the running mean of each part stays inside of the part."""
    rows = rl_metrics(40).assign(step=range(1, 41), kl=[0.0] * 20 + [1.0] * 20)
    kl = figures.behaviour(rows, resets=20).axes[-1]
    smooth = kl.lines[1].get_ydata()
    assert list(smooth) == [0.0] * 20 + [1.0] * 20
    assert [line.get_xdata()[0] for line in kl.lines[2:]] == [20.5]
    assert set(figures.behaviour(rows).axes[-1].lines[1].get_ydata()) > {0.0, 1.0}
    short = figures.behaviour(rows, resets=40).axes[-1]
    assert short.get_legend() is None, "nothing was replaced"
    of_arm = rows.assign(samples=rows["step"] * 256)
    arm = lab_figures.arms({"replaced": of_arm}, ["kl"], {"replaced": 20 * 256}).axes[0]
    assert list(arm.lines[1].get_ydata()) == [0.0] * 20 + [1.0] * 20
    several = figures.behaviour({"a": rows, "b": rows}, resets=20).axes[-1]
    assert set(several.lines[0].get_ydata()) == {0.0, 1.0}


def _of_the_chain(changes):
    return [changes[key(*pair)] for pair in stage_figures.chain_pairs(changes)]


def test_metrics_without_values_are_drawn_all_the_same():
    metrics = rl_metrics(12)
    metrics["length_wrong"] = float("nan")  # every answer was right
    assert isinstance(figures.behaviour(metrics), Figure)
