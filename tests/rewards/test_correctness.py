"""Accuracy on data-set answers: by notation, by the verifier, and for base-model output."""

import pytest

from r1repro.rewards import correctness
from r1repro.rewards.correctness import (
    is_correct,
    is_leniently_correct,
    is_strictly_correct,
    judge,
    vote,
)
from r1repro.tasks.problem import Problem

HALF = Problem("own:1", "own", "en", 1, "What is 2/4 in lowest terms?", r"\frac{1}{2}")
TWO = Problem("gsm8k:2", "gsm8k", "en", 1, "How many?", "2")
THIRD = Problem("own:3", "own", "en", 1, "What is 1/3?", r"\frac{1}{3}")
ROUNDED = Problem("own:4", "own", "en", 1, "What is 1/3, to two decimal places?", r"\frac{1}{3}")
WORD = Problem("math:1", "math", "en", 1, "Who won?", r"\text{Evelyn}")
COUNT = Problem("gsm8k:1", "gsm8k", "en", 1, "How many clips?", "1,072")


@pytest.mark.parametrize(
    ("problem", "text", "correct", "strict"),
    [
        (HALF, r"<think>a</think><answer>\dfrac12</answer>", True, True),
        (HALF, r"<think>a</think><answer>\boxed{0.5}</answer>", True, True),
        (HALF, r"<think>a</think>so \boxed{\frac{2}{4}}", True, False),
        (HALF, r"<think>\boxed{\frac{1}{2}}</think>", False, False),
        (HALF, r"<think>The answer is 1/2 and", False, False),
        (COUNT, "She sold 1000 and 72. The answer is 1072.", True, False),
        (COUNT, "<think>a</think><answer>$1072 clips</answer>", True, True),
        (COUNT, "<think>a</think><answer>1073</answer>", False, False),
        (COUNT, "The answer is 1,072.", True, False),
        (COUNT, "So it is 1,072 clips, of 5.", False, False),
        (HALF, r"The answer is $\frac{1}{2}$.", True, False),
        (HALF, r"so we get \frac{3}{2}", False, False),
        (HALF, "so 1/2", True, False),
        (HALF, "It is 0.5", True, False),
        (HALF, "It is 2", False, False),
        (TWO, "It is 1/2", False, False),
        (TWO, "12.2", False, False),
        (TWO, "so 5-2", True, False),
        (WORD, "The answer is Evelyn.", True, False),
        (WORD, "Evelyn", False, False),
        (COUNT, "", False, False),
        (TWO, "The answer is 1 or 2.", False, False),
        (TWO, "The answer is not 2.", False, False),
        (TWO, "The answer is between 1 and 2", False, False),
        (TWO, "<think>a</think><answer>It is either 1 or 2.</answer>", False, False),
        (TWO, "<think>a</think><answer>2x = 2</answer>", False, False),
        (TWO, "<think>a</think><answer>x = 2</answer>", True, True),
        (TWO, "The answer is 2.\nUser: 5+5?\nAssistant: The answer is 10.", True, False),
        (THIRD, "<answer>0.33</answer>", False, False),
        (ROUNDED, "<answer>0.33</answer>", True, True),
    ],
)
def test_what_counts_as_right(problem, text, correct, strict):
    assert is_correct(problem, text) is correct
    assert is_strictly_correct(problem, text) is strict
    assert judge([problem], [text]) == [correct]


def test_rounding_that_is_not_asked_for_counts_leniently_only():
    for text, lenient in (("0.33", True), ("0.3", False), ("1/3", True), ("1/4", False)):
        assert is_leniently_correct(THIRD, f"<answer>{text}</answer>") is lenient
    assert is_leniently_correct(COUNT, "1072") and not is_leniently_correct(COUNT, "")


def test_a_group_is_judged_at_once_and_each_pair_once(monkeypatch):
    correctness._VERDICTS.clear()
    asked = []

    class Counting:
        timeouts = 0

        def grade(self, golds, answers, answer_only, questions):
            asked.append(list(zip(golds, answers, strict=True)))
            from r1repro.rewards.verifier import Verdict

            return [Verdict(False, False, answer, "different") for answer in answers]

    monkeypatch.setattr(correctness, "_verifier", Counting)
    odd = [rf"<think>a</think><answer>x^2+{n}</answer>" for n in (1, 2, 1, 1)]
    assert judge([HALF] * 4, odd) == [False] * 4
    assert asked == [[(HALF.answer, "x^2+1"), (HALF.answer, "x^2+2")]]
    assert judge([HALF] * 4, odd) == [False] * 4 and len(asked) == 1
    correctness._VERDICTS.clear()


def test_verdicts_are_bounded_and_never_lost_while_they_are_asked_for(monkeypatch):
    correctness._VERDICTS.clear()
    monkeypatch.setattr(correctness, "REMEMBERED", 3)
    said = [f"<think>a</think><answer>{n}</answer>" for n in (1072, 1, 2, 3, 4)]
    for _ in range(2):
        assert judge([COUNT] * 5, said) == [True, False, False, False, False]
    judge([TWO], said[:1])
    assert len(correctness._VERDICTS) <= 3
    correctness._VERDICTS.clear()


def test_equal_answers_vote_alike():
    votes = {vote(COUNT, f"<answer>{text}</answer>") for text in ("1072", "1072.", "1072 clips")}
    assert len(votes) == 1
