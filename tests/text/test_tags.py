"""Think and answer tags, and answers without tags."""

import time

import pytest

from r1repro.text.tags import after_thinking, final_answer, read

WHOLE = "<think>1+2=3</think><answer>3</answer>"


def test_whole_shape():
    reading = read(WHOLE)
    assert (reading.think, reading.answer, reading.format_valid) == ("1+2=3", "3", True)


@pytest.mark.parametrize(
    "text",
    [
        "<think></think><answer>3</answer>",
        "<think> \n</think><answer>3</answer>",
        "<think>x</think><answer></answer>",
        "<think>x</think>3",
        "<answer>3</answer>",
        "x<think>x</think><answer>3</answer>",
        "<think>x</think><answer>3</answer>x",
        "<think><think>x</think><answer>3</answer>",
        "<think>x</think></think><answer>3</answer>",
        "<think>x</think><answer>3</answer><answer>4</answer>",
        "<think>x<answer>3</answer></think>",
        "<answer>3</answer><think>x</think>",
        "<think>x</think><answer>3",
        "",
    ],
)
def test_any_other_shape_is_invalid(text):
    assert not read(text).format_valid


def test_a_summary_may_stand_before_the_answer():
    reading = read("<think>1+2=3</think> So 1+2=3. <answer>3</answer>")
    assert reading.format_valid and reading.answer == "3"


def test_what_a_reader_gets_is_what_follows_the_thinking():
    assert after_thinking("<think>secret</think>So 3. <answer>3</answer>") == "So 3.  3"
    assert after_thinking("no tags at all") == "no tags at all"
    assert after_thinking("<think>a</think>b</think>c") == "c"


def test_answer_inside_the_thinking_is_no_answer():
    assert read("<think>x<answer>3</answer></think>").answer is None


def test_two_answers_are_no_answer():
    assert read("<think>x</think><answer>3</answer><answer>4</answer>").answer is None


def test_blanks_and_lines_between_the_tags_are_allowed():
    assert read(" <think>\nx\n</think>\n<answer> 3 </answer>\n").answer == "3"
    assert read(" <think>\nx\n</think>\n<answer> 3 </answer>\n").format_valid


@pytest.mark.parametrize(
    ("text", "kind", "answer"),
    [
        (WHOLE, "number", "3"),
        ("1+2=3\n3+4=7\nThe answer is 7", "number", "7"),
        ("答案是17", "number", "17"),
        ("1+2=3\n3+4=7", "number", "7"),
        ("nothing here", "number", None),
        ("3+5=8\n8-7=1\nyes\nThe answer is (3+5)-7", "expression", "(3+5)-7"),
        ("3+5=8\n8-7=1\n(3+5)-7", "expression", "(3+5)-7"),
        ("答案是7-(5-3)", "expression", "7-(5-3)"),
        ("17", "expression", None),
        ("", "number", None),
        ("<think>x</think>The answer is 12.", "number", "12"),
        ("The answer is 36 or 37", "number", None),
        ("答案是36或37", "number", None),
        ("4+5=9\neither 9 or 8", "number", None),
        ("3-2 or 4-3", "expression", None),
        ("is it 8 or 9?\n4+5=9", "number", "9"),
    ],
)
def test_last_stated_answer(text, kind, answer):
    assert final_answer(text, kind) == answer


def test_the_tag_wins_over_what_is_stated_elsewhere():
    assert final_answer("<think>The answer is 4</think><answer>3</answer>") == "3"


@pytest.mark.parametrize(
    ("text", "number", "expression"),
    [
        ("(1" * 33_000 + "+" * 33_000, "1", None),
        ("9" * 100_000, "9" * 100_000, None),
        ("(1+" * 33_000, "1", ("(1+" * 33_000)[:-1]),
        ("answer is " * 10_000, None, None),
        ("answer is\n" * 10_000, None, None),
        ("answer is" + "\n" * 100_000, None, None),
        ("<think>1" + "</think><answer>" * 6_250, "1", None),
        ("<think>1" + " " * 100_000 + "</think>" + " " * 100_000 + "2", "2", None),
        ("-" * 50_000 + ")" * 50_000, None, None),
    ],
)
def test_a_long_hostile_line_is_read_quickly(text, number, expression):
    began = time.process_time()
    found = final_answer(text), final_answer(text, "expression"), read(text)
    assert time.process_time() - began < 1
    assert found[:2] == (number, expression)
    assert found[2].answer is None and not found[2].format_valid


@pytest.mark.parametrize(
    ("text", "expression"),
    [
        (")+3-4 then 5", "3-4"),
        (")3+4)", "3+4)"),
        (")3 or 4+", None),
        ("1-2-", "1-2"),
        ("1+2=3, (4 - 5)", "1+2"),
        ("so (3+5)-7=1", "(3+5)-7"),
    ],
)
def test_where_an_expression_starts_and_ends(text, expression):
    assert final_answer(text, "expression") == expression
