import pytest

from r1repro.text.repetition import repetition


def test_nothing_repeated():
    assert repetition("one two three four five six") == 0.0
    assert repetition("") == 0.0
    assert repetition("wait wait wait") == 0.0  # shorter than one 4-gram


def test_known_share():
    # eight pieces make five 4-grams, the last equal to the first
    assert repetition("a b c d a b c d") == pytest.approx(1 / 5)


@pytest.mark.parametrize("unit", ["3 + 4 = 7, ", "再算一遍，", "wait but "])
def test_loops_in_numbers_chinese_and_english(unit):
    assert repetition(unit * 50) > 0.9
