"""Which responses a reader can follow."""

import json

import pytest

from r1repro.config import ROOT
from r1repro.text.display import parts
from r1repro.text.readability import LONGEST_LINE, OFTENEST_LINE, is_readable

DATA = ROOT / "tests" / "data"


def response(thinking, answer="8"):
    return f"<think>{thinking}</think><answer>{answer}</answer>"


def test_an_ordinary_answer_of_gsm8k_is_readable():
    lines = (DATA / "gsm8k_train.jsonl").read_text("utf-8").split("\n")
    answers = [json.loads(line)["answer"].split("\n#### ") for line in lines if line]
    assert any(len(line) > 80 for work, _ in answers for line in work.split("\n"))
    assert all(is_readable(response(*answer), "en") for answer in answers)


def test_display_mathematics_is_no_line():
    shown = "Then\n\\[\nx = 3\n\\]\nso again\n\\[\nx = 3\n\\]\nand once more\n\\[\nx = 3\n\\]\ndone"
    assert is_readable(response(shown), "en")
    assert is_readable(response(f"We get\n$$\n{'x + ' * LONGEST_LINE}x\n$$\nas wanted"), "en")


@pytest.mark.parametrize(
    "thinking",
    [
        "x" * (LONGEST_LINE + 1),
        "so 5+7=12\n" * (OFTENEST_LINE + 1),
        "so 5+7=12\n所以12-4=8",
        "",
        "$$\n" + "so 5+7=12\n" * (OFTENEST_LINE + 1),  # never closed
    ],
)
def test_what_nobody_can_follow(thinking):
    assert not is_readable(response(thinking), "en")


def test_a_block_goes_from_the_line_that_opens_it_to_the_one_that_closes_it():
    text = "We have\n\\[\na = 1\n\n\\begin{pmatrix} 1 \\\\ 1 \\end{pmatrix}\n\\]\n"
    text += "or \\[b\\] so\n```\nx = 1\n```"
    found = parts(text)
    assert [block for _, block in found] == [False, True, False, True]
    assert found[1][0] == "\\[\na = 1\n\\begin{pmatrix} 1 \\\\ 1 \\end{pmatrix}\n\\]"
    assert parts("\\begin{a}\n\\begin{b}\n\\end{b}\nx\n\\end{a}\ny") == [
        ("\\begin{a}\n\\begin{b}\n\\end{b}\nx\n\\end{a}", True), ("y", False)
    ]  # fmt: skip
