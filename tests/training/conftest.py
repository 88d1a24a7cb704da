"""A tiny model whose samples differ in length, with a tokenizer."""

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.tiny import SHAPE


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["用户：计算1+2。", "User: Compute 1+2. Assistant: "] * 3)


@pytest.fixture(scope="module")
def base(tmp_path_factory, tokenizer):
    torch.manual_seed(0)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            **SHAPE,
            head_dim=8,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.2,
        )
    )
    folder = tmp_path_factory.mktemp("base")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
