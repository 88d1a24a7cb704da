"""A tiny model whose samples differ in length, with a tokenizer."""

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from r1repro.tasks import tokenizer
from tests.tiny import SHAPE


@pytest.fixture(scope="module")
def words():
    return tokenizer.train(["用户：计算1+2。", "User: Compute 1+2. Assistant: "] * 3)


@pytest.fixture(scope="module")
def base(tmp_path_factory, words):
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(words),
            **SHAPE,
            head_dim=8,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=words.eos_token_id,
            pad_token_id=words.pad_token_id,
            initializer_range=0.2,
        )
    )
    folder = tmp_path_factory.mktemp("base")
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
