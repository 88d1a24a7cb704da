"""The base as an ordinary Hugging Face folder."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from r1repro.config import ModelConfig
from r1repro.stages.base_model import from_random_weights, halved
from r1repro.stages.models import load_model, load_tokenizer, save_model
from r1repro.tasks import mini_world, templates
from r1repro.tasks.corpus import documents
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.text.tags import END, TAGS
from tests.laptop import laptop

TEXTS = [
    "User: Compute 53+7-8. <think></think><answer></answer>\nAssistant: <think>53+7=60",
    "用户：用3,5,7得到1。<think></think><answer></answer>\n助手：等等，3+5=8\n不对",
    "wait, 等等 mixed 文字 and  two  blanks\n\n999 1000 12345 猫",
    "unseen words: Schwarzwälder Kirschtorte 🍰 القطة",
]


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 20, 200)


@pytest.fixture(scope="module")
def tokenizer(world):
    stream = documents(world, 0)
    return train_tokenizer([next(stream) for _ in range(500)])


def test_round_trip(tokenizer, world):
    stream = documents(world, 5)
    for text in TEXTS + [next(stream) for _ in range(200)]:
        assert tokenizer.decode(tokenizer.encode(text)) == text
        plain = text.replace(END, "")
        assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == plain


def test_every_number_of_up_to_three_digits_is_one_token_and_no_token_has_more(tokenizer):
    assert all(len(tokenizer.encode(str(n))) == 1 for n in range(1000))
    for number in range(0, 10**6, 997):
        assert all(len(tokenizer.decode([i])) <= 3 for i in tokenizer.encode(str(number)))
    assert [tokenizer.decode([i]) for i in tokenizer.encode("12345")] == ["123", "45"]


def test_tags_are_one_token_each_and_not_special(tokenizer):
    for tag in TAGS:
        (token,) = tokenizer.encode(tag)
        assert token not in tokenizer.all_special_ids


def test_token_ids_after_reload_equal_those_before(tokenizer, tmp_path):
    """Also by AutoTokenizer, as anybody else would load the folder."""
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "model")
    for again in (
        load_tokenizer(tmp_path / "model"),
        AutoTokenizer.from_pretrained(tmp_path / "model"),
    ):  # noqa: E501
        for text in TEXTS:
            assert again.encode(text) == tokenizer.encode(text)
            assert again.decode(again.encode(text)) == text
    ids = torch.tensor([tokenizer.encode(TEXTS[0])])
    with torch.no_grad():
        ours = load_model(tmp_path / "model").to("cpu")(ids).logits
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "model")(ids).logits
        assert torch.equal(ours, theirs) and torch.allclose(ours, model(ids).logits, atol=1e-5)
    assert not list((tmp_path / "model").glob("*.bin"))


def test_default_size_is_between_half_and_one_and_a_half_million(tokenizer):
    model = from_random_weights(laptop(ModelConfig), tokenizer)
    assert 0.5e6 <= sum(p.numel() for p in model.parameters()) <= 1.5e6


def test_prompts_fit_the_room_the_configuration_keeps(tokenizer, world):
    from r1repro.config import LONGEST_PROMPT

    longest = max(len(tokenizer.encode(templates.render("mini", p))) for p in world.test)
    assert longest <= LONGEST_PROMPT


def test_the_small_base_has_a_quarter_of_the_parameters_outside_of_the_embeddings(tokenizer):
    shape = laptop(ModelConfig)
    counts = []
    for one in (shape, halved(shape)):
        model = from_random_weights(one, tokenizer)
        sizes = {name: weight.numel() for name, weight in model.named_parameters()}
        words = sum(size for name, size in sizes.items() if "embed" in name)
        counts.append((words, sum(sizes.values()) - words))
    (words, rest), (half_words, quarter) = counts
    assert half_words == words / 2 and quarter == pytest.approx(rest / 4, rel=0.01)
    narrow = halved(replace(shape, heads=10, kv_heads=5))
    assert (narrow.heads, narrow.kv_heads) == (5, 1), "key heads divide the heads"
    assert (halved(narrow).heads, halved(halved(halved(narrow))).kv_heads) == (2, 1)
