"""Sentences of conclusions: figures and words follow the intervals."""

import pandas as pd
import pytest

from r1repro.evaluation.checkpoints import key
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import shows


def about(value, half=0.02):
    return Estimate(value, value - half, value + half, 100)


BASE = {
    "reasoning/pass@1": about(0.2), "reasoning/pass@4": about(0.8), "length": about(20, 1),
    "sound": about(0.5), "false_check": about(0.01), "reconsidered": about(0.03),
}  # fmt: skip
ZERO = {
    "reasoning/pass@1": about(0.8), "reasoning/pass@4": about(0.9), "length": about(50, 1),
    "length_correct": about(45, 1), "length_wrong": about(90, 1), "sound": about(0.9),
    "false_check": about(0.05), "reconsidered": about(0.2),
}  # fmt: skip


def change(**replaced):
    found = {path: about(ZERO[path].value - BASE[path].value) for path in BASE}
    return found | {path.replace("__", "/"): value for path, value in replaced.items()}


def said(**replaced):
    changes = {key("base", "r1_zero"): change(**replaced)}
    return " ".join(shows.of_rl({"base": BASE, "r1_zero": ZERO}, changes))


def test_what_rl_did_to_the_base():
    text = said()
    assert "right in 20.0\u00a0% and R1-Zero in 80.0\u00a0%; with the best of 4, in 80.0" in text
    assert "rises too (+10.0" in text and "already do" in text
    assert "answers grow, from 20 to 50 tokens; its wrong answers are the longer" in text
    assert "more often than the base: in 20.0\u00a0% of its answers against 3.0" in text
    assert "The base already does it" in text and "in 5.0\u00a0% of its answers, the base" in text


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("length", about(-5, 1), "answers shrink"),
        ("length", about(0.5, 1), "answers keep their length"),
        ("reconsidered", about(0, 0.1), "about as often as the base"),
        ("reasoning__pass@4", about(-0.1), "solved at all falls"),
        ("reasoning__pass@4", about(0, 0.1), "solved at all stays"),
    ],
)
def test_words_follow_the_interval(path, value, words):
    assert words in said(**{path: value})


def test_a_gain_with_many_samples_as_large_as_with_one_is_no_sharpening():
    assert "mostly makes likely" not in said(**{"reasoning__pass@4": about(0.6)})


def test_persistence_is_told_where_it_was_measured():
    assert "Forced" not in said()
    found = {"base": BASE, "r1_zero": ZERO, "base_forced": {"reasoning/pass@1": about(0.7)}}
    text = " ".join(shows.of_rl(found, {key("base", "r1_zero"): change()}))
    assert "right in 70.0\u00a0% [68.0, 72.0] of its answers instead of 20.0" in text


def test_a_stage_is_told_by_what_rose_fell_and_stayed():
    pair = ("r1_zero", "dev1")
    moved = {"general/score": about(0.3), "language_share": about(-0.1), "sound": about(0, 0.1)}
    after = {path: about(0.5) for path in moved}
    (text,) = shows.of_stage({"dev1": after}, {pair: moved})
    assert text.startswith("Against R1-Zero, Dev1 is higher in general tasks (+30.0")
    assert "to 50.0\u00a0%); lower in thinking in the language asked (−10.0" in text
    assert text.endswith("not told apart in sound reasoning of right answers.")
    told = shows.later({key(*pair): moved, key("dev1", "dev2"): {"general/score": about(0)}})
    assert "Dev1: general tasks +30.0, thinking in the language asked −10.0; Dev2: noth" in told


def test_nothing_is_said_without_results():
    assert shows.of_rl({}, {}) == [] and shows.later({}) == "" and shows.shown([""]) is None
    assert shows.of_students({}, {}) == []


def test_the_best_prompt_of_a_base_and_its_many_samples():
    rows = [("template", 0.0, "countdown", 0.2), ("few_2", 0.6, "countdown", 0.5)]
    search = pd.DataFrame(rows, columns=["way", "temperature", "family", "pass@1"])
    best, many = shows.of_base(search, {"base": BASE})
    assert "the template reaches 20.0\u00a0%" in best and "2 worked examples" in best
    assert "50.0\u00a0%" in best and "any of 4 in 80.0" in many


def test_a_template_that_is_the_best_prompt_is_called_that():
    search = pd.DataFrame(
        [("template", 0.0, "countdown", 0.4), ("plain", 0.0, "countdown", 0.4)],
        columns=["way", "temperature", "family", "pass@1"],
    )
    (best,) = shows.of_base(search, {})
    assert "no prompt is better than the template (the template, greedy), which" in best


def test_samples_that_were_kept_and_why_others_were_not():
    drops = pd.DataFrame(
        {"dropped": [0, 10, 70, 0], "left": [200, 190, 120, 120]},
        index=["sampled", "cut off", "wrong answer", "unsound"],
    )
    text = shows.of_samples(drops)
    assert text == (
        "Of 200 samples 120 become training examples. Most often dropped: wrong answer "
        "(35.0\u00a0%) and cut off (5.0\u00a0%)."
    )
