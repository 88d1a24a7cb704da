import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from r1repro.evaluation.metrics import summarize
from r1repro.reports import figures
from tests.reports.made_up import pretraining_metrics, rl_metrics


@pytest.mark.parametrize("steps", [1, 4, 110])
def test_figures_of_training(steps, evaluations):
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
    figure = figures.learning_curve(rl_metrics(), evaluations)
    labels = figure.axes[0].get_legend_handles_labels()[1]
    assert "Base, pass@1 on held-out problems" in labels
    assert "R1-Zero, pass@1 on held-out problems" in labels
    legend = figure.axes[0].get_legend()
    assert "held-out ones as in evaluation" in legend.get_title().get_text()
    drawn = legend.get_window_extent()
    assert drawn.x0 >= 0 and drawn.x1 <= figure.bbox.width, "the legend is cut off"
    alone = figures.learning_curve(rl_metrics()).axes[0].get_legend()
    assert not alone.get_title().get_text(), "nothing is held out where nothing is evaluated"


def test_levels_are_drawn_where_they_were_measured(evaluations):
    summaries = {name: summarize(rows, draws=50) for name, rows in evaluations.items()}
    panel = figures.by_level(summaries).axes[0]
    for line, summary in zip(panel.containers, summaries.values(), strict=True):
        drawn = line.lines[0].get_ydata()
        assert list(drawn) == [summary[f"level_{i}/pass@1"].value for i in range(1, 6)]
    families = figures.families(summaries)
    assert len(families.axes) == len(figures.pass_at_k(summaries).axes) == 2
    families.draw_without_rendering()
    first = families.axes[0]
    assert first.get_legend().get_window_extent().y1 < first.get_window_extent().y0, "on the lines"
    assert len(figures.headline(rl_metrics(), summaries).axes) == 2


def test_metrics_without_values_are_drawn_all_the_same(evaluations):
    metrics = rl_metrics(12)
    metrics["length_wrong"] = float("nan")  # every answer was right
    assert isinstance(figures.behaviour(metrics), Figure)
