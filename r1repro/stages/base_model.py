"""Stages base, small_base, qwen_base, llama_base: pretraining on the mini world's corpus.

Training starts from random weights. If the model has a `path` or `hub`, the base is a copy of it.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from operator import attrgetter
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from r1repro import gguf
from r1repro.artifacts import FACTS, Inputs, Progress
from r1repro.config import BaseConfig, Config, ModelConfig
from r1repro.stages.models import device, load_tokenizer, save_model
from r1repro.tasks import corpus, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training.pretraining import pretrain
from r1repro.training.shape import described

TOKENIZER_DOCUMENTS = 5_000
LONGEST_DOCUMENT = 320
"""Maximum length in tokens; longer documents are truncated."""


def run(
    config: Config,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    model: str = "model",
    stage: str = "base",
) -> None:
    """Writes model/ (HF folder with tokenizer) and, unless it is a copy, metrics.parquet."""
    shape: ModelConfig = attrgetter(model)(config)
    if shape.made_here:
        _train(config, shape, getattr(config.stage, stage), folder, progress)
    else:
        _copy(gguf.model_folder(config, shape), folder / "model")


qwen = partial(run, model="student.qwen", stage="qwen_base")
llama = partial(run, model="student.llama", stage="llama_base")


def small(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """A base of half the width of `base`, on the same corpus (R1 v2, G.1)."""
    _train(config, halved(config.model), config.stage.base, folder, progress)


def halved(shape: ModelConfig) -> ModelConfig:
    """The shape at half the width: a quarter of the parameters outside of the embeddings."""
    heads = max(1, shape.heads // 2)
    return replace(
        shape,
        hidden_size=shape.hidden_size // 2,
        intermediate_size=shape.intermediate_size // 2,
        heads=heads,
        kv_heads=math.gcd(heads, max(1, shape.kv_heads // 2)),
    )


def _copy(place: Path, target: Path) -> None:
    target.mkdir(exist_ok=True)
    for pattern in ("*.safetensors", "*.index.json", "*config.json"):
        for file in place.glob(pattern):
            shutil.copyfile(file, target / file.name)
    load_tokenizer(place).save_pretrained(target)


def _train(
    config: Config, shape: ModelConfig, settings: BaseConfig, folder: Path, progress: Progress
) -> None:
    world = worlds.of(config.task)
    torch.manual_seed(config.base_seed)
    documents = corpus.documents(world, config.base_seed)
    tokenizer = train_tokenizer(islice(documents, TOKENIZER_DOCUMENTS))
    read, sequences = _sequences(documents, tokenizer, settings.tokens)
    facts = json.dumps({"corpus": corpus.counts(read, world)}, indent=1)
    (folder / FACTS).write_text(facts, encoding="utf-8")
    model = from_random_weights(shape, tokenizer).to(device())
    model.set_attn_implementation(config.engine.attention)
    rows = pretrain(
        model, sequences, settings, pad_id=tokenizer.pad_token_id, seed=config.base_seed,
        folder=folder, progress=progress, engine=config.engine,
    )  # fmt: skip
    save_model(model, tokenizer, folder / "model")
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")


def _sequences(
    documents: Iterator[str], tokenizer: PreTrainedTokenizerFast, tokens: int
) -> tuple[list[str], list[list[int]]]:
    """Documents of at least that many tokens together, and the token ids of each."""
    read: list[str] = []
    sequences: list[list[int]] = []
    while tokens > 0:
        batch = list(islice(documents, 2_000))
        read += batch
        for ids in tokenizer(batch)["input_ids"]:
            sequences.append([*ids[: LONGEST_DOCUMENT - 1], tokenizer.eos_token_id])
            tokens -= len(sequences[-1])
    return read, sequences


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
