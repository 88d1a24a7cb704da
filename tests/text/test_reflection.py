import pytest

from r1repro.text.reflection import REFLECTION_WORDS, reflection_count, reflection_words


def test_the_papers_ten_words():
    assert list(REFLECTION_WORDS) == [
        "wait", "mistake", "however", "but", "retry",
        "error", "verify", "wrong", "evaluate", "check",
    ]  # fmt: skip
    assert reflection_count(" ".join(REFLECTION_WORDS)) == 10
    assert all(reflection_count(zh) == 1 for group in REFLECTION_WORDS.values() for zh in group)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Wait, that is WRONG.", 2),
        ("butter, checks, waiting, errors", 0),  # whole words only
        ("等等，不对，重新算", 3),
        ("但是", 1),  # counts once, not as 但是 and 但
        ("wait等等", 2),  # no space between the languages
        ("错，3", 1),
        ("没错，不错", 0),  # 没错 "right", 不错 "not bad"
        ("3 + 4 = 7", 0),
        ("", 0),
    ],
)
def test_counts(text, count):
    assert reflection_count(text) == count


def test_chinese_words_are_counted_under_the_english_one():
    assert reflection_words("Wait 等等, check 检查") == {"wait": 2, "check": 2}
