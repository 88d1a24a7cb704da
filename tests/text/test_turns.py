"""The end of a completion's own turn."""

import json
import time

import pytest

from r1repro.config import ROOT
from r1repro.text.escapes import mended
from r1repro.text.tags import boxed, final_answer, marked_answer, math_answer, read
from r1repro.text.turns import first_turn, runs_on

FILES = ROOT / "tests" / "data" / "files"
DONE = "<think>6+6</think><answer>12</answer>"


@pytest.mark.parametrize(
    "after",
    [
        ". User: What is 5+5? Assistant: <think>5+5</think><answer>10</answer>",
        "\nUser: 5+5? Assistant: <answer>10</answer>",
        "\n\n用户：5+5？<answer>10</answer>",
        "\n\nHuman: 5+5?\n\nAssistant: \\boxed{10}",
        "\nQuestion: 5+5?\n<answer>10</answer>",
        "<|im_end|>\n<|im_start|>user\n5+5?<|im_end|><answer>10</answer>",
        "<｜end▁of▁sentence｜><｜User｜>5+5?<answer>10</answer>",
        "</s> and <answer>10</answer>",
    ],
)
def test_an_invented_turn_is_cut_and_its_format_is_not_paid(after):
    assert first_turn(DONE + after).startswith(DONE) and runs_on(DONE + after)
    assert marked_answer(DONE + after) == read(DONE + after).answer == "12"
    assert not read(DONE + after).format_valid


@pytest.mark.parametrize(
    "text",
    [
        DONE, f"{DONE}\n", "First \\boxed{10}? No: \\boxed{12}.",
        "Question: 6+6?\nIt is \\boxed{12}.",
        "<think>\nUser: asks\nthe answer is\nUser: 12</think><answer>12</answer>",
        "<think>the answer is 12\nQuestion: is it?", "Problem: 5<6\nSo 12.", "", "<answer>",
        "x </s", "a<b and c>d",
    ],
)  # fmt: skip
def test_what_does_not_run_on_stays_as_it_is(text):
    assert first_turn(text) == text and not runs_on(text)


@pytest.mark.parametrize(
    "text",
    [
        " 20 + 35 = 55\n\nUser: 20 + 35 = 65\n\nTom has 65 pencils now.",
        " 20+35=55. The answer is 55. User: How many are left? The answer is 65.",
        "共有 55\n用户：还剩多少？65",
        "答案是55。用户：还剩多少？答案是65",
        "20+35=55\nUser: 3+4?\nAssistant: The answer is 7",
    ],
)
def test_the_speaker_of_the_template_ends_an_answer_without_marks(text):
    assert runs_on(text) and math_answer(text) == "55"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>x</think>\nThe log of 3 lines reads:\nUser: 5\nso <answer>10</answer>", "10"),
        ("The names are\nUser: Bob\nThe answer is 12", "12"),
        ("<think>They ask 3 things:\nUser: 4\nAssistant: 5", None),
    ],
)
def test_a_quoted_speaker_ends_no_answer(text, answer):
    assert not runs_on(text) and math_answer(text) == answer


def test_an_end_token_is_no_text():
    lines = (FILES / "format" / "input.jsonl").read_text("utf-8").split("\n")
    texts = [json.loads(line)["completion"] for line in lines if line]
    valid = [number for number, text in enumerate(texts, 1) if read(text).format_valid]
    assert valid == [1, 2, 3, 4, 5, 11, 16], "a summary may stand before the answer tag"
    assert (
        not any(map(runs_on, texts[:5])) and marked_answer("<answer>12<|im_end|></answer>") == "12"
    )


def test_the_marks_of_an_answer():
    assert marked_answer("2+40=42\n#### 42\nThe reasoning above confirms it.") == "42"
    assert boxed(r"so $\boxed4$") == "4" and boxed(r"\bbox[5px]{41}") == "41"
    assert (
        boxed(r"\boxed \pi") == r"\pi" and boxed(r"\boxed{41") is None and boxed(r"\boxed") is None
    )
    assert final_answer("The answer is 12.\nUser: 5+5? The answer is 10.") == "12"


def test_lost_backslashes():
    assert mended("\x0crac{1}{2}\times \boxed{\text{7}}") == r"\frac{1}{2}\times \boxed{\text{7}}"
    assert mended("7\nequal\tto\tit\n") == "7\nequal\tto\tit\n", "line ends and tabs of a text"


def test_hostile_text_takes_linear_time():
    began = time.monotonic()
    for piece in ("\n User:", "<|im_end|>", "</answer>", r"\boxed{", "<think>", "</s>", " <", "\n"):
        text = piece * (200_000 // len(piece))
        for one in (text, text + "x>", text + "</answer>"):
            assert len(first_turn(one)) <= len(one)
            marked_answer(one), read(one)
    assert time.monotonic() - began < 20
