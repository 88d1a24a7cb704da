import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from r1repro.evaluation import held_out
from r1repro.evaluation.checkpoints import ARMS
from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.results import read_costs
from r1repro.reports import drawing, figures, stage_figures
from r1repro.stages import cold_start_data, rejection_sampling
from r1repro.training.flops import equal_flops_row
from tests.reports.made_up import HOSTILE, evaluation, rl_metrics


def samples(dropped: list[str], problems: list[str] | None = None) -> pd.DataFrame:
    rows = range(len(dropped))
    return pd.DataFrame({
        "problem_id": problems or [f"arithmetic:{i}" for i in rows], "task": "arithmetic",
        "language": ["en" if i % 2 == 0 else "zh" for i in rows], "level": 1, "prompt": "3+4=?",
        "answer": "7", "sample": 0, "text": "7", "dropped": dropped,
    })  # fmt: skip


def dataset() -> pd.DataFrame:
    rows = [
        ("arithmetic:2", "en", "<think>a\nb\nc</think>", "<think>a</think>So. "),
        ("arithmetic:1", "en", "<think>a\nb</think>", "<think>a</think>So. "),
        ("arithmetic:3", "zh", "<think>x</think>", f"<think>x</think>{HOSTILE['script']}"),
    ]
    data = pd.DataFrame(rows, columns=["problem_id", "language", "original", "completion"])
    return data.assign(task="arithmetic", level=2, prompt=HOSTILE["script"])


def pairs() -> pd.DataFrame:
    rows = [
        # right, the chosen one longer
        ("a", "fact", "q\nParis!", "q\nRome", "held out", 0.9, 0.2),
        # wrong, and as long; a tie is wrong too
        ("b", "fact", "q\nOslo", "q\nRome", "held out", 0.1, 0.2),
        ("c", "refusal", "q\nSorry", "q\nSure.", "held out", 0.5, 0.5),
        ("d", "refusal", "q\nSorry", "q\nSure.", "train", 0.5, 0.1),
    ]
    columns = "problem_id task chosen rejected split score_chosen score_rejected".split()
    return pd.DataFrame(rows, columns=columns).assign(language="en")


def all_scenarios(steps: int, general_from: int) -> pd.DataFrame:
    rows = rl_metrics(steps).assign(step=np.arange(1, steps + 1), reward_deviation=0.5)
    late = rows["step"] > general_from
    return rows.assign(
        **{"preference": np.where(late, 0.4, None), "general/score": np.where(late, 0.3, None)}
    )


def test_filters_are_those_of_the_stages():
    for name, sieve in (
        ("cold_start_data", cold_start_data.FILTERS),
        ("rejection_sampling", rejection_sampling.FILTERS),
    ):
        assert stage_figures.FILTERS[name] == tuple(reason for reason, _ in sieve)


def test_drops_are_counted_in_the_order_of_the_filters():
    more = "more than are kept of a question"
    table = stage_figures.drops(
        samples(["", more, "repetition", "wrong answer", "repetition", "odd"]), "cold_start_data"
    )
    assert list(table.index) == [
        "sampled", "cut off at the cap", "wrong answer", "repetition", "mixed languages",
        "unsound reasoning", "odd", more,
    ]  # fmt: skip
    assert list(table["dropped"]) == [0, 0, 1, 2, 0, 0, 1, 1]
    assert list(table["left"]) == [6, 6, 5, 3, 3, 3, 2, 1]


def test_shares_have_the_width_of_problems_not_of_rows():
    right = pd.Series([1.0] * 50 + [0.0] * 50)
    each = stage_figures.share(right, pd.Series(range(100)))
    alike = stage_figures.share(right, pd.Series([i // 25 for i in range(100)]))
    assert each.value == alike.value == 0.5
    assert alike.high - alike.low > 2 * (each.high - each.low)
    assert (each.n, alike.n) == (100, 4)
    sure = stage_figures.share(pd.Series([1.0] * 10), pd.Series(range(10)))
    assert sure.value == sure.high == 1.0 and 0.6 < sure.low < 0.8, "ten of ten is not certain"
    nothing = stage_figures.share(pd.Series(dtype=float), pd.Series(dtype=str))
    assert math.isnan(nothing.value) and nothing.n == 0


def test_surplus_has_passed_every_filter():
    rows = samples(["", "near-duplicate", "the same as another", "wrong answer"], list("abcd"))
    cell = stage_figures.acceptance_table(rows.assign(language="en")).loc[
        "arithmetic, English", "level 1"
    ]
    assert cell.startswith("75.0")


def test_sizes_add_up():
    table = stage_figures.sizes(dataset())
    assert table.loc[("arithmetic", "English"), "level 2"] == 2
    assert table.loc[("all", ""), "all levels"] == 3


def test_examples_are_chosen_by_rule():
    data = dataset()
    assert list(stage_figures.first_of_each(data).problem_id) == ["arithmetic:1", "arithmetic:3"]
    # the summary makes every completion longer, and only the thinking counts
    assert list(stage_figures.most_edited(data).problem_id) == ["arithmetic:2"]


def test_text_of_models_is_escaped():
    data = dataset()
    scores = {"score_chosen": 0.9, "score_rejected": 0.1, "split": "held out"}
    judged = data.assign(chosen=data.completion, rejected=data.prompt, **scores)
    for page in (
        stage_figures.before_and_after(data),
        stage_figures.examples(data),
        stage_figures.show_pairs(judged.drop(columns=["prompt", "level"])),
    ):
        text = page._repr_html_()
        assert "&lt;script&gt;" in text
        assert "<script" not in text and "<img" not in text


def test_steps_to_a_share_need_a_mean_over_the_window():
    right = [0.2, 0.9, 0.2, 0.2, 0.2, 0.2, 0.6, 0.6, 0.6, 0.6, 0.6]
    rows = pd.DataFrame({"step": range(1, 12), "pass_at_1": right, "reward_deviation": 0.5})
    assert stage_figures.steps_to(rows, 0.5, window=5) == 10
    assert stage_figures.steps_to(rows, 0.5, window=1) == 2
    assert stage_figures.steps_to(rows, 0.7, window=5) is None
    table = stage_figures.speed({"r1_zero": rows, "dev2": rows.assign(pass_at_1=0.8)})
    assert table.loc["step at which it reaches 50\u00a0%", "R1-Zero"] == "10"
    assert table.loc["step at which it reaches 60\u00a0%", "R1-Zero"] == "11"
    assert table.loc["step at which it reaches 50\u00a0%", "Dev2"] == "5"
    missed = stage_figures.speed({"dev2": rows.assign(pass_at_1=0.1)})
    assert missed.loc["step at which it reaches 40\u00a0%", "Dev2"] == "not within 11"


@pytest.mark.parametrize("steps", [1, 4, 110])
def test_curves_of_training(steps):
    plain, late = rl_metrics(steps).assign(reward_deviation=0.5), all_scenarios(steps, steps // 2)
    learned = pd.DataFrame({"step": range(1, steps + 1), "loss": 0.7, "accuracy": 0.6, "lr": 1e-3})
    for figure in (
        figures.over_steps({"dev2": plain, "r1": late}, tuple(drawing.PANELS), 3),
        stage_figures.fine_tuning({"dev3": learned, "dev3_reasoning_only": learned}),
        stage_figures.fine_tuning({"reward_model": learned}, pairs=True),
    ):
        assert all(panel.get_title("left") and panel.get_ylabel() for panel in figure.axes)
    assert plt.get_fignums() == []
    flat = stage_figures.fine_tuning({"dev3": learned}).axes[0]
    assert flat.get_ylim()[0] == 0 and flat.get_ylim()[1] > 0.7, "the line is not cut off"


def test_what_was_not_measured_is_not_drawn():
    early = rl_metrics(40).assign(preference=None)
    runs = {"dev2": early, "r1": all_scenarios(40, 30)}
    preference, right = figures.over_steps(runs, ("preference", "pass_at_1"), 31).axes
    (late,) = {line.get_label() for line in preference.lines if line.get_label()[0] != "_"}
    assert late == "R1", "Dev2 has no preference reward"
    drawn = [line.get_xdata() for line in preference.lines if line.get_label() == "R1"]
    assert min(map(min, drawn)) == 31, "before that no general prompt was asked"
    assert len(right.lines) == 5, "two runs with their means, and the line of the first"
    assert right.get_legend() is not None, "where both runs are drawn"
    never = figures.over_steps(runs, ("pass_at_1",), 41).axes[0]
    assert len(never.lines) == 4, "no line for a step that never comes"
    (empty,) = figures.over_steps({"dev2": early.drop(columns="preference")}, ("preference",)).axes
    assert not empty.lines and "nothing measured" in empty.texts[0].get_text()


def with_general(skill: float, seed: int) -> pd.DataFrame:
    rows = evaluation(skill, problems=40, samples=4, seed=seed).assign(readable=True)
    general = rows.head(40).assign(task="fact", level=1)
    return pd.concat([rows, general.assign(problem_id="fact:" + general.problem_id)])


def test_general_families():
    found = {"dev1": summarize(with_general(0.3, 1)), "dev3": summarize(with_general(0.8, 2))}
    panel = stage_figures.general_families(found).axes[0]
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["fact"]
    values = [container.lines[0].get_ydata()[0] for container in panel.containers]
    assert values == [summary["general/fact"].value for summary in found.values()]


def test_held_out_pairs_measure_the_reward_model():
    table = stage_figures.pair_table(pairs())
    assert list(table["held-out pairs"]) == [2, 1, 3]
    assert list(table["pairs to learn from"]) == [0, 1, 1]
    assert table.loc["fact", "right, held out"].startswith("50.0")
    assert table.loc["refusal", "right, held out"].startswith("0.0"), "a tie is not right"
    assert table.loc["fact", "the longer one, held out"].startswith("75.0")
    left, right = stage_figures.pair_lengths(pairs()).axes
    assert sum(bar.get_height() for bar in left.patches) == 4
    assert sum(bar.get_height() for bar in right.patches) == 3


def test_only_held_out_pairs_are_shown():
    text = stage_figures.show_pairs(pairs())._repr_html_()
    assert text.count('class="r1t"') == 2 and "score 0.900" in text
    nothing = stage_figures.pair_table(pairs().assign(split="train"))
    assert nothing.loc["all", "right, held out"] == "–"


def test_rl_that_never_spends_the_budget_says_so():
    rl = pd.DataFrame({"step": [1, 2], "flops": [1e10, 2e10]})
    assert equal_flops_row(rl, 9e10) == 1
    assert "ends before that, at 2.00e+10 after 2 steps" in stage_figures.reached(rl, 9e10)
    assert "at step 1 of 2" in stage_figures.reached(rl, 1e10)


def test_students_are_drawn_where_they_were_measured(results):
    folder = results["comparison"].folder
    summaries, costs = held_out.read(folder).summaries, read_costs(folder)
    figure = stage_figures.pass_against_flops(summaries, costs)
    assert [panel.get_title("left") for panel in figure.axes] == ["Qwen", "Llama"]
    drawn = {
        container.get_label(): container.lines[0].get_xydata()[0]
        for container in figure.axes[0].containers
    }
    for arm in stage_figures.WAYS:
        value = summaries[f"qwen_{arm}"]["reasoning/pass@1"].value
        assert list(drawn[ARMS[arm]]) == [costs[f"qwen_{arm}"]["flops"], value]
