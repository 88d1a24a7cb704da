"""Which pairs the preference reward model learns from."""

from r1repro.stages.reward_model import pick
from r1repro.tasks.problem import Problem

WORD = Problem("translation:cat", "translation", "en", 1, "What is 猫 in English?", "cat")


def test_the_pair_is_the_most_alike_in_what_is_shown():
    short = "<think>猫: cat</think><answer>cat</answer>"
    wordy = f"<think>{'猫: cat ' * 20}</think><answer>cat</answer>"
    near, far = f"<think>{'狗 ' * 90}</think><answer>dog</answer>", "<answer>big old horse</answer>"
    # The thinking is not shown, so it makes no pair unlike.
    pair = pick(WORD, {short: 3.0, wordy: 3.0, near: 1.0, far: 1.0})
    assert pair == ("What is 猫 in English?\ncat", "What is 猫 in English?\ndog")


def test_no_pair_without_a_difference():
    right = "<think>猫: cat</think><answer>cat</answer>"
    assert pick(WORD, {right: 3.0, "<answer>cat</answer>": 3.0}) is None
    # The same answer without its tag is graded lower, and shown alike.
    assert pick(WORD, {right: 3.0, "<think>x</think>cat": 1.0}) is None
    assert pick(WORD, {}) is None
