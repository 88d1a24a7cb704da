import re

import pandas as pd
import pytest

from r1repro.reports.transcripts import (
    LIMIT,
    chosen,
    groups,
    over_training,
    problems,
    show,
    side_by_side,
    text_html,
)
from r1repro.text.marked import MEANS
from tests.reports.made_up import HOSTILE, completions, evaluation

KNOWN = re.compile(r"</?(?:span|div|pre|b|style|mark)\b[^<>]*>")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_appears_as_text(name):
    for language in (None, "en", "zh"):
        html = str(text_html(HOSTILE[name], language=language))
        html.encode("utf-8")  # no lone surrogate is left
        assert "<" not in KNOWN.sub("", html)
        assert len(html) < (3 if language is None else 8) * LIMIT


@pytest.mark.parametrize("text", ["a中" * 2_000, "so " * 1_300, "1+1=3 no\n" * 450])
def test_marks_leave_a_text_bounded(text):
    assert max(len(text_html(text, language=one)) for one in ("en", "zh")) < 8 * LIMIT


def test_a_cut_makes_no_sum_false():
    html = text_html("x" * 2_995 + "\n12+5=17\n" + "y" * 3_000, language="en")
    assert "not shown" in html and "<mark" not in html
    false = text_html("x" * 2_995 + "\n12+5=18\n" + "y" * 3_000, language="en")
    assert '<mark class="false">12+5</mark>' in false


def test_escaping_is_the_whole_text():
    assert text_html("<b>&\"'") == "&lt;b&gt;&amp;&#34;&#39;"
    assert text_html("先算 3 + 4") == "先算 3 + 4"
    assert text_html("<think>3</think>") == (
        '<span class="tag">&lt;think&gt;</span>3<span class="tag">&lt;/think&gt;</span>'
    )


def test_false_sums_turns_and_foreign_words_of_answers_are_marked_and_explained():
    text = "<think>12+5=18\n17-3=14, no\n先算17-8=9</think><answer>9</answer>"
    rows = completions().head(1).assign(text=text, prompt="12+5=18 错", language="en")
    page = str(show(rows.assign(false_check=True))._repr_html_())
    for kind, words in (("false", "12+5=18"), ("turn", "no"), ("foreign", "先算")):
        assert page.count(f'<mark class="{kind}">{words}</mark>') == 1
        assert page.count(f'<mark class="{kind}">{MEANS[kind]}</mark>') == 1
    assert "affirms what is false" in page and "runs on" not in page
    for unknown in (float("nan"), None, pd.NA):
        assert "affirms" not in show(rows.assign(false_check=unknown))._repr_html_()
    plain = rows.assign(text="<think>12+5=17</think><answer>17</answer> User: And 3+4?")
    page = str(show(plain)._repr_html_())
    assert "<mark" not in page and "Marked:" not in page
    assert "runs on after its answer" in page and "affirms" not in page


def test_long_text_is_bounded_and_says_how_much_is_missing():
    html = text_html("a" * 60_000 + "b" * 40_000)
    assert "… 96,000 of 100,000 characters are not shown here …" in html
    assert html.count("a") > 2_900 and html.count("b") > 900
    assert "not shown" not in text_html("a" * LIMIT)


def test_the_rule_chooses_the_first_of_each_cell():
    evaluations = {"base": evaluation(0.3), "r1_zero": evaluation(0.7)}
    beside = problems(chosen(evaluations))
    cells = [(p["base"].task, p["base"].language, p["base"].level) for p in beside]
    assert len(cells) == len(set(cells)) == 2 * 2 * 3
    assert {level for *_, level in cells} == {1, 3, 5}
    for problem in beside:
        assert {row["problem_id"] for row in problem.values()} == {problem["base"].problem_id}
        assert all(row["sample"] == 0 for row in problem.values())
        one = evaluations["base"]
        same = one[
            (one.task == problem["base"].task)
            & (one.language == problem["base"].language)
            & (one.level == problem["base"].level)
        ]
        assert problem["base"].problem_id == same.problem_id.min()


def test_the_same_problem_in_both_languages_is_two():
    both = evaluation(0.3)
    twice = both.assign(problem_id=both["problem_id"].str.replace(r"\d+", "same", regex=True))
    twice = twice.drop_duplicates(["problem_id", "language", "sample"])
    assert all(len(p["base"].shape) == 1 for p in problems(chosen({"base": twice})))


def test_problems_that_one_checkpoint_was_not_asked_are_left_out():
    one = evaluation(0.3)
    other = one[one["task"] == "arithmetic"]
    shared = problems(chosen({"base": one, "r1_zero": other}))
    assert {p["base"].task for p in shared} == {"arithmetic"}
    assert problems(chosen({})) == []


def test_samples_over_training_are_bounded():
    rows = completions()
    assert list(over_training(rows)["step"]) == [0, 10, 20, 50, 100]
    assert list(over_training(rows, most=3)["step"]) == [0, 20, 100]


def test_whole_groups_stand_with_their_rewards_and_advantages():
    rows = completions().head(3).assign(step=[10, 10, 20], reward=[0.0, 2.0, 1.0], correct=True)
    more = rows.tail(1).assign(reward=0.5, advantage=-0.1)
    rows = pd.concat([rows, more], ignore_index=True).assign(
        rest_of_group=[False, True, False, True]
    )
    page = str(groups(rows.assign(advantage=[-0.5, 1.25, 0.0, 0.0]))._repr_html_())
    assert page.index("reward 2.00, advantage +1.25") < page.index("reward 0.00, advantage −0.50")
    assert "2 of 2 right" in page and page.count("2 of 2 right") == 2
    assert page.count("<details") == 2 and page.count('<details class="r1t" open') == 1
    bare = rows.drop(columns="advantage")
    assert "advantage" not in groups(bare)._repr_html_()
    assert groups(rows.iloc[:0]) is groups(rows.drop(columns="rest_of_group")) is None
    assert "step 20" not in groups(rows, most=1)._repr_html_()


def test_notebooks_get_escaped_html():
    rows = completions().assign(text=HOSTILE["script"])
    html = show(rows.head(2))._repr_html_()
    assert "<script" not in html and "&lt;script&gt;" in html
    assert "R1-Zero" in side_by_side({"r1_zero": evaluation(0.7)}, most=2)._repr_html_()


def test_a_countdowns_gold_answer_is_a_solution_and_not_its_id():
    rows = completions().assign(task="countdown", answer="4,2,1=1")
    page = str(show(rows)._repr_html_())
    assert "A solution: <code>4-(2+1)</code>" in page and "4,2,1=1" not in page
    for answer in ("4,2=9", "100 numbers", "4,2,1=one"):  # no solution, or another task's answer
        page = str(show(rows.assign(answer=answer))._repr_html_())
        assert f"Gold answer: <code>{answer}</code>" in page
