"""What is checked in the models' folders before a run: weights, tokenizer and positions.

r1repro.config.folder has looked at what kind of folder each is.
"""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import replace
from heapq import nlargest
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedTokenizerFast

from r1repro import gguf, hub
from r1repro.config import CAPS, TEACHER, Config, OriginConfig, from_elsewhere, refused
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import about
from r1repro.stages.models import load_tokenizer
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.training.shape import read

AGAIN = "copy or download the folder again"
POINTER = b"version https://git-lfs"
"""How a file begins that stands for one in Git's large file storage."""
DRAWN = 1_000
"""Questions of an endless source that are looked at for their length."""
LONG = 20
"""Longest questions of a language, in characters, whose tokens are counted."""


def check(config: Config, origins: Mapping[str, OriginConfig] | None = None) -> None:
    """Raise R1ReproError for a model on this machine that a stage could not use.

    Models of the hub that are not downloaded yet, and GGUF files not yet converted, are left out.
    origins: those of `from_elsewhere` to look at; None for all.
    """
    over: dict[str, tuple[float, str]] = {}
    caps: dict[str, int] = {}
    origins = from_elsewhere(config) if origins is None else origins
    for key, shape in origins.items():
        folder = gguf.found(config, shape)
        if folder is None:
            continue
        described = read(replace(shape, path=str(folder)) if gguf.is_file(shape) else shape)
        wrong = _wrong(folder, described, trained=key != TEACHER)
        if wrong:
            raise refused(key, shape.path or shape.hub, f"a complete model; {wrong}")
        room, why = _room(config, key, shape, described, folder)
        caps |= _caps(config, key)
        for name in (name for name, cap in _caps(config, key).items() if cap > room):
            over[name] = min((room, why), over.get(name, (room, why)))
    if over:
        name, (room, why) = next(iter(over.items()))
        remedy = " ".join(f"{name}={room}" for name, (room, _) in over.items())
        raise refused(name, caps[name], f"at most {room:,} with {why}: add {remedy}")


def _wrong(folder: Path, described: PreTrainedConfig, trained: bool) -> str:
    """What a stage could not load or train, and what to do; "" if there is nothing."""
    quantized = getattr(described, "quantization_config", None)
    if quantized and not trained:
        return _weights(folder)
    if quantized:
        return (
            f"its weights are quantized ({_method(quantized)}) and cannot be trained: give the "
            "model they were made from; engine.quantized=true with engine.lora_rank=32 quantizes "
            "it here"
        )
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(described, dtype=torch.float32)
    except Exception as error:  # many types, for another kind of model or sizes that do not fit
        reason = " ".join(str(error).split())[:100]
        return (
            f"its config.json describes no causal language model ({reason}): give a folder of "
            "such a model, such as a Qwen2.5 or Llama"
        )
    embeddings = model.get_input_embeddings().weight.shape[0]
    return _weights(folder) or _lacks(folder, model) or _tokenizer(folder, embeddings)


def _method(quantized: Any) -> str:
    told = quantized if isinstance(quantized, dict) else vars(quantized)
    return str(told.get("quant_method", "in an unknown way"))[:40]


def _weights(folder: Path) -> str:
    """What is wrong with the files of the weights; "" if all are there and can be read."""
    index = "model.safetensors.index.json"
    try:
        missing = hub.missing_weights(folder)
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {index} cannot be read: {AGAIN}"
    if missing == "model.safetensors" and any(folder.glob("*.safetensors")):
        return f"it has parts of the weights and no {index}, which lists them: {AGAIN}"
    if missing:
        return f"it has no {missing}: {AGAIN}"
    for file in _files(folder):
        with file.open("rb") as opened:
            pointer = opened.read(len(POINTER)) == POINTER
        if pointer:
            return f"{file.name} is a Git LFS pointer, not the weights: run `git lfs pull` there"
        try:
            with safe_open(file, "np"):
                pass
        except Exception as error:  # the library raises nothing narrower
            size = file.stat().st_size
            return f"{file.name}, of {size:,} bytes, is cut off or damaged ({error}): {AGAIN}"
    return ""


def _files(folder: Path) -> list[Path]:
    """The files of the weights, as Transformers reads them."""
    index = folder / "model.safetensors.index.json"
    if (folder / "model.safetensors").is_file() or not index.is_file():
        return [folder / "model.safetensors"]
    names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
    return [folder / name for name in sorted(set(names))]


def _lacks(folder: Path, model: Any) -> str:
    """How the stored weights differ from the model that config.json describes; "" if they fit.

    Weights of other names, which Transformers may rename or join, are compared by their number.
    """
    stored: dict[str, list[int]] = {}
    for file in _files(folder):
        with safe_open(file, "np") as tensors:
            names = list(tensors.keys())
            stored |= {name: tensors.get_slice(name).get_shape() for name in names}
    wanted = {name: list(weight.shape) for name, weight in model.named_parameters()}
    for name, shape in wanted.items():
        if stored.get(name, shape) != shape:
            return (
                f"{name} has the shape {stored[name]} and config.json describes {shape}: give a "
                "folder whose weights and config.json are of one model"
            )
    missing = [name for name in wanted if name not in stored]
    tied = set(model.state_dict()) - set(wanted)
    others = {name: shape for name, shape in stored.items() if name not in tied}
    if missing and (set(others) <= set(wanted) or _numbers(others) < _numbers(wanted)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        return f"its weights lack {missing[0]}{more}: {AGAIN}"
    return ""


def _numbers(shapes: dict[str, list[int]]) -> int:
    return sum(torch.Size(shape).numel() for shape in shapes.values())


def _tokenizer(folder: Path, embeddings: int) -> str:
    """What is wrong with the tokenizer of a model with so many embeddings; "" if it fits."""
    try:
        tokenizer = load_tokenizer(folder)
    except Exception as error:  # many types
        reason = " ".join(str(error).split())[:100]
        return f"its tokenizer cannot be loaded ({reason}): {AGAIN}"
    ends = tokenizer.eos_token
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if ends is None or raw.token_to_id(ends) is None:
        found = "names no end token" if ends is None else f"does not have its end token {ends}"
        return (
            f"its tokenizer {found}: set eos_token in tokenizer_config.json to the token that ends "
            f"a text, {_ending(folder, tokenizer)}"
        )
    tokens = max(raw.get_vocab().values()) + 1
    if tokens > embeddings:
        return (
            f"its tokenizer has {tokens:,} tokens and the model {embeddings:,} embeddings: put in "
            "the tokenizer that the weights were saved with, or save the model again after "
            f"model.resize_token_embeddings({tokens})"
        )
    return ""


def _ending(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str:
    """The end token by the model's own files, else examples."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            told = json.loads((folder / name).read_text(encoding="utf-8")).get("eos_token_id")
            first = told[0] if isinstance(told, list) and told else told
            if isinstance(first, int) and 0 <= first < len(tokenizer):
                return f"by {name} {tokenizer.convert_ids_to_tokens(first)}"
    return "such as <|endoftext|> for Qwen2.5"


def _room(
    config: Config, key: str, shape: OriginConfig, described: PreTrainedConfig, folder: Path
) -> tuple[float, str]:
    """The positions that the longest prompt leaves for a completion, and how an error says it.

    Raises R1ReproError if it leaves none.
    """
    most, named = _positions(described), f"{key}={shape.path or shape.hub}"
    if most is None:
        return math.inf, named
    longest = _longest_prompt(config, shape, load_tokenizer(folder))
    if longest < most:
        why = f"which has {most:,} positions, of which a prompt takes up to {longest:,}"
        return most - longest, f"{named}, {why}"
    raise refused(
        key,
        shape.path or shape.hub,
        f"a model for prompts of {longest:,} tokens; this one has {most:,} positions "
        "(max_position_embeddings in config.json): give one with more, or shorter questions",
    )


def _positions(described: PreTrainedConfig) -> int | None:
    """The positions of a model, stretched ones too; None if it has no limit."""
    most = getattr(described, "max_position_embeddings", None)
    rope = getattr(described, "rope_parameters", None)
    if not isinstance(most, int):
        return None
    if not isinstance(rope, dict) or not isinstance(rope.get("factor"), int | float):
        return most
    return max(most, int(rope["factor"] * rope.get("original_max_position_embeddings", most)))


def _longest_prompt(config: Config, shape: OriginConfig, tokenizer: PreTrainedTokenizerFast) -> int:
    """Tokens of the longest prompt; of an endless source, of its first questions."""
    try:
        world = worlds.of(config.task)
    except R1ReproError:  # the data are refused or downloaded elsewhere
        return 0
    number = world.facts.get("used", {}).get("train", DRAWN)
    asked = [*islice(world.stream(random.Random(0)), number), *world.held_out_problems]
    by_language: dict[str, list[Problem]] = {}
    for problem in asked:
        by_language.setdefault(problem.language, []).append(problem)
    forms = {"r1_zero", templates.form(shape, chat=True)}
    return max(
        len(tokenizer.encode(templates.render(form, problem)))
        for problems in by_language.values()
        for problem in nlargest(LONG, problems, key=lambda one: len(one.prompt))
        for form in forms
    )


def _caps(config: Config, key: str) -> dict[str, int]:
    """The caps of completions that the model of a key of `from_elsewhere` writes or reads."""
    if key == TEACHER:
        cap = config.student.teacher_tokens
        return {} if cap is None else {"student.teacher_tokens": cap}
    nodes = {f"stage.{name}": node for name, node in vars(config.stage).items()}
    own = {n: x for n, x in nodes.items() if key.rpartition(".")[0] == about(n[6:]).model}
    return {
        f"{name}.{cap}": getattr(node, cap)
        for name, node in ({"evaluation": config.evaluation} | own).items()
        for cap in CAPS
        if getattr(node, cap, None) is not None
    }
