import math

import pandas as pd
import pytest

from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.rows import row
from r1repro.tasks.problem import Completion, Problem

SUM = Problem("3+4", "arithmetic", "zh", 2, "3 + 4 = ?", "7")
COUNTDOWN = Problem("2,3,4=14", "countdown", "en", 1, "reach 14 from 2 3 4", "2,3,4=14")


def read(text, problem=SUM, finished=True):
    return row(problem, 3, Completion(problem.id, text, tuple(range(5)), finished))


def test_a_right_answer_in_the_wanted_form():
    found = read("<think>先算 3 + 4 = 7，等等，check</think> <answer>7</answer>")
    assert found["correct"] and found["strict_correct"] and found["format_valid"]
    assert found["extracted"] == "7" and found["sample"] == 3 and found["tokens"] == 5
    assert found["reflection_count"] == 2
    assert found["words"] == 5 and found["language_share"] == 0.8 and found["mixed"]
    assert (found["problem_id"], found["task"], found["language"], found["level"]) == (
        "3+4", "arithmetic", "zh", 2
    )  # fmt: skip


def test_without_tags_the_last_stated_answer_counts_and_the_tags_are_missed():
    found = read("先算三加四等于 7")
    assert found["correct"] and not found["strict_correct"] and not found["format_valid"]
    assert found["language_share"] == 1.0  # no thinking is marked, so the whole text is read


@pytest.mark.parametrize("text", ["", "8", "<think></think>", "\udcff\x00", "9" * 100_000])
def test_nonsense_is_a_row_that_can_be_stored(text, tmp_path):
    found = read(text, finished=False)
    assert not found["correct"] and math.isnan(found["language_share"]) and not found["mixed"]
    frame = pd.DataFrame([found, found])
    frame.to_parquet(tmp_path / "rows.parquet")
    assert len(pd.read_parquet(tmp_path / "rows.parquet")) == 2
    summarize(frame.assign(sample=[0, 1]), draws=10)


def test_countdown_states_an_expression():
    assert read("2*3+4 = 10, no. 2+3*4 = 14", COUNTDOWN)["extracted"] == "2+3*4"


def test_equal_answers_vote_alike():
    def votes(problem, *answers):
        return {read(f"<think>x</think><answer>{a}</answer>", problem)["vote"] for a in answers}

    assert len(votes(COUNTDOWN, "2+3*4", "(4*3)+2", "3*4+2=14")) == 1
    assert len(votes(COUNTDOWN, "2+3*4", "2*3+4", "7*2", "nonsense")) == 4
    assert votes(SUM, "7", "7.", "07") == {"7"} and read("", SUM)["vote"] is None
