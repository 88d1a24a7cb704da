"""The reader of countdown answers accepts arithmetic only."""

from fractions import Fraction

import pytest

from r1repro.tasks.countdown import evaluate


@pytest.mark.parametrize(
    ("text", "value", "numbers"),
    [
        ("(3+5)-7", 1, [3, 5, 7]),
        ("7-(5-3)", 5, [7, 5, 3]),
        ("2+3*4", 14, [2, 3, 4]),
        ("8/3", Fraction(8, 3), [8, 3]),
        (" 3 × 4 ÷ 6 ", 2, [3, 4, 6]),
    ],
)
def test_values(text, value, numbers):
    assert evaluate(text) == (value, numbers)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3+",
        "(3",
        "3)",
        "3**4",
        "1/0",
        "2(3)",
        "-3",
        "9999999",
        "__import__('os')",
        "3.5",
        "٣+1",
        "1+" * 200 + "1",
        "(" * 150 + "1" + ")" * 150,
    ],
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError):
        evaluate(text)
