import math

import pandas as pd
import pytest

from r1repro.errors import R1ReproError
from r1repro.evaluation.metrics import differences, headline, label, shown, summarize
from r1repro.evaluation.statistics import Estimate


def rows(problem, correct, task="arithmetic", language="en", level=1, **more):
    return [
        {
            "problem_id": problem, "task": task, "language": language, "level": level,
            "prompt": "?", "answer": "7", "sample": i, "text": "7", "tokens": 10,
            "finished": True, "correct": right, "strict_correct": False, "format_valid": False,
            "extracted": "7" if right else f"{i}", "vote": "7" if right else f"{i}",
            "reflection_count": 0, "words": 2,
            "language_share": 1.0, "mixed": False, "repetition": 0.0, "readable": True,
        } | more
        for i, right in enumerate(correct)
    ]  # fmt: skip


@pytest.fixture
def evaluation():
    return pd.DataFrame(
        rows("a", [True, True, False, False], tokens=10, reflection_count=1)
        + rows("b", [False] * 4, level=5, language="zh", tokens=30, language_share=math.nan)
        + rows("c", [True] * 4, task="countdown", level=1, format_valid=True, strict_correct=True)
        + rows("d", [True, False, False, False], task="fact")
    )


def test_known_values(evaluation):
    found = {path: estimate.value for path, estimate in summarize(evaluation, draws=50).items()}
    assert found["reasoning/pass@1"] == pytest.approx(0.5)
    assert found["reasoning/strict_pass@1"] == pytest.approx(1 / 3)
    assert found["reasoning/pass@4"] == pytest.approx(2 / 3)
    assert found["reasoning/pass@2"] == pytest.approx((5 / 6 + 0 + 1) / 3)
    assert found["reasoning/cons@4"] == pytest.approx(2 / 3)
    assert found["arithmetic/pass@1"] == found["level_1/pass@1"] / 3 == 0.25
    assert found["arithmetic/level_5/pass@1"] == found["zh/pass@1"] == 0.0
    assert found["countdown/pass@1"] == 1.0
    assert found["format_valid"] == pytest.approx(1 / 3)
    assert found["length"] == pytest.approx(50 / 3)
    assert found["length_correct"] == 10
    assert found["length_wrong"] == pytest.approx((2 * 10 + 4 * 30) / 6)
    assert found["reflection_per_response"] == pytest.approx(1 / 3)
    assert found["reflection_per_1k_tokens"] == pytest.approx(1000 * 4 / 200)
    assert found["reflection_correct"] == pytest.approx(2 / 6)
    assert found["general/score"] == found["general/fact"] == 0.25


def test_turns_that_run_on_and_rounding_are_counted(evaluation):
    found = summarize(evaluation, draws=50)
    assert found["runs_on"].value == 0
    assert found["reasoning/lenient_pass@1"].value == found["reasoning/pass@1"].value
    went_on = evaluation.assign(
        text=["so \\boxed{7}\nUser: 1+1?" if i == 1 else "7" for i in evaluation["sample"]],
        lenient_correct=True,
    )
    found = summarize(went_on, draws=50)
    assert found["runs_on"].value == 0.25 and found["reasoning/lenient_pass@1"].value == 1


def test_texts_without_words_are_left_out_of_the_language_share(evaluation):
    found = summarize(evaluation, draws=50)
    assert found["language_share"].value == 1.0 and found["language_share"].n == 2
    assert math.isnan(found["zh/language_share"].value) and found["zh/language_share"].n == 0


def test_unanimous_shares_do_not_claim_certainty(evaluation):
    found = summarize(evaluation, draws=50)
    assert found["countdown/pass@1"].low < 0.5  # one problem is weak evidence
    assert found["clipped"].value == 0.0 and found["clipped"].high > 0.5


def test_general_tasks_do_not_count_as_reasoning(evaluation):
    found = summarize(evaluation[evaluation["task"] == "fact"], draws=50)
    assert set(found) == {"general/score", "general/fact", "general/en"}


def test_smaller_numbers_of_samples_name_their_k(evaluation):
    found = summarize(evaluation[evaluation["sample"] < 3], draws=50)
    assert "reasoning/pass@3" in found and "reasoning/pass@2" in found
    assert "reasoning/cons@3" in headline(found)
    one = summarize(evaluation[evaluation["sample"] < 1], draws=50)
    assert "reasoning/pass@1" in one


def test_differences_are_paired_over_the_shared_problems(evaluation):
    after = evaluation.assign(tokens=evaluation["tokens"] + 5)
    change = differences(evaluation, after[after["problem_id"] != "c"], draws=200)
    assert change["length"].value == change["length"].low == change["length"].high == 5.0
    unchanged = change["reasoning/pass@1"]
    assert unchanged.value == 0.0 and unchanged.n == 2
    assert unchanged.high == -unchanged.low > 0.5  # two unchanged problems are weak evidence


def test_no_shared_problem_and_no_rows_are_refused(evaluation):
    with pytest.raises(R1ReproError, match="no problem in common"):
        differences(evaluation[:4], evaluation[4:8])
    with pytest.raises(R1ReproError, match="no rows"):
        summarize(evaluation[:0])


def test_words_for_paths_and_estimates():
    assert label("arithmetic/level_3/pass@1") == "Arithmetic, level 3: pass@1"
    assert label("zh/pass@1") == "Chinese: pass@1"
    assert label("format_valid") == "Valid format"
    assert shown(Estimate(0.7, 0.65, 0.75, 90), "reasoning/pass@1") == "70.0\u00a0% [65.0, 75.0]"
    assert shown(Estimate(-0.05, -0.1, 0.0, 90), "pass@1", signed=True) == (
        "−5.0\u00a0points [−10.0, 0.0]"
    )
    assert shown(None, "pass@1") == shown(Estimate(math.nan, 0, 0, 0), "pass@1") == "–"


def test_an_item_asked_in_two_languages_is_drawn_as_one():
    items = [f"item{i}" for i in range(40)]
    scores = [[i % 2 == 0] * 4 for i in range(40)]
    english = [r for name, c in zip(items, scores, strict=True) for r in rows(name, c, task="fact")]
    both = english + [row | {"language": "zh"} for row in english]
    once, twice = (summarize(pd.DataFrame(found))["general/score"] for found in (english, both))
    assert (once.n, twice.n) == (40, 80) and once.value == twice.value == 0.5
    # The other language adds no information: the interval keeps its width.
    assert twice.high - twice.low == pytest.approx(once.high - once.low, abs=0.02)


def test_an_interval_over_few_items_says_how_many():
    assert shown(Estimate(0.712, 0.698, 0.725, 30), "pass@1") == "71.2\u00a0% [69.8, 72.5]"
    assert shown(Estimate(0.5, 0.1, 0.9, 29), "pass@1") == "50.0\u00a0% [10.0, 90.0], n = 29"
    changed = shown(Estimate(-0.02, -0.1, 0.06, 9), "length", signed=True)
    assert changed == "0.0 [−0.1, +0.1], n = 9"
    assert shown(Estimate(0.5, math.nan, math.nan, 3), "pass@1") == "50.0\u00a0%"
