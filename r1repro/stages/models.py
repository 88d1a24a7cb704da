"""Models and tokenizers on disk: ordinary Hugging Face folders, safetensors only.

Fully trained models are stored in float32, merged adapters in the precision of the frozen weights;
both are loaded in engine.precision for sampling.
"""

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from safetensors import safe_open
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from r1repro.artifacts import Progress, write_atomically
from r1repro.config import PLAIN_ENGINE, EngineConfig
from r1repro.errors import R1ReproError
from r1repro.evaluation.training_moved import FILE as MOVED
from r1repro.generation.vllm_engine import VLLM
from r1repro.training import adapters


def device() -> torch.device:
    """The GPU of this process if there is one, else the CPU."""
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def save_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path, writes: bool = True
) -> None:
    """Save the model, with adapters merged, and its tokenizer from the one process that `writes`.

    All processes must call this, since gathering a sharded model is collective.
    """
    plain = adapters.whole(model, wanted=writes)
    if plain is not None:
        plain.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def store(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    start: Path,
    folder: Path,
    rows: Sequence[dict[str, Any]],
    progress: Progress,
) -> None:
    """Write what a training stage made: model/, metrics.parquet, and moved.json."""
    save_model(model, tokenizer, folder / "model", progress.writes)
    if progress.writes:
        write_moved(start, folder)
        pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")


def write_moved(start: Path, folder: Path) -> None:
    """Write moved.json of a training stage: relative distance of folder/model from the start.

    The stored folders are compared, so that a resumed stage is measured from its start.
    """
    change = weights_moved(start, folder / "model")
    write_atomically(folder / MOVED, json.dumps({"weights": change}) + "\n")


def weights_moved(before: Path, after: Path) -> float:
    """||after - before|| / ||before|| over all weights that both folders have, summed in float64.

    Raises R1ReproError if the folders have no weights in common.
    """
    there = dict(_stored(after))
    changed = size = 0.0
    for name, get in _stored(before):
        if name in there:
            old, new = get(name).double(), there[name](name).double()
            changed += float((new - old).square().sum())
            size += float(old.square().sum())
    if size == 0:
        raise R1ReproError(
            f"{before} and {after} have no weights of the same name: compare checkpoints of one "
            "model"
        )
    return math.sqrt(changed / size)


def _stored(folder: Path) -> Iterator[tuple[str, Callable[[str], torch.Tensor]]]:
    """(name, function that reads the tensor of a name) of each weight in a model's folder."""
    for file in sorted(folder.glob("*.safetensors")):
        tensors = safe_open(file, "pt")
        yield from ((name, tensors.get_tensor) for name in tensors.keys())  # noqa: SIM118


def load_model(
    folder: Path, engine: EngineConfig = PLAIN_ENGINE, kind: Any = AutoModelForCausalLM
) -> PreTrainedModel:
    """Load a model for sampling on `device()`; no code from the folder is run."""
    return _load(kind, folder, engine, engine.precision).to(device())


load_reward_model = partial(load_model, kind=AutoModelForSequenceClassification)


def load_sampled(folder: Path, engine: EngineConfig, max_tokens: int) -> PreTrainedModel | VLLM:
    """The model, or vLLM, to pass to `problem_samples.ask`, for up to `max_tokens` an answer."""
    if engine.rollouts == "own":
        return load_model(folder, engine).eval()
    return VLLM(folder, engine.precision, max_tokens)


def load_trained(
    folder: Path, engine: EngineConfig, seed: int, kind: Any = AutoModelForCausalLM, **more: Any
) -> PreTrainedModel:
    """Load a model for training: in float32, or frozen with adapters. No code in it is run."""
    if engine.unsloth and kind is AutoModelForCausalLM:
        return _by_unsloth(folder, engine, seed)
    if engine.quantized:
        more["device_map"] = {"": device()}
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=getattr(torch, engine.precision),
            llm_int8_skip_modules=["lm_head", "score"],
        )
    model = _load(kind, folder, engine, engine.precision if engine.lora_rank else "float32", **more)
    if "num_labels" in more:
        model.score.weight.data.zero_()
    # Sharded models are moved to the GPUs in parts; quantized ones are already there.
    if not (engine.quantized or engine.sharded):
        model = model.to(device())
    if engine.lora_rank == 0:
        return model
    return adapters.adapted(model, engine.lora_rank, engine.lora_alpha, seed)


old_reward_model = partial(load_trained, kind=AutoModelForSequenceClassification)
"""Load a reward model to train it further."""
new_reward_model = partial(old_reward_model, num_labels=1)
"""Load a language model for training with a new scalar head, initialized to zero."""


def _by_unsloth(folder: Path, engine: EngineConfig, seed: int) -> PreTrainedModel:
    from unsloth import FastLanguageModel

    positions = json.loads((folder / "config.json").read_text())["max_position_embeddings"]
    model, _ = FastLanguageModel.from_pretrained(
        str(folder),
        max_seq_length=positions,
        dtype=getattr(torch, engine.precision),
        load_in_4bit=engine.quantized,
        full_finetuning=engine.lora_rank == 0,
    )
    if engine.lora_rank == 0:
        return model
    return FastLanguageModel.get_peft_model(
        model,
        r=engine.lora_rank,
        lora_alpha=engine.lora_alpha,
        lora_dropout=0,
        use_gradient_checkpointing=engine.gradient_checkpointing,
        random_state=seed,
    )


def _load(kind: Any, folder: Path, engine: EngineConfig, precision: str, **more: Any) -> Any:
    return kind.from_pretrained(
        folder,
        dtype=getattr(torch, precision),
        attn_implementation=engine.attention,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        **more,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, with left padding for generation.

    AutoTokenizer is not used, since it replaces custom tokenizers of some architectures.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer
