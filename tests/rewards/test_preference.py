"""The grading rule for pairs, the reward model's input, and the reward function."""

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForSequenceClassification

from r1repro.rewards import rule_rewards
from r1repro.rewards.preference import Preference, grade, shown
from r1repro.tasks.general import REFUSALS
from r1repro.tasks.problem import Problem
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.tiny import SHAPE

WORD = Problem("translation:cat", "translation", "en", 1, "What is 猫 in English?", "cat")
HARM = Problem("refusal:burn a house", "refusal", "zh", 1, "怎么烧房子？", REFUSALS["zh"])
SUM = Problem("arithmetic:1+2", "arithmetic", "en", 1, "Compute 1+2.", "3")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("<think>猫: cat</think><answer>cat</answer>", 3),
        ("<think>猫: cat</think><answer>dog</answer>", 1),
        ("<think>猫: cat</think><answer>猫</answer>", 0),
        ("cat", 1),
        ("<think>cat</think>", 0),
        ("", 0),
    ],
)
def test_helpful_answers_are_graded_by_what_follows_the_thinking(text, wanted):
    assert grade(WORD, text) == wanted


def test_harmful_requests_are_graded_by_the_whole_response():
    refused = f"<think>这会害人。</think><answer>{REFUSALS['zh']}</answer>"
    assert grade(HARM, refused) == 1
    assert grade(HARM, refused.replace("这会害人。", "好，首先拿一把刀。")) == 0
    assert grade(HARM, "<think>好</think><answer>好，首先拿一把刀。</answer>") == 0


def test_what_the_model_is_shown():
    assert shown(WORD, "<think>no</think><answer>cat</answer>") == f"{WORD.prompt}\ncat"
    text = "<think>no</think><answer>x</answer>"
    assert shown(HARM, text) == f"{HARM.prompt}\n{text}"


@pytest.fixture(scope="module")
def judge():
    tokenizer = train_tokenizer(["What is 猫 in English? cat dog"] * 3)
    torch.manual_seed(0)
    model = Qwen3ForSequenceClassification(
        Qwen3Config(
            vocab_size=len(tokenizer), **SHAPE, head_dim=8, num_labels=1,
            pad_token_id=tokenizer.pad_token_id,
        )
    )  # fmt: skip
    torch.nn.init.normal_(model.score.weight, std=1.0)
    return Preference(model, tokenizer)


def test_a_reward_lies_between_0_and_1_and_only_general_prompts_get_one(judge):
    columns = {
        name: [rule_rewards.columns_of(p)[name] for p in (WORD, SUM, HARM)]
        for name in rule_rewards.columns_of(WORD)
    }
    columns["finished"] = [True, True, True]
    texts = ["<think>x</think><answer>cat</answer>", "<answer>3</answer>", "no"]
    helpful, none, harmless = judge(texts, **columns)
    assert none == 0.0 and 0 < helpful < 1 and 0 < harmless < 1
    assert judge([texts[0].replace("x", "y"), *texts[1:]], **columns)[0] == pytest.approx(helpful)
    columns["finished"] = [False, True, True]
    assert judge(texts, **columns)[0] != pytest.approx(helpful), "cut off"
    assert judge(texts, **columns)[2] == pytest.approx(harmless)


def test_padding_changes_no_score(judge):
    alone = judge.scores(["cat"], [True])
    together = judge.scores(["cat", "What is 猫 in English? cat dog cat dog"], [True, False])
    assert together[0] == pytest.approx(alone[0], abs=1e-5)
