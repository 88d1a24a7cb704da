"""Checks of a model's folder or GGUF file, without loading the weights."""

import json
from pathlib import Path
from typing import Any

from r1repro.config.ranges import refused
from r1repro.config.schema import GGUF

PICKLES = ("pytorch_model*.bin", "consolidated*.pth", "*.ckpt", "tf_model.h5", "*.msgpack")
SLOW = ("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Files of tokenizers that are not stored as tokenizer.json."""
HEADS = ("ForCausalLM", "LMHeadModel")
"""Endings of the architectures that generate text token by token."""
SENSES = ("vision_config", "audio_config", "thinker_config")
"""Keys in the config.json of a model that also takes images or audio."""
WRITTEN = ("0123456789", "+-*=", "(1)", "<think>", "</think>", "<answer>", "</answer>", "数")
"""The characters and tags of the mini world's problems and answers."""


def check_model_folder(key: str, path: str) -> None:
    """Raise R1ReproError unless this is a model folder whose tokenizer can write tags and sums.

    A GGUF file must only be one: its tokenizer is checked once it is converted.
    """
    if path.endswith(GGUF):
        _check_gguf(key, path)
        return
    folder = Path(path)
    if wrong := _place(folder) or _architecture(folder) or _files(folder):
        raise refused(key, path, f"a model folder in HF format; {wrong}")
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing narrower, for example on a pointer file
        raise refused(
            key,
            path,
            "a model folder whose tokenizer.json can be read: copy or download it again (in a Git "
            "checkout `git lfs pull`)",
        ) from error
    for text in WRITTEN:
        read = tokenizer.decode(tokenizer.encode(text, add_special_tokens=False).ids)
        if "".join(read.split()) != text:
            accepted = "a model whose tokenizer round-trips the tasks' characters"
            raise refused(key, path, f"{accepted}; this one decodes {text!r} as {read!r}")


def _check_gguf(key: str, path: str) -> None:
    """Raise R1ReproError unless the file begins as a GGUF file does."""
    try:
        with Path(path).open("rb") as opened:
            magic = opened.read(4)
    except OSError as error:
        raise refused(key, path, "an existing GGUF file that can be read") from error
    if magic != b"GGUF":
        raise refused(key, path, f"a GGUF file, which begins with GGUF; it begins with {magic!r}")


def _place(folder: Path) -> str:
    """What is wrong with the folder as a whole; "" if nothing is."""
    if folder.is_file():
        return f"this is a file: give the folder that holds it, {folder.parent}"
    if not folder.is_dir():
        return (
            "there is no such folder: check the path (models of the hub are listed in "
            "conf/models.yaml)"
        )
    whole = (folder / "config.json").is_file()
    adapter = folder / "adapter_config.json"
    if adapter.is_file() and not (whole and any(folder.glob("model*.safetensors"))):
        base = (_read(adapter) or {}).get("base_model_name_or_path") or "another model"
        return (
            f"it holds a LoRA adapter of {base}: merge it into that model first (AutoPeftModel"
            "ForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW) and the "
            "tokenizer's save_pretrained(NEW)), and give the new folder"
        )
    if whole:
        return ""
    if files := sorted(folder.glob(f"*{GGUF}")):
        return f"it holds a GGUF file: give that, {files[0]}"
    if inside := sorted((*folder.glob("*/config.json"), *folder.glob("snapshots/*/config.json"))):
        return f"it has no config.json: the model is in {inside[-1].parent}, give that"
    tokenizer = "" if (folder / "tokenizer.json").is_file() else " and no tokenizer.json"
    return (
        f"it has no config.json{tokenizer}: give the folder that save_pretrained of transformers "
        "wrote, or a download of the hub"
    )


def _architecture(folder: Path) -> str:
    """What is wrong with the architecture in config.json; "" if nothing is, or none is named."""
    config = _read(folder / "config.json")
    if config is None:
        return "its config.json is no JSON object: copy or download the folder again"
    names = config.get("architectures")
    name = str(names[0])[:80] if isinstance(names, list) and names else ""
    if any(config.get(sense) for sense in SENSES):
        return (
            f"it is a {name}, which takes images or audio besides text: give a text model of the "
            "same family, such as Qwen2.5 for Qwen2.5-VL"
        )
    if not name or name.endswith(HEADS):
        return ""
    does = "generates no text"
    if "Classification" in name:
        does = "scores texts and generates none"
    elif config.get("is_encoder_decoder"):
        does = "has an encoder beside its decoder"
    return (
        f"it is a {name}, which {does}: give a causal language model, whose architecture in "
        "config.json ends in ForCausalLM, such as Qwen2.5 or Llama"
    )


def _files(folder: Path) -> str:
    """What is wrong with the format of the weights or the tokenizer; "" if nothing is."""
    pickles = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if pickles and not any(folder.glob("*.safetensors")):
        return (
            f"its weights are pickles ({pickles[0]}), which can run code and are not read: write "
            "them as safetensors with "
            "AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    if (folder / "tokenizer.json").is_file():
        return ""
    if slow := [name for name in SLOW if (folder / name).is_file()]:
        return (
            f"it has no tokenizer.json, only {slow[0]}: write one with "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    return (
        "it has no tokenizer.json: copy tokenizer.json and tokenizer_config.json from the model "
        "that it was trained from"
    )


def _read(file: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None if there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
