"""Stages base, qwen_base, llama_base: pretraining from random weights on the mini world's corpus.

With a `path` or `hub` in its shape the base is a copy of that model and nothing is trained.
"""

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from r1repro import gguf
from r1repro.artifacts import FACTS, Progress, StageResult
from r1repro.config import BaseConfig, Config, ModelConfig
from r1repro.stages.models import device, load_tokenizer, save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training.pretraining import pretrain
from r1repro.training.shape import described

TOKENIZER_DOCUMENTS = 5_000
LONGEST_DOCUMENT = 320
"""Maximum length in tokens; longer documents are truncated."""


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes model/ (HF folder with tokenizer) and metrics.parquet."""
    build(config, config.model, config.stage.base, folder, progress)


def qwen(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """The Qwen student's base."""
    build(config, config.student.qwen, config.stage.qwen_base, folder, progress)


def llama(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """The Llama student's base."""
    build(config, config.student.llama, config.stage.llama_base, folder, progress)


def build(
    config: Config, shape: ModelConfig, settings: BaseConfig, folder: Path, progress: Progress
) -> None:
    """Write a base of that shape: copied from its path, or trained from random weights."""
    if not shape.made_here:
        place = gguf.model_folder(config, shape)
        (folder / "model").mkdir(exist_ok=True)
        for pattern in ("*.safetensors", "*.index.json", "*config.json"):
            for file in place.glob(pattern):
                shutil.copyfile(file, folder / "model" / file.name)
        load_tokenizer(place).save_pretrained(folder / "model")
        return
    world = worlds.of(config.task)
    torch.manual_seed(config.base_seed)
    documents = corpus.documents(world, config.base_seed)
    read: list[str] = []
    tokenizer = train_tokenizer(islice(documents, TOKENIZER_DOCUMENTS))
    sequences: list[list[int]] = []
    tokens = 0
    while tokens < settings.tokens:
        batch = list(islice(documents, 2_000))
        read += batch
        for ids in tokenizer(batch)["input_ids"]:
            sequences.append([*ids[: LONGEST_DOCUMENT - 1], tokenizer.eos_token_id])
            tokens += len(sequences[-1])
    facts = json.dumps({"corpus": corpus.counts(read, world)}, indent=1)
    (folder / FACTS).write_text(facts, encoding="utf-8")
    model = from_random_weights(shape, tokenizer).to(device())
    model.set_attn_implementation(config.engine.attention)
    rows = pretrain(
        model,
        sequences,
        settings,
        pad_id=tokenizer.pad_token_id,
        seed=config.base_seed,
        folder=folder,
        progress=progress,
        engine=config.engine,
    )
    save_model(model, tokenizer, folder / "model")
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")


def from_random_weights(shape: ModelConfig, tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    """A model of the configured shape in float32 with the tokenizer's vocabulary size."""
    return AutoModelForCausalLM.from_config(
        described(
            replace(shape, vocabulary=len(tokenizer)),
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        ),
        dtype=torch.float32,
    )
