"""Prompts, tags, ends and loss masks on real tokenizers."""

import pytest

from r1repro.rewards import rule_rewards
from r1repro.stages.sft import token_ids
from r1repro.tasks import mini_world, templates
from r1repro.tasks.problem import Problem
from r1repro.text.tags import TAGS, read

pytestmark = pytest.mark.real

SAID = "<think>First 3+4=7, wait, yes.</think>It is 7.<answer>7</answer>"
TEXTS = [
    "Compute 53+7-8.  Two  blanks,\n\n\tand a tab.",
    "等等，3+5=8，不对。用户：用3,5,7得到1。",
    "1234567 -12 3.14 1,000 x2y",
    " leading space",
    "Schwarzwälder Kirschtorte 🍰 القطة",
    SAID,
]
OWN = {
    # What each model's own tokenizer gives, by the ids in its vocabulary.
    "smollm2": {" 1234": ["Ġ", "1", "2", "3", "4"], "a  7": ["a", "ĠĠ", "7"]},
    "qwen": {" 1234": ["Ġ", "1", "2", "3", "4"], "a  7": ["a", "Ġ", "Ġ", "7"]},
}


def asked(prompt="What is 3+4?"):
    return Problem("x:1", "own", "en", 1, prompt, "7")


def test_text_goes_in_and_comes_out(real):
    for text in TEXTS:
        assert real.tokenizer.decode(real.tokenizer.encode(text)) == text


def test_numbers_and_blanks_are_split_as_the_model_learned(real):
    for text, tokens in OWN[real.name].items():
        assert real.tokenizer.convert_ids_to_tokens(real.tokenizer.encode(text)) == tokens


def test_the_end_is_that_of_a_turn_and_nothing_opens_a_text(real):
    tokenizer = real.tokenizer
    assert tokenizer.eos_token == "<|im_end|>"
    assert tokenizer.encode("a") == tokenizer.encode("a", add_special_tokens=False)
    (end,) = tokenizer.encode("<|im_end|>")
    assert end == tokenizer.eos_token_id
    assert tokenizer.decode([*tokenizer.encode("a"), end], skip_special_tokens=True) == "a"


def test_tags_are_several_tokens_that_survive(real):
    tokenizer = real.tokenizer
    for tag in TAGS:
        ids = tokenizer.encode(tag)
        assert len(ids) > 1
        assert tokenizer.decode(ids, skip_special_tokens=True) == tag


@pytest.mark.parametrize("template", ["r1_zero", "qwen"])
def test_prompt_and_completion_are_tokens_of_their_text(real, template):
    tokenizer = real.tokenizer
    prompt = templates.render(template, asked())
    ids, learned = token_ids(tokenizer, prompt, SAID)
    assert tokenizer.decode(ids) == prompt
    for token in ("<|im_start|>", "<|im_end|>"):
        assert ids.count(tokenizer.convert_tokens_to_ids(token)) == prompt.count(token)
    begun = templates.begun(prompt)
    text = SAID.removeprefix(begun.strip())
    assert learned == [*tokenizer.encode(text), tokenizer.eos_token_id]
    assert learned.count(tokenizer.eos_token_id) == 1
    said = begun + tokenizer.decode(learned, skip_special_tokens=True)
    assert read(said).format_valid and read(said).answer == "7"
    columns = {key: [value] for key, value in rule_rewards.columns_of(asked()).items()}
    assert rule_rewards.format([said]) == rule_rewards.accuracy([said], **columns) == [1.0]


def test_questions_of_the_mini_world_survive_every_template(real):
    for problem in mini_world.build(0, 20, 20).test:
        for name in ("r1_zero", "qwen", "mini"):
            prompt = templates.render(name, problem)
            assert real.tokenizer.decode(real.tokenizer.encode(prompt)) == prompt


def test_our_chat_form_is_the_models_own_without_its_system_prompt(real):
    """R1 is asked without a system prompt (R1 v2, D.1), and its thinking is opened."""
    (turn,) = ({"role": "user", "content": asked().prompt},)
    own = real.tokenizer.apply_chat_template([turn], tokenize=False, add_generation_prompt=True)
    ours = templates.render("qwen", asked())
    assert own.startswith("<|im_start|>system\nYou are ")
    system = own[: own.index("<|im_end|>\n") + len("<|im_end|>\n")]
    assert ours == own.removeprefix(system) + "<think>\n"
