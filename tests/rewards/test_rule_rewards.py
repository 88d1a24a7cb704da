"""For each family, completions from nonsense to right, with their expected rewards."""

from types import SimpleNamespace

import pytest

from r1repro.config import RLConfig
from r1repro.rewards import rule_rewards
from r1repro.rewards.correctness import is_correct, is_strictly_correct
from r1repro.tasks.problem import GENERAL, Problem
from r1repro.training import rl
from tests.laptop import laptop

CHAIN = Problem("arithmetic:53+7-8", "arithmetic", "en", 2, "Compute 53+7-8.", "52")
SEARCH = Problem("countdown:3,5,7=1", "countdown", "zh", 1, "用3,5,7得到1。", "3,5,7=1")
WORD = Problem("translation:cat", "translation", "en", 1, "What is 猫 in English?", "cat")

# problem, completion, strict accuracy (tags required), format reward, accuracy reward
LADDER = [
    (CHAIN, "", 0, 0, 0),
    (CHAIN, "banana 猫 <<<", 0, 0, 0),
    (CHAIN, "<think></think><answer>52</answer>", 1, 0, 1),
    (CHAIN, "<think>53+7=60<answer>52</answer></think>", 0, 0, 1),
    (CHAIN, "<think>x</think><answer>52</answer><answer>52</answer>", 0, 0, 1),
    (CHAIN, "53+7=60\n60-8=52\nThe answer is 52", 0, 0, 1),
    (CHAIN, "53+7=60\n60-8=52\n答案是52", 0, 0, 1),
    (CHAIN, "The answer is -52", 0, 0, 0),
    (CHAIN, "60-52", 0, 0, 1),
    (CHAIN, "<think>53+7=60</think><answer>51</answer>", 0, 1, 0),
    (CHAIN, "<think>53+7=60</think><answer>052.</answer>", 1, 1, 1),
    (CHAIN, f"<think>53+7=60</think><answer>{'0' * 18}52</answer>", 1, 1, 1),
    (CHAIN, f"<think>53+7=60</think><answer>{'0' * 18}52999</answer>", 0, 1, 0),
    (CHAIN, f"<think>53+7=60</think><answer>52{'0' * 9_000}</answer>", 0, 1, 0),
    (CHAIN, "<think>53+7=60</think><answer>五十二</answer>", 0, 1, 0),
    (CHAIN, "<think>53+7=60</think><answer>52 or 51</answer>", 0, 1, 0),
    (CHAIN, "<think>首先53+7=60</think><answer>52</answer>", 1, 1, 1),
    (CHAIN, "<think>53+7=60\n60-8=52</think><answer>52</answer>", 1, 1, 1),
    (SEARCH, "3+5=8\n8-7=1\nyes", 0, 0, 0),
    (SEARCH, "3+5=8\n8-7=1\n(3+5)-7", 0, 0, 1),
    (SEARCH, "<think>x</think><answer>1</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>3+5-7=2</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>(3+3)-5</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>8-7</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>3+5-7+0</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>__import__('os')</answer>", 0, 1, 0),
    (SEARCH, "<think>x</think><answer>(3+5)-7=1</answer>", 1, 1, 1),
    (SEARCH, "<think>3+5=8\n8-7=1\n对</think><answer>(3+5)-7</answer>", 1, 1, 1),
    (WORD, "dog", 0, 0, 0),
    (WORD, "猫", 0, 0, 0),
    (WORD, "cat", 0, 0, 1),
    (WORD, "<think>so</think><answer>Cat.</answer>", 1, 1, 1),
]


@pytest.mark.parametrize(("problem", "text", "strict", "shape", "accuracy"), LADDER)
def test_ladder(problem, text, strict, shape, accuracy):
    columns = {name: [value] for name, value in rule_rewards.columns_of(problem).items()}
    # No rule rewards a general answer.
    paid = accuracy if problem.task not in GENERAL else 0
    assert rule_rewards.accuracy([text], **columns) == [paid]
    assert rule_rewards.format([text], **columns) == [shape]
    assert is_correct(problem, text) is bool(accuracy)
    assert is_strictly_correct(problem, text) is bool(strict)


@pytest.mark.parametrize(("problem", "text", "strict", "shape", "paid"), LADDER)
def test_what_is_paid_in_the_tag_and_for_the_format_of_right_answers(
    problem, text, strict, shape, paid
):
    columns = {key: [value] for key, value in rule_rewards.columns_of(problem).items()}
    general = problem.task in GENERAL
    assert rule_rewards.accuracy_in_tag([text], **columns) == [0.0 if general else float(strict)]
    wanted = float(shape) if general else float(strict and shape)
    assert rule_rewards.format_of_right([text], **columns) == [wanted]


def test_the_setting_chooses_the_rules():
    right, equal = laptop(RLConfig), laptop(RLConfig, format_of_right=False)
    assert rl.rule_of("accuracy", right) is rule_rewards.accuracy_in_tag
    assert rl.rule_of("format", right) is rule_rewards.format_of_right
    assert rl.rule_of("accuracy", equal) is rule_rewards.accuracy
    assert rl.rule_of("format", equal) is rule_rewards.format
    assert rl.rule_of("language", right) is rule_rewards.language


def test_columns_carry_a_problem_there_and_back():
    columns = {k: [v, v] for k, v in rule_rewards.columns_of(SEARCH).items()}
    assert rule_rewards.problems_of(columns) == [SEARCH, SEARCH]


@pytest.mark.parametrize(
    ("language", "text", "share"),
    [
        ("en", "<think>then 3+4=7\nso 7-1=6</think><answer>6</answer>", 1.0),
        ("zh", "<think>then 3+4=7\nso 7-1=6</think><answer>6</answer>", 0.0),
        ("zh", "<think>然后3+4=7</think>so<answer>6</answer>", 1.0),  # only the thinking counts
        ("zh", "<think>然3+4=7 no</think><answer>6</answer>", 0.5),
        ("zh", "<think>3+4=7\n7-1=6</think><answer>6</answer>", 1.0),  # bare equations
        ("en", "wait, 等 52", 0.5),  # no thinking is marked: the whole text
        ("en", "", 1.0),
    ],
)
def test_language_reward_is_the_share_of_words(language, text, share):
    assert rule_rewards.language([text], language=[language]) == [share]


def test_overlong_punishment_by_hand():
    """A cap of 40: nothing up to 32 tokens, a half at 36, all of it at the cap and beyond."""
    found = [rule_rewards.overlong_punishment(tokens, 40) for tokens in (0, 32, 34, 36, 40, 60)]
    assert found == pytest.approx([0, 0, -0.25, -0.5, -1, -1])
    tall = rule_rewards.overlong_punishment(16_384 + 1_024, 20_480)
    assert tall == pytest.approx(-0.25), "DAPO's own numbers"


def test_the_overlong_punishment_follows_the_cap():
    settings = laptop(RLConfig, raised_at=5, raised_cap=512, overlong_weight=0.5)
    assert "overlong" not in rl.weights(laptop(RLConfig))
    assert rl.weights(settings)["overlong"] == 0.5
    rule, ids = rl.rule_of("overlong", settings), [[1] * 100, [1] * 256]
    for step, paid in ((4, [0, -1]), (5, [0, 0])):
        state, near = SimpleNamespace(global_step=step), pytest.approx(paid)
        assert rule(["", ""], completion_ids=ids, trainer_state=state, gold=["", ""]) == near
