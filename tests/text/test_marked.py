"""What is marked in a transcript."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1repro.text.marked import MEANS, marks


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("<think>12+5=17\n17-8=9</think><answer>9</answer>", "en", []),
        ("<think>12+5=18\n17-8=9</think>", "en", [("12+5=18", "false")]),
        ("3+4=8<answer>8</answer>", "en", [("3+4=8", "false")]),
        (
            "12+5=18, wait, 12+5=17",
            "en",
            [("12+5=18, ", "false"), ("wait", "turn"), (", 12+5=17", "false")],
        ),
        ("17-3=14，不对\n17-8=9", "zh", [("不对", "turn")]),
        ("17-3=14，不对\n17-8=9", "en", [("不对", "turn")]),
        ("先算 first 12+5=17", "zh", [("first", "foreign")]),
        ("so the sum is 17\nthen 3", "zh", [("so the sum is", "foreign"), ("then", "foreign")]),
        ("长3 cm，then \\frac{1}{2} 得 12", "zh", [("then", "foreign")]),
        ("先first算 and", "zh", [("first算 and", "foreign")]),
        ("先算12+5=17 then", "en", [("先算", "foreign")]),
        ("<think>先算x+5=17</think>", "zh", []),
        ("then 12+5=17", "fr", []),
    ],
)
def test_by_hand(text, language, expected):
    assert [(text[m.start : m.end], m.kind) for m in marks(text, language)] == expected


@given(st.text("0123456789+-=<>/thinkawer 不对\n", max_size=300), st.sampled_from(("en", "zh")))
def test_marks_are_in_order_and_apart(text, language):
    found, at = marks(text, language), 0
    for one in found:
        assert at <= one.start < one.end <= len(text) and one.kind in MEANS
        at = one.end


def test_a_line_of_a_quarter_million_characters():
    found = marks("1+1=3, wait " * 20_000, "en")
    assert sum(one.kind == "turn" for one in found) == 20_000
