import math
from dataclasses import replace

import pytest

from r1repro.evaluation import held_out
from r1repro.evaluation.checkpoints import CHAIN, PAIRS, PAPER_BENCHMARKS, key, names, pairs
from r1repro.evaluation.metrics import compare, differences, shown, summarize
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import tables
from r1repro.reports.markup import Row, Table, paragraphs
from tests.reports.made_up import checkpoint


@pytest.fixture(scope="module")
def found(results):
    found = held_out.read(results["comparison"].folder)
    return found.summaries, found.changes


def test_resampling_once_for_all_gives_the_same_figures():
    rows = {name: checkpoint(name) for name in ("base", "r1_zero", "dev1")}
    rows["dev1"]["language_share"] = math.nan  # a measure without a value stays without
    summaries, changes = compare(rows, [("base", "r1_zero"), ("r1_zero", "dev1")], draws=200)
    for name, each in rows.items():
        assert repr(summaries[name]) == repr(summarize(each, draws=200))
    for before, after in changes:
        alone = differences(rows[before], rows[after], draws=200)
        assert repr(changes[before, after]) == repr(alone)


def test_evaluations_on_other_problems_are_compared_on_what_they_share():
    rows = {name: checkpoint(name) for name in ("base", "r1_zero")}
    rows["base"] = rows["base"][rows["base"]["task"] != "countdown"]
    summaries, changes = compare(rows, [("base", "r1_zero")], draws=200)
    assert summaries["r1_zero"]["reasoning/pass@1"].n == 120
    assert changes["base", "r1_zero"]["reasoning/pass@1"].n == 60


def test_pairs_need_both_sides_and_every_pair_has_its_reason():
    assert pairs({"base", "r1_zero", "qwen_rl"}) == [("base", "r1_zero")]
    assert key("base", "r1_zero") == "r1_zero - base"
    assert all(why and "\n" not in why for why in PAIRS.values())
    assert names(["own", "r1", "base"]) == ["base", "r1", "own"]


def test_the_stages_stand_as_columns_with_the_papers_rows_marked(found):
    summaries, _ = found
    table = tables.stages(summaries)
    assert table.columns == ("R1-Zero", "Dev1", "Dev2", "Dev3", "R1")
    rows = {row.label: row for row in table.rows}
    assert (
        rows["Countdown: pass@1"]
        .cells[3]
        .startswith(f"{100 * summaries['dev3']['countdown/pass@1'].value:.1f}")
    )
    context = [row for row in table.rows if row.context]
    assert len(context) == len(PAPER_BENCHMARKS)
    assert all(row.label.startswith("context, the paper: ") for row in context)
    assert rows["context, the paper: AIME 2024, pass@1"].cells == tuple(
        f"{value}\u00a0%" for value in (77.9, "59.0", "74.0", 78.1, 79.8)
    )
    assert not any("paper" in row.label for row in table.rows if not row.context)
    assert {"General score", "Translation", "Refusal", "Readable responses"} <= set(rows)
    assert all(not row.cells or len(row.cells) == 5 for row in table.rows)
    shown = table._repr_html_()
    assert '<tr class="group"><th colspan="6">Reasoning</th></tr>' in shown
    assert '<tr class="context"><th scope="row">context, the paper: SimpleQA</th>' in shown


def test_the_papers_columns_follow_the_stages_that_are_there(found):
    summaries = {name: found[0][name] for name in ("base", "r1_zero", "dev3")}
    table = tables.stages(summaries)
    assert table.columns == ("R1-Zero", "Dev3")
    (aime,) = [row for row in table.rows if "AIME" in row.label]
    assert aime.cells == ("77.9\u00a0%", "78.1\u00a0%")
    assert tables.stages({name: found[0][name] for name in ("base", "r1_zero")}) is None


def test_the_headline_shows_the_last_main_pair_that_is_there(found):
    summaries, changes = found
    assert tables.headline(summaries, changes).columns == (
        "Base", "R1-Zero", "R1", "R1 − R1-Zero, paired", "The paper, for context",
    )  # fmt: skip
    first = {"base": summaries["base"], "r1_zero": summaries["r1_zero"]}
    change = {"r1_zero - base": changes["r1_zero - base"]}
    assert tables.headline(first, change).columns[2] == "R1-Zero − Base, paired"
    alone = tables.headline({"base": summaries["base"]}, {})
    assert alone.columns == ("Base", "The paper, for context")
    assert alone.rows[0].cells[1].startswith("15.6 → 71.0 %") and alone.rows[1].cells[1] == ""


def test_backticks_are_code_in_sentences_whose_text_is_escaped():
    said = paragraphs("run `a <b>` & `c`, not ` alone")._repr_html_()
    assert "run <code>a &lt;b&gt;</code> &amp; <code>c</code>, not ` alone" in said


def test_a_table_shows_small_print_and_escapes_all_text():
    row = Row("<b>\nnote", ("75.0\u00a0% [70.1, 80.2]", "a & b"))
    shown = Table(("Here", "The paper"), (row,), "<i>")._repr_html_()
    assert '<th scope="row">&lt;b&gt;<br><small>note</small></th>' in shown
    assert '<td class="num">75.0\u00a0% <small>[70.1, 80.2]</small></td>' in shown
    assert '<td class="context">a &amp; b</td>' in shown and "&lt;i&gt;" in shown


@pytest.mark.parametrize("rows, first", [(5, 5), (7, 7), (8, 5), (30, 5)])
def test_a_long_table_is_cut_after_five_rows_and_keeps_them_all(rows, first):
    told = Table(("Here",), tuple(Row(f"row {i}.", ("1",)) for i in range(rows)))._repr_html_()
    shown, _, rest = told.partition('<tbody class="rest">')
    assert shown.count("row ") == first and rest.count("row ") == rows - first
    assert (f"all {rows} rows" in told) == (rows > first)


def test_levels_beyond_five_have_their_lines():
    rows = {name: checkpoint(name) for name in ("r1_zero", "dev1")}
    for each in rows.values():
        each["level"] += 3
    summaries, _ = compare(rows, [], draws=50)
    shown = [row.label for row in tables.stages(summaries).rows if row.label.startswith("Level")]
    assert shown == [f"Level {level}: pass@1" for level in range(4, 9)]


def test_students_have_what_they_cost_beside_them(found):
    summaries, changes = found
    costs = {"qwen_rl": {"flops": 2.2e12, "seconds": 253.0}}
    table = tables.student("qwen", summaries, [costs])
    assert [row.label for row in table.rows] == [
        "Base", "RL alone", "RL up to distillation’s FLOPs", "Distilled", "Distilled, then RL",
    ]  # fmt: skip
    assert table.rows[1].cells[-2:] == ("2.2", "4:13 min")
    assert table.rows[3].cells[-2:] == ("–", "–")
    assert len(tables.student_changes(changes, [costs]).rows) == 8


def spent(*shares: float) -> list[dict[str, dict[str, float]]]:
    """Costs of runs whose RL has spent these shares of distillation's FLOPs."""
    return [
        {
            "qwen_rl_equal_flops": {"flops": 1e12 * share, "seconds": 1.0},
            "qwen_distilled": {"flops": 1e12, "seconds": 1.0},
        }
        for share in shares
    ]


@pytest.mark.parametrize(
    ("shares", "label"),
    [
        ((1.0,), "RL at equal FLOPs"),
        ((1.01, 1.0, 1.02), "RL at equal FLOPs"),
        ((0.68,), "RL after 68\u00a0% of distillation’s FLOPs"),
        ((1.01, 0.68, 1.0), "RL after 68 to 101\u00a0% of distillation’s FLOPs"),
        ((1.3,), "RL after 130\u00a0% of distillation’s FLOPs"),  # one step is more than the budget
    ],
)
def test_no_table_calls_flops_equal_that_are_not(found, shares, label):
    """Of several seeds too, where the mean might be equal and a seed is not."""
    summaries, changes = found
    costs = spent(*shares)
    table = tables.student("qwen", summaries, costs)
    changed = [row.label for row in tables.student_changes(changes, costs).rows]
    told = tables.distilled_sentences(summaries, changes, costs)[0]
    assert table.rows[2].label == label
    assert f"Qwen: distilled against {label}" in changed and f"{label}, " in told
    everything = " ".join((told, *changed, *(row.label for row in table.rows)))
    assert ("equal FLOPs" in everything) == (label == "RL at equal FLOPs")
    assert ("Llama: distilled against RL up to distillation’s FLOPs") in changed


@pytest.mark.parametrize(
    ("low", "high", "said", "sentence"),
    [
        (0.01, 0.2, "rose", "is above RL"),
        (-0.2, -0.01, "fell", "is below RL"),
        (-0.1, 0.2, "did not clearly change", "is not clearly apart from RL"),
        (0.0, 0.2, "did not clearly change", "is not clearly apart from RL"),
        (math.nan, math.nan, "did not clearly change", "is not clearly apart from RL"),
    ],
)
def test_words_claim_no_more_than_the_interval(found, low, high, said, sentence):
    summaries, changes = found
    change = Estimate(0.1, low, high, 100)
    assert tables.worded(change, "rose", "fell", "did not clearly change") == said
    pair = "qwen_distilled - qwen_rl_equal_flops"
    only = {pair: changes[pair] | {"reasoning/pass@1": change}}
    assert sentence in tables.distilled_sentences(summaries, only, [{}])[0]


def test_flops_that_are_not_equal_are_said_to_be_so(found):
    summaries, changes = found
    costs = {
        "qwen_rl_equal_flops": {"flops": 2.3e12, "seconds": 1.0},
        "qwen_distilled": {"flops": 3.4e12, "seconds": 1.0},
    }
    first, *_ = tables.distilled_sentences(summaries, changes, [costs])
    assert first.endswith("not equal: RL ended after 2.3 of 3.4 × 10¹².")
    costs["qwen_rl_equal_flops"]["flops"] = 3.4e12
    assert "not equal" not in tables.distilled_sentences(summaries, changes, [costs])[0]


def test_ablations_are_told_where_they_ran(found):
    summaries, changes = found
    told = dict(tables.ablations(summaries, changes))
    assert set(told) == {
        "r1_zero_permuted", "r1_zero_format_only", "r1_zero_equal_weights",
        "dev2_no_language_reward", "dev3_reasoning_only", "dev3_unfiltered",
        "r1_preference_throughout",
        "qwen_rl_plateau", "llama_rl_plateau",
    }  # fmt: skip
    assert told["dev3_reasoning_only"].columns[:2] == ("Dev3", "Dev3 on reasoning data only")
    assert "general score lower (−" in tables.ablation_sentence("dev3_reasoning_only", changes)
    pair = "dev3_reasoning_only - dev3"
    unclear = replace(changes[pair]["general/score"], high=0.01)
    changed = changes | {pair: changes[pair] | {"general/score": unclear}}
    sentence = tables.ablation_sentence("dev3_reasoning_only", changed)
    assert "general score not clearly different (−" in sentence
    plain = {key(a, b): changes[key(a, b)] for a, b in zip(CHAIN, CHAIN[1:], strict=False)}
    assert list(tables.ablations(summaries, plain)) == []


def test_figures_in_words():
    assert [tables.tera(v) for v in (2.5e12, 1.23456e11, 3.21e15)] == ["2.5", "0.123", "3,210"]


def test_a_notebooks_table_has_the_reports_names(found):
    summaries, changes = found
    pair = ("dev1", "dev2")
    some = {name: summaries[name] for name in ("r1_zero", *pair, "r1_zero_permuted")}
    table = tables.by_checkpoint(some, {pair: changes[key(*pair)]})
    assert table.columns == (
        "R1-Zero", "Dev1", "Dev2", "R1-Zero, rewards permuted", "Dev2 − Dev1, paired",
    )  # fmt: skip
    first = table.rows[0]
    assert first.label == "pass@1" and table.first == "Measure"
    assert first.cells[2] == shown(summaries["dev2"]["reasoning/pass@1"], "pass@1")
    change = changes[key(*pair)]["reasoning/pass@1"]
    assert first.cells[-1] == shown(change, "pass@1", signed=True)
    assert tables.by_checkpoint(some).columns == table.columns[:-1]


def test_changes_have_the_general_families_too(found):
    pair = ("dev1", "dev3")
    _, changes = compare({name: checkpoint(name) for name in pair}, [pair], draws=50)
    table = tables.changed(changes)
    assert table.columns == ("Dev3 − Dev1, paired",)
    rows = {row.label: row.cells[0] for row in table.rows}
    value = changes[pair]["general/fact"].value
    assert rows["General tasks: Fact"].startswith(f"{100 * value:+.1f}")
