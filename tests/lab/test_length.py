"""Lengths of answers: what is computed of them, by hand, and what a run without any shows."""

import math
import re

import pandas as pd
import pytest

from r1repro import config
from r1repro.lab import arms, length
from r1repro.lab.arms import Trained
from tests.evaluation.test_metrics import rows


def answers(problem, *said, level=1, task="arithmetic"):
    """Answers to a problem: (tokens, right) each, unfinished at 99 tokens."""
    found = rows(problem, [right for _, right in said], level=level, task=task)
    return [row | {"tokens": n, "finished": n < 99}
            for row, (n, _) in zip(found, said, strict=True)]  # fmt: skip


@pytest.fixture
def evaluation():
    """Within each question the right answers are 4 tokens longer, over all they are shorter."""
    return pd.DataFrame(
        answers("a", (14, True), (14, True), (14, True), (10, False))
        + answers("b", (34, True), (30, False), (30, False), (30, False), level=2)
    )


def told(shown):
    return re.sub(r"<[^>]+>", " ", shown._repr_html_())


def test_difficulty_turns_the_sign(evaluation):
    over_all = length.gap(evaluation, ())
    assert over_all.value == pytest.approx((3 * 14 + 34) / 4 - (10 + 3 * 30) / 4)
    assert over_all.value < 0
    for held in ("the level", "the task and the level", "the question"):
        found = length.gap(evaluation, length.HELD[held])
        assert found.value == pytest.approx(4) and found.n == 2
        assert (found.low, found.high) == pytest.approx((4, 4)), "both questions say the same"


def test_a_question_without_both_kinds_says_nothing(evaluation):
    easy = pd.DataFrame(answers("c", (500, True), (5, True), (5, True), (5, True)))
    with_easy = pd.concat([evaluation, easy], ignore_index=True)
    found = length.gap(with_easy, length.HELD["the question"])
    assert found.value == pytest.approx(4) and found.n == 2
    assert math.isnan(length.gap(easy, ()).value)


def test_what_the_cap_cut_off_is_left_out_in_the_last_row(evaluation):
    cut = pd.DataFrame(answers("d", (14, True), (14, True), (99, False), (10, False)))
    found = length.gaps(pd.concat([evaluation, cut], ignore_index=True))
    assert found[length.QUESTION].value < 0 < found[length.UNFINISHED].value
    assert found[length.UNFINISHED].value == pytest.approx(4)


def test_answers_cut_at_a_cap(evaluation):
    assert length.answered_by(evaluation, [13, 14, 33, 34]).tolist() == [0, 3 / 8, 3 / 8, 1 / 2]
    assert length.by_cap({"x": evaluation}, 34)["x"].loc[[13, 14, 34]].tolist() == [0, 3 / 8, 1 / 2]
    assert length.beyond(evaluation, 14) == 1 / 4
    change = length.within(evaluation, evaluation.assign(tokens=evaluation["tokens"] - 20), 14)
    assert change.value == pytest.approx((0 + 1 / 4) / 2) and change.n == 2


def test_accuracy_by_length(evaluation):
    many = pd.concat([evaluation] * 5, ignore_index=True)
    found = length.by_length(many, parts=2)
    assert found.index.tolist() == [13, 31]
    assert found["all"].tolist() == [3 / 4, 1 / 4]
    assert found["easy"].iloc[0] == 3 / 4 and math.isnan(found["easy"].iloc[1])
    assert found["hard"].iloc[1] == 1 / 4 and math.isnan(found["hard"].iloc[0])


def test_thirds_of_training(evaluation):
    steps = [pd.concat([evaluation] * 5).assign(step=step) for step in (1, 10, 20, 30)]
    kept = pd.concat(steps, ignore_index=True)
    kept.loc[kept["step"] == 30, "tokens"] *= 2
    found = length.thirds(kept)
    assert found.index.tolist() == ["steps 1 to 10", "steps 20 to 20", "steps 30 to 30"]
    assert found["easy", "right"].tolist() == [14, 14, 28]
    assert found["hard", "wrong"].tolist() == [30, 30, 60]
    few = length.thirds(pd.concat([evaluation.assign(step=step) for step in (1, 2, 3)]))
    assert few.isna().all(axis=None), "fewer than ENOUGH"


def _shown(evaluation):
    """What the notebook shows of a run with these answers, and of GRPO and an arm with them."""
    many = pd.concat([evaluation] * 5, ignore_index=True)
    short = evaluation.assign(tokens=evaluation["tokens"] - 20)
    curve = pd.DataFrame({"step": range(1, 9), "length": 30.0, "clipped": 0.25, "pass_at_1": 0.5})
    curve = curve.assign(length_correct=20.0, length_wrong=40.0, samples=curve["step"])
    found = length.Measured({"base": evaluation, "r1_zero": many}, curve, many.assign(step=3),
                            False, 64, 14)  # fmt: skip
    kinds = {"grpo": evaluation, "cap_low": short}
    return found, Trained("length_and_cap", dict.fromkeys(kinds, curve), kinds, {})


def test_what_the_notebook_says_of_a_run(evaluation):
    found, trained = _shown(evaluation)
    hand, kinds = length.by_hand(0.2, 8, 4), length.paradox({"a": 0.8}, {"a": 0.5})
    said = told(length.findings(hand, kinds, found, trained))
    assert "finds 20% with one candidate and 59% with up to 4" in said
    assert "longer than its wrong ones to the same question (+4.0 [+4.0, +4.0], n = 2" in said
    assert "Over all questions together the difference is −6.0" in said
    assert "25% of its right answers have more than 14 tokens" in said
    assert "At most 25% of the completions of a step were cut off" in said
    assert "Right within 14 tokens: an eighth of the cap, not told apart from GRPO (+12.5" in said
    assert "nothing −6.0" in " ".join(told(length.gaps_table(found)).split())
    levels = " ".join(told(length.levels(found)).split())
    assert "level 2 25.0% 34 34 30 0.0%" in levels, "R1-Zero's, five times as many"
    held = " ".join(told(length.held_to(trained, 14)).split())
    assert "GRPO 50.0% 37.5% – 30.0 30.0 25.0% 25.0%" in held
    assert "16 completions" not in told(length.source(found)) and "40 comp" in told(
        length.source(found)
    )
    for drawing, panels in ((length.pictures(found), 3), (length.through_training(found), 3),
                            (length.of_arms(trained, 64, 14), 1)):  # fmt: skip
        assert len(drawing.axes) == panels and drawing.alt


def test_what_it_says_without_a_run(tmp_path):
    settings = config.compose([f"runs={tmp_path}"])
    found, trained = length.of_run(settings), arms.trained(settings, "length_and_cap")
    assert found.low == settings.stage.r1_zero.max_completion_tokens // 8
    assert "the evaluation of Base and of R1-Zero.  r1repro run --until r1_zero " in told(
        length.how(found)
    )
    assert not any(
        (length.pictures(found), length.through_training(found), length.source(found),
         length.gaps_table(found), length.levels(found), length.held_to(trained, found.low),
         length.of_arms(trained, found.cap, found.low))
    )  # fmt: skip
    assert " r1repro run lab=length_and_cap " in told(arms.table(trained))


def test_nothing_is_said_of_questions_without_both_kinds(evaluation):
    found, trained = _shown(evaluation[evaluation["correct"]])
    hand, kinds = length.by_hand(0.2, 8, 4), length.paradox({"a": 0.8}, {"a": 0.5})
    said = told(length.findings(hand, kinds, found, trained))
    assert "Base has no question with both right and wrong answers" in said and "nan" not in said
