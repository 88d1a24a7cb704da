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
        ("15-12=3，不对\n15-12=3, no\n5+8=13, 不对", 0),
        ("不对，15-12=3\nno, wrong: 15-12=3", 2),
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


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("苹果、香蕉、梨等等都是水果，共有三种。", 0),
        ("2、4、6等等，都是偶数。", 0),
        ("嗯等等，我算错了，重新计算。", 3),
        ("这个答案没有错误，检查完毕。", 1),
        ("不但要加，而且要乘。", 0),
        ("小明不过六岁，差不多和他一样高。", 0),
        ("不过三人，不过12人。", 0),
        ("不过，这样不行。", 1),
        ("错位相减法，错排问题，交错级数，三角板错开。", 0),
        ("通过重新排列，得到验证码的个数。", 0),
        ("图形不对称，没有误差，也不会出错。", 0),
        ("相等等价于相似。", 0),
        ("\\check{H} and \\error{but_not}", 0),
        ("WAIT—that's wrong. Let me re-check: but... However, verify.", 6),
        ("Hold on, hmm, actually let me reconsider and double check.", 1),
        ("The waiter checks butter; waiting and checkmate are no errors.", 0),
    ],
)
def test_words_that_only_look_like_reflection(text, count):
    assert reflection_count(text) == count
