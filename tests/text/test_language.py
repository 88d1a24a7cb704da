import math
import time

import pytest

from r1repro.text.language import is_mixed, language_of, language_share, words


@pytest.mark.parametrize(
    ("text", "english", "chinese"),
    [
        ("first add the two numbers", 1.0, 0.0),
        ("先算三加四", 0.0, 1.0),
        ("wait 等等", 1 / 3, 2 / 3),
        ("<think>先算 12 + 5 = 17</think>", 0.0, 1.0),  # tags and digits have no language
        ("因为 $x^2 + \\frac{a}{b}$ 很大", 0.0, 1.0),  # LaTeX has no language
        ("设 x 为答案", 0.0, 1.0),  # variable names have no language
        ("слово and word", 2 / 3, 0.0),  # a third script counts in the denominator
        ("costs $5 and then $6 more", 1.0, 0.0),
    ],
)
def test_share_of_each_language(text, english, chinese):
    assert language_share(text, "en") == pytest.approx(english)
    assert language_share(text, "zh") == pytest.approx(chinese)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is 3+4?", "en"),
        ("用3,5,7得到1。", "zh"),
        ("How do you say 你好 in English?", "en"),
        ("3 + 4 =", "en"),  # no words: English
    ],
)
def test_the_language_of_a_question(text, language):
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "12 + 5 = 17", "<think></think>", "\\boxed{7}", "x = 3"])
def test_no_words_have_no_share(text):
    assert math.isnan(language_share(text, "en"))
    assert not is_mixed(text)


def test_prose_between_two_prices_is_kept():
    assert words("costs $5 and then $6 more") == ["costs", "and", "then", "more"]


def test_mixed_means_both_languages_occur():
    assert is_mixed("先算 the sum")
    assert not is_mixed("先算三加四")
    assert not is_mixed("<think>先算</think>")


def test_unknown_language_is_named():
    with pytest.raises(ValueError, match="'de'; pass 'en' or 'zh'"):
        language_share("ja", "de")


@pytest.mark.parametrize("unit", ["<", "$a", "\\(", "\\[", "\ud800", "a", "但", "<a", "$ "])
def test_long_hostile_lines_take_no_time(unit):
    started = time.perf_counter()
    language_share(unit * 100_000, "en")
    assert time.perf_counter() - started < 10
