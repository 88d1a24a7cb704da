"""Checks of the models' folders before a run: weights, tokenizer and positions.

r1repro.config.folder has already checked that each is the folder of a model.
"""

import json
import math
import random
from collections.abc import Mapping
from dataclasses import replace
from heapq import nlargest
from itertools import groupby, islice
from operator import attrgetter
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
from r1repro.training.shape import read

AGAIN = "copy or download the folder again"
POINTER = b"version https://git-lfs"
"""The beginning of a pointer to a file in Git's large file storage."""
DRAWN = 1_000
"""Questions of an endless source among which the longest is sought."""
LONG = 20
"""Of each language the tokens of this many questions are counted, the longest in characters."""


class _Unusable(Exception):
    """What a stage could not load or train, and what to do."""


def check(config: Config, origins: Mapping[str, OriginConfig] | None = None) -> None:
    """Raise R1ReproError for a model on this machine that a stage could not use.

    Models that are not downloaded yet, and GGUF files that are not converted yet, are skipped.
    origins: those of `from_elsewhere` to check; None for all.
    """
    over: dict[str, tuple[float, str]] = {}
    caps: dict[str, int] = {}
    origins = from_elsewhere(config) if origins is None else origins
    for key, shape in origins.items():
        folder = gguf.found(config, shape)
        if folder is None:
            continue
        described = read(replace(shape, path=str(folder)) if gguf.is_file(shape) else shape)
        try:
            _check(folder, described, trained=key != TEACHER)
        except _Unusable as wrong:
            raise refused(key, shape.path or shape.hub, f"a complete model; {wrong}") from wrong
        room, why = _room(config, key, shape, described, folder)
        own = _caps(config, key)
        caps |= own
        for name in (name for name, cap in own.items() if cap > room):
            over[name] = min((room, why), over.get(name, (room, why)))
    if over:
        name, (room, why) = next(iter(over.items()))
        remedy = " ".join(f"{name}={room}" for name, (room, _) in over.items())
        raise refused(name, caps[name], f"at most {room:,} with {why}: add {remedy}")


def _check(folder: Path, described: PreTrainedConfig, trained: bool) -> None:
    quantized = getattr(described, "quantization_config", None)
    if quantized and trained:
        told = quantized if isinstance(quantized, dict) else vars(quantized)
        method = str(told.get("quant_method", "in an unknown way"))[:40]
        raise _Unusable(
            f"its weights are quantized ({method}) and cannot be trained: give the model they were "
            "made from; engine.quantized=true with engine.lora_rank=32 quantizes it here"
        )
    if quantized:
        _stored(folder)
        return
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(described, dtype=torch.float32)
    except Exception as error:  # many types, for another kind of model or sizes that do not fit
        raise _Unusable(
            f"its config.json describes no causal language model ({_reason(error)}): give a folder "
            "of such a model, such as a Qwen2.5 or Llama"
        ) from error
    _compare(_stored(folder), model)
    _check_tokenizer(folder, model.get_input_embeddings().weight.shape[0])


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:100]


def _stored(folder: Path) -> dict[str, list[int]]:
    """The shapes of the stored weights by name."""
    index = "model.safetensors.index.json"
    missing = hub.missing_weights(folder)
    if missing == "model.safetensors" and any(folder.glob("*.safetensors")):
        raise _Unusable(f"it has parts of the weights and no {index}, which lists them: {AGAIN}")
    if missing:
        raise _Unusable(f"it has no {missing}: {AGAIN}")
    files = {"model.safetensors"}  # as Transformers prefers it
    if not (folder / "model.safetensors").is_file() and (folder / index).is_file():
        files = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
    found: dict[str, list[int]] = {}
    for file in (folder / name for name in sorted(files)):
        with file.open("rb") as opened:
            if opened.read(len(POINTER)) == POINTER:
                raise _Unusable(
                    f"{file.name} is a Git LFS pointer, not the weights: run `git lfs pull` there"
                )
        try:
            with safe_open(file, "np") as tensors:
                names = list(tensors.keys())
                found |= {name: tensors.get_slice(name).get_shape() for name in names}
        except Exception as error:  # the library raises nothing narrower
            size = file.stat().st_size
            raise _Unusable(
                f"{file.name}, of {size:,} bytes, is cut off or damaged ({error}): {AGAIN}"
            ) from error
    return found


def _compare(stored: dict[str, list[int]], model: Any) -> None:
    """Compare the stored weights with the model that config.json describes.

    Weights of other names, which Transformers may rename or join, are compared by their number.
    """
    wanted = {name: list(weight.shape) for name, weight in model.named_parameters()}
    for name, shape in wanted.items():
        if stored.get(name, shape) != shape:
            raise _Unusable(
                f"{name} has the shape {stored[name]} and config.json describes {shape}: give a "
                "folder whose weights and config.json are of one model"
            )
    missing = [name for name in wanted if name not in stored]
    tied = set(model.state_dict()) - set(wanted)
    others = {name: shape for name, shape in stored.items() if name not in tied}
    if missing and (set(others) <= set(wanted) or _numbers(others) < _numbers(wanted)):
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise _Unusable(f"its weights lack {missing[0]}{more}: {AGAIN}")


def _numbers(shapes: dict[str, list[int]]) -> int:
    return sum(map(math.prod, shapes.values()))


def _check_tokenizer(folder: Path, embeddings: int) -> None:
    try:
        tokenizer = load_tokenizer(folder)
    except Exception as error:  # many types
        raise _Unusable(f"its tokenizer cannot be loaded ({_reason(error)}): {AGAIN}") from error
    end = tokenizer.eos_token
    raw = Tokenizer.from_file(str(folder / "tokenizer.json"))
    if end is None or raw.token_to_id(end) is None:
        found = "names no end token" if end is None else f"does not have its end token {end}"
        raise _Unusable(
            f"its tokenizer {found}: set eos_token in tokenizer_config.json to the token that ends "
            f"a text, {_ending(folder, tokenizer)}"
        )
    tokens = max(raw.get_vocab().values()) + 1
    if tokens > embeddings:
        raise _Unusable(
            f"its tokenizer has {tokens:,} tokens and the model {embeddings:,} embeddings: put in "
            "the tokenizer that the weights were saved with, or save the model again after "
            f"model.resize_token_embeddings({tokens})"
        )


def _ending(folder: Path, tokenizer: PreTrainedTokenizerFast) -> str:
    """The end token that the model's other files name, else an example."""
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
    """The positions of a model, with those gained by scaling RoPE; None if it has no limit."""
    most = getattr(described, "max_position_embeddings", None)
    rope = getattr(described, "rope_parameters", None)
    if not isinstance(most, int):
        return None
    if not isinstance(rope, dict) or not isinstance(rope.get("factor"), int | float):
        return most
    return max(most, int(rope["factor"] * rope.get("original_max_position_embeddings", most)))


def _longest_prompt(config: Config, shape: OriginConfig, tokenizer: PreTrainedTokenizerFast) -> int:
    """Tokens of the longest prompt; of an endless source, among its first questions."""
    try:
        world = worlds.of(config.task)
    except R1ReproError:  # the data are refused, or not on this machine
        return 0
    number = world.facts.get("used", {}).get("train", DRAWN)
    problems = [*islice(world.stream(random.Random(0)), number), *world.held_out_problems]
    language = attrgetter("language")
    return max(
        len(tokenizer.encode(templates.render(form, problem)))
        for _, alike in groupby(sorted(problems, key=language), language)
        for problem in nlargest(LONG, alike, key=lambda one: len(one.prompt))
        for form in {"r1_zero", templates.form(shape, chat=True)}
    )


def _caps(config: Config, key: str) -> dict[str, int]:
    """The caps of completions that the model of a key of `from_elsewhere` writes or reads."""
    if key == TEACHER:
        cap = config.student.teacher_tokens
        return {} if cap is None else {"student.teacher_tokens": cap}
    model = key.rpartition(".")[0]
    own = {n: node for n, node in vars(config.stage).items() if about(n).model == model}
    nodes = {"evaluation": config.evaluation} | {f"stage.{n}": node for n, node in own.items()}
    return {
        f"{name}.{cap}": getattr(node, cap)
        for name, node in nodes.items()
        for cap in CAPS
        if getattr(node, cap, None) is not None
    }
