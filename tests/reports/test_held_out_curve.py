"""The held-out curve draws every measure at every step, and one problem is shown over training."""

import pandas as pd
import pytest

from r1repro.reports import held_out_curve
from tests.evaluation.test_metrics import rows as answers


@pytest.fixture
def curve():
    tables = []
    for step, right in ((0, 1), (20, 2), (40, 4)):
        for number in range(6):
            part = pd.DataFrame(answers(f"{number}", [sample < right for sample in range(4)]))
            tables.append(part.assign(step=step))
    return pd.concat(tables, ignore_index=True)


def test_pass_and_majority_are_drawn_at_every_step(curve):
    figure = held_out_curve.draw(held_out_curve.by_step(curve))
    left = figure.axes[0]
    drawn = dict(zip(left.get_legend_handles_labels()[1], left.containers, strict=True))
    assert set(drawn) == {"pass@1", "cons@4"}
    assert drawn["pass@1"].lines[0].get_xydata().tolist() == [[0, 0.25], [20, 0.5], [40, 1]]
    assert drawn["cons@4"].lines[0].get_xdata().tolist() == [0, 20, 40]


def test_families_have_a_panel_where_there_are_several(curve):
    alone = held_out_curve.draw(held_out_curve.by_step(curve))
    assert [axes.get_title("left") for axes in alone.axes] == ["Held-out problems", "Length"]
    both = curve.assign(task=["sums", "words"] * (len(curve) // 2))
    drawn = held_out_curve.draw(held_out_curve.by_step(both))
    assert drawn.axes[1].get_title("left") == "Held-out problems by family"


def test_one_problem_is_shown_once_a_step(curve):
    shown = held_out_curve.one_problem(curve, shown=2)
    assert shown["step"].tolist() == [0, 40] and shown["problem_id"].nunique() == 1
    assert (shown["sample"] == 0).all()
