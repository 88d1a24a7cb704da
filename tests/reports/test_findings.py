"""Sentences of conclusions: figures and words follow the intervals."""

from dataclasses import replace

import pandas as pd
import pytest

from r1repro.evaluation.checkpoints import key
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import findings


def about(value, half=0.02):
    return Estimate(value, value - half, value + half, 100)


def rows(one, many, **more):
    """Measures of one family, countdown, with its level so that it is known as a family."""
    of_family = {f"{scope}/pass@{k}": about(value) for scope in ("reasoning", "countdown")
                 for k, value in ((1, one), (4, many))}  # fmt: skip
    level = {"countdown/level_1/pass@1": about(one)}
    return of_family | level | {name: about(value, 1 if value > 1 else 0.02)
                                for name, value in more.items()}  # fmt: skip


BASE = rows(0.2, 0.8, length=20, sound=0.5, false_check=0.01, reconsidered=0.03)
FORCED = rows(0.7, 0.9, length=52, reconsidered=0.19)
ZERO = rows(
    0.8, 0.9, length=50, length_correct=45, length_wrong=90, sound=0.9, false_check=0.05,
    reconsidered=0.2,
)  # fmt: skip


def change(**replaced):
    found = {path: about(ZERO[path].value - BASE[path].value) for path in BASE}
    return found | {path.replace("__", "/"): value for path, value in replaced.items()}


def said(forced=False, **replaced):
    changes = {key("base", "r1_zero"): change(**replaced)}
    found = {"base": BASE, "r1_zero": ZERO} | ({"base_forced": FORCED} if forced else {})
    return " ".join(findings.of_rl(found, changes))


def test_what_rl_did_to_the_base():
    text = said()
    assert "In countdown RL solves problems that the base with the template misses in 4" in text
    assert "one of 4 right: 80.0\u00a0% → 90.0\u00a0%, +10.0\u00a0points" in text
    assert "answers are longer: 20 tokens for the base, 50 for R1-Zero; its wrong answers" in text
    assert "right more often than the base: in 20.0\u00a0% [18.0, 22.0] of its answers" in text
    assert (
        "in 5.0\u00a0% [3.0, 7.0] of its answers, the base in 1.0\u00a0%" in text
        and "Persist" not in text
    )


def test_the_forced_base_stands_beside_what_it_does_too():
    text = said(forced=True)
    assert (
        "base with the template is right in 70.0\u00a0% [68.0, 72.0] of its answers, against 20.0"
        in text
    )
    assert "50 for R1-Zero (the forced base: 52)" in text
    assert "the base in 3.0\u00a0%, forced 19.0\u00a0%)." in text


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("length", about(-5, 1), "answers are shorter"),
        ("length", about(0.5, 1), "answers show no clear change in length"),
        ("reconsidered", about(0, 0.1), "about as often as the base"),
        ("countdown__pass@4", about(0.1), "RL solves problems that the base with the template"),
        ("countdown__pass@4", about(-0.1), "RL solves fewer problems than the base with"),
        ("countdown__pass@4", about(0, 0.1), "RL makes likely what the base can already do in 4"),
    ],
)
def test_words_follow_the_interval(path, value, words):
    assert words in said(**{path: value})


def test_where_one_sample_gained_nothing_nothing_is_said_of_many():
    assert "at least one of" not in said(**{"countdown__pass@1": about(0, 0.1)})


def test_a_stage_is_told_by_what_rose_fell_and_stayed():
    pair = ("r1_zero", "dev1")
    moved = {"general/score": about(0.3), "language_share": about(-0.1), "sound": about(0, 0.1)}
    after = {path: about(0.5) for path in moved}
    (text,) = findings.of_stage({"dev1": after}, {pair: moved})
    assert text.startswith("Dev1 against R1-Zero. Higher: general tasks (+30.0\u00a0points")
    assert "to 50.0\u00a0%). Lower: thinking in the language asked (−10.0" in text
    assert text.endswith("No clear change in 1 other measure.")
    assert "to 50.0" not in findings.of_stage({}, {pair: moved})[0]
    assert findings.of_stage({"dev1": after}, {pair: {}}) == []
    told = findings.later({key(*pair): moved, key("dev1", "dev2"): {"general/score": about(0)}})
    assert "Dev1: general tasks +30.0, thinking in the language asked −10.0; Dev2" in told
    assert "; Dev2: no change told apart from 0." in told
    assert "out of 3 compared; about 0.1 would be listed by chance alone" in told
    still = {pair: {"sound": about(0, 0.1)}}
    assert findings.of_stage({}, still)[0].endswith("R1-Zero. No clear change in 1 measure.")


def test_controls_are_told_beside_the_base_and_r1_zero():
    path = "reasoning/pass@1"
    found = {"base": BASE, "r1_zero": ZERO, "r1_zero_permuted": {path: about(0.05)}}
    told = findings.controls(found)
    assert told.endswith(": R1-Zero, rewards permuted 5.0\u00a0%.")
    assert "the base having 20.0" in told and "format" not in told
    assert findings.controls({"base": BASE, "r1_zero": ZERO}) == ""


def test_the_head_of_a_report_is_five_findings():
    measured = {"base": BASE, "base_forced": FORCED, "r1_zero": ZERO}
    held = HeldOut(measured, {}, {}, pd.DataFrame())
    changes = {
        key("base", "r1_zero"): change(), key("dev1", "dev2"): {"general/score": about(0)},
        key("base_best", "r1_zero"): {"countdown/pass@1": about(0.4)},
    }  # fmt: skip
    ways = {"countdown": {"way": "plain", "temperature": 0.0}}
    found = findings.findings(replace(held, changes=changes, ways=ways))
    assert [one.partition(" ")[0] for one in found] == [
        "Over", "In", "R1-Zero's", "R1-Zero", "Later",
    ]  # fmt: skip
    assert "RL adds +40.0" in found[0] and "Persistence without RL" in found[0]
    assert findings.findings(held) == []


def test_nothing_is_said_without_results():
    assert (
        findings.of_rl({}, {}) == [] and findings.later({}) == "" and findings.shown([""]) is None
    )
    assert findings.of_students({}, {}) == []


def test_the_best_prompt_of_a_base_and_its_many_samples():
    tried = [("template", 0.0, "countdown", 0.2), ("few_2", 0.6, "countdown", 0.5)]
    search = pd.DataFrame(tried, columns=["way", "temperature", "family", "pass@1"])
    best, many = findings.of_base(search, {"base": BASE, "base_best": rows(0.45, 0.8)})
    assert "right in 20.0\u00a0% [18.0, 22.0] with the template, and in 45.0\u00a0%" in best
    assert "(2 worked examples before it, T 0.6)" in best
    assert "at least one of 4 for 80.0\u00a0%" in many
    assert len(findings.of_base(search, {"base": BASE})) == 1


def test_samples_that_passed_and_why_others_did_not():
    drops = pd.DataFrame(
        {"dropped": [0, 10, 70, 0], "left": [200, 190, 120, 120]},
        index=["sampled", "cut off", "wrong answer", "unsound"],
    )
    assert findings.of_samples(drops) == (
        "Of 200 samples 120 pass the filters. Most often dropped: wrong answer (35.0\u00a0%) and "
        "cut off (5.0\u00a0%)."
    )
