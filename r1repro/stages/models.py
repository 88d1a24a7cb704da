"""Models and tokenizers on disk: ordinary Hugging Face folders, safetensors only."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)


def device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def save_model(model: PreTrainedModel, words: PreTrainedTokenizerFast, folder: Path) -> None:
    """Model and tokenizer as one folder."""
    model.save_pretrained(folder)
    words.save_pretrained(folder)


def load_model(folder: Path) -> PreTrainedModel:
    """The model of a folder in float32 on `device()`; no code from the folder is run."""
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return model.to(device())


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, padding on the left for generation.

    Not AutoTokenizer: for some architectures it replaces a custom tokenizer by its own.
    """
    words = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    words.padding_side = "left"
    if words.pad_token_id is None:
        words.pad_token = words.eos_token
    return words


def load_reward_model(folder: Path) -> PreTrainedModel:
    """A scalar-headed model in float32 on `device()`; no code from the folder is run."""
    model = AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return model.to(device())
