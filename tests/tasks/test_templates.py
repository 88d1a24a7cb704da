"""Prompt templates render the question in the format of its language."""

import pytest

from r1repro.config import compose
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.rewards import rule_rewards
from r1repro.stages.sft import token_ids
from r1repro.tasks import mini_world, templates
from r1repro.tasks.problem import Problem
from r1repro.text.tags import read
from tests.laptop import laptop
from tests.tiny import FAMILIES, tokenizer_of


def asked(language: str, prompt: str) -> Problem:
    return Problem("x:1", "arithmetic", language, 1, prompt, "7")


@pytest.mark.parametrize(
    ("language", "prompt", "end"),
    [
        ("en", "Compute 3+4.", " User: Compute 3+4. Assistant:"),
        ("en", "What is 3+4?", " User: What is 3+4? Assistant:"),
        ("en", "Hello!", " User: Hello! Assistant:"),
        ("en", "Compute 3+4", " User: Compute 3+4. Assistant:"),
        ("zh", "计算3+4。", "。用户：计算3+4。助手："),
        ("zh", "3+4等于多少？", "。用户：3+4等于多少？助手："),
        ("zh", "你好！", "。用户：你好！助手："),
        ("zh", "计算3+4", "。用户：计算3+4。助手："),
    ],
)
def test_the_papers_form_ends_a_question_with_one_mark(language, prompt, end):
    assert templates.render("r1_zero", asked(language, prompt)).endswith(end)


def test_every_prompt_stands_as_asked_and_no_mark_is_doubled():
    world = mini_world.build(0, 200, 1000)
    for problem in (*world.test, *world.general_test):
        for name in templates.names():
            text = templates.render(name, problem)
            assert problem.prompt in text and "{" not in text
            assert not any(a + b in text for a in templates.STOPS for b in templates.STOPS)


@pytest.fixture(params=FAMILIES)
def family(request):
    special, _, opening = FAMILIES[request.param]
    return request.param, tokenizer_of(request.param), special, opening


SAID = "<think>First 3+4=7, wait, yes.</think>It is 7.<answer>7</answer>"


def test_prompt_begun_tag_reward_and_loss_mask_agree_in_every_family(family):
    name, tokenizer, special, opening = family
    problem = Problem("x:1", "own", "en", 1, "What is 3+4?", "7")
    prompt = templates.render(name, problem)
    ids = tokenizer.encode(prompt)
    # Each special token is a single token, with one beginning-of-sequence token.
    for token in special:
        expected = prompt.count(token) + (token == opening)
        assert ids.count(tokenizer.convert_tokens_to_ids(token)) == expected
    assert prompt.endswith("<think>\n") and templates.begun(prompt) == "<think>\n"

    asked, learned = token_ids(tokenizer, prompt, SAID)
    assert asked == ids
    assert learned[-1] == tokenizer.eos_token_id
    text = tokenizer.decode(learned[:-1])
    # The think tag occurs once, in the prompt, and is not trained on; everything else is.
    assert text == SAID.removeprefix("<think>")
    whole = tokenizer.decode([*asked, *learned])
    assert whole.count("<think>") == 1 and prompt + text in whole

    # A completion is rewarded as if it contained the opening tag itself.
    said = templates.begun(prompt) + text
    assert read(said).format_valid and read(said).answer == "7"
    assert rule_rewards.format([said]) == [1.0]
    columns = {key: [value] for key, value in rule_rewards.columns_of(problem).items()}
    assert rule_rewards.accuracy([said], **columns) == [1.0]
    assert not read(text).format_valid


def test_a_form_that_begins_nothing_leaves_the_tag_to_the_completion():
    problem = Problem("x:1", "own", "en", 1, "What is 3+4?", "7")
    for name in ("mini", "r1_zero"):
        assert templates.begun(templates.render(name, problem)) == ""


@pytest.mark.parametrize(
    ("checkpoint", "form"),
    [
        ("base", "r1_zero"), ("r1_zero", "r1_zero"), ("r1_zero_permuted", "r1_zero"),
        ("dev1", "qwen"), ("dev2", "qwen"), ("dev3_reasoning_only", "qwen"), ("r1", "qwen"),
        ("qwen_base", "r1_zero"), ("qwen_rl", "r1_zero"), ("qwen_distilled", "qwen"),
        ("llama_distilled", "llama"), ("llama_rl_plateau", "r1_zero"),
        ("r1_zero_few_shot", "r1_zero"), ("r1_few_shot", "qwen"), ("r1_greedy", "qwen"),
        ("small_base", "r1_zero"),
        ("base_rft", "r1_zero"), ("qwen_rl_equal_flops", "r1_zero"),
        ("llama_distilled_rl", "llama"), ("llama_rl", "r1_zero"),
    ],
)  # fmt: skip
def test_the_form_that_each_checkpoint_is_asked_in(checkpoint, form):
    there = compose(["scale=gpu", "model=qwen2.5-1.5b"])
    assert checkpoints.form(there, checkpoint) == form
    assert checkpoints.form(laptop(), checkpoint) == "mini"


def test_unknown_template_names_those_there_are():
    with pytest.raises(
        R1ReproError,
        match="'paper' in language 'en'; use one of deepseek, llama, mini, qwen, r1_zero",
    ):
        templates.render("paper", asked("en", "Compute 3+4."))
