"""What a model's folder or file must be, told from names, config.json and a file's first bytes."""

import json
from pathlib import Path
from typing import Any

from r1repro.config.ranges import refused
from r1repro.config.schema import GGUF

PICKLES = ("pytorch_model*.bin", "consolidated*.pth", "*.ckpt", "tf_model.h5", "*.msgpack")
SLOW = ("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Files of tokenizers that are not stored as tokenizer.json."""
HEADS = ("ForCausalLM", "LMHeadModel")
"""How architectures end that generate text token by token."""
SENSES = ("vision_config", "audio_config", "thinker_config")
"""Keys in config.json of a model that also sees or hears."""
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
    wrong = _place(folder) or _config(folder) or _pickled(folder) or _tokenizer(folder)
    if wrong:
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
    weights = any(folder.glob("model*.safetensors"))
    if (folder / "adapter_config.json").is_file() and not (
        weights and (folder / "config.json").is_file()
    ):
        return _adapter(folder)
    if (folder / "config.json").is_file():
        return ""
    if files := sorted(folder.glob(f"*{GGUF}")):
        return f"it holds a GGUF file: give that, {files[0]}"
    inside = sorted((*folder.glob("*/config.json"), *folder.glob("snapshots/*/config.json")))
    if inside:
        return f"it has no config.json: the model is in {inside[-1].parent}, give that"
    missing = [name for name in ("config.json", "tokenizer.json") if not (folder / name).is_file()]
    return (
        f"it has no {' and no '.join(missing)}: give the folder that save_pretrained of "
        "transformers wrote, or a download of the hub"
    )


def _adapter(folder: Path) -> str:
    base = (_read(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
    return (
        f"it holds a LoRA adapter of {base or 'another model'}: merge it into that model first "
        "(AutoPeftModelForCausalLM.from_pretrained(FOLDER).merge_and_unload().save_pretrained(NEW) "
        "and the tokenizer's save_pretrained(NEW)), and give the new folder"
    )


def _config(folder: Path) -> str:
    """What is wrong with the architecture in config.json; "" if nothing is, or none is named."""
    config = _read(folder / "config.json")
    if config is None:
        return "its config.json is no JSON object: copy or download the folder again"
    if any(config.get(name) for name in SENSES):
        return (
            f"it is a {_name(config)}, which takes pictures or sound beside text: give a text "
            "model of the same family, such as Qwen2.5 for Qwen2.5-VL"
        )
    if _name(config) and not _name(config).endswith(HEADS):
        return (
            f"it is a {_name(config)}, which {_does(config)}: give a causal language model, whose "
            "architecture in config.json ends in ForCausalLM, such as Qwen2.5 or Llama"
        )
    return ""


def _does(config: dict[str, Any]) -> str:
    if "Classification" in _name(config):
        return "scores texts and generates none"
    if config.get("is_encoder_decoder"):
        return "has an encoder beside its decoder"
    return "generates no text"


def _name(config: dict[str, Any]) -> str:
    """The first architecture that config.json names, or ""."""
    names = config.get("architectures")
    return str(names[0])[:80] if isinstance(names, list) and names else ""


def _pickled(folder: Path) -> str:
    found = sorted(file.name for pattern in PICKLES for file in folder.glob(pattern))
    if not found or any(folder.glob("*.safetensors")):
        return ""
    return (
        f"its weights are pickles ({found[0]}), which can run code and are not read: write them as "
        "safetensors with AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(FOLDER)"
    )


def _tokenizer(folder: Path) -> str:
    if (folder / "tokenizer.json").is_file():
        return ""
    slow = [name for name in SLOW if (folder / name).is_file()]
    if slow:
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
