"""A model in a GGUF file as an ordinary Hugging Face folder.

Transformers reads the weights and the shape. The tokenizers that it makes from such files swap eos
and bos and split numbers as GPT-2 does, so the tokenizer is built here, from the file's metadata.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from r1repro import artifacts, hub
from r1repro.config import GGUF, Config, OriginConfig, runs_folder
from r1repro.errors import R1ReproError

CONTROL, USER_DEFINED, UNUSED = 3, 4, 5
"""Token types of `tokenizer.ggml.token_type`."""
SUMS = "SHA256SUMS"
"""In a converted folder: the sha256 of its other files."""
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {
    "gpt-2": None,
    "smollm": "digits",
    "qwen2": _WORDS % r"\p{N}",
    "deepseek-r1-qwen": _WORDS % r"\p{N}",
    "llama-bpe": _WORDS % r"\p{N}{1,3}",
}
"""How text is split before its bytes are merged, by `tokenizer.ggml.pre`: by a regular expression,
or as GPT-2 splits it, for SmolLM with every digit apart (llama.cpp, src/llama-vocab.cpp)."""


def model_folder(config: Config, origin: OriginConfig) -> Path:
    """The folder of a model that is not trained here; a GGUF file is converted unless it was.

    Raises R1ReproError for a file that cannot be read, and for a model of the hub that is not on
    this machine.
    """
    if is_file(origin):
        return converted(Path(str(origin.path)), runs_folder(config) / "cache")
    place = found(config, origin)
    if place is None:
        raise R1ReproError(
            f"the model {origin.hub} is not on this machine: download it with `r1repro fetch` and "
            "the same settings, or give a local folder "
            "(model.path, student.qwen.path, student.llama.path, student.teacher)"
        )
    return place


def found(config: Config, origin: OriginConfig) -> Path | None:
    """The folder of `model_folder`, or None if the model is to be converted or downloaded first."""
    if is_file(origin):
        folder = _cached(Path(str(origin.path)), runs_folder(config) / "cache")
        return folder if folder.is_dir() else None
    if origin.path is not None:
        return Path(origin.path)
    return None if origin.hub is None else hub.folder(origin.hub, "model")


def is_file(origin: OriginConfig) -> bool:
    """Whether the model is a GGUF file."""
    return origin.path is not None and origin.path.endswith(GGUF)


def converted(file: Path, cache: Path) -> Path:
    """The file's folder in `cache`, written by one rename."""
    folder = _cached(file, cache)
    if folder.is_dir():
        if wrong := artifacts.damage(folder / SUMS):
            raise R1ReproError(f"{wrong}: delete {folder}, and the GGUF file is converted again")
        return folder
    part = cache / f".{folder.name}.{os.getpid()}"
    try:
        _convert(file, part)
        artifacts.write_sums(part / SUMS, artifacts.files_in(part))
        for written in part.iterdir():
            artifacts.sync(written)
        if not folder.is_dir():  # unless another run was faster
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def _cached(file: Path, cache: Path) -> Path:
    """`cache`/gguf-HASH; HASH is of the file's content."""
    return cache / f"gguf-{artifacts.sha256(file)[:12]}"


def _convert(file: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    try:
        tokens = tokenizer(metadata(file))
        _check_weights(file)
        # Every dequantized weight is a float32 exactly.
        model = AutoModelForCausalLM.from_pretrained(
            file.parent, gguf_file=file.name, dtype=torch.float32, local_files_only=True
        )
    except R1ReproError as error:
        raise R1ReproError(f"{file} cannot be read: {error}") from error
    except Exception as error:  # of many types, for broken files and for unknown architectures
        reason = " ".join(str(error).split())[:200].rstrip(".")
        raise R1ReproError(
            f"{file} cannot be read by Transformers ({reason}): give a GGUF file of a model such "
            "as Llama or Qwen, or a folder in HF format"
        ) from error
    # The stored weights are no longer quantized.
    del model.config.quantization_config
    model.hf_quantizer = None
    model.is_quantized = False
    ids = {
        f"{name}_token_id": getattr(tokens, f"{name}_token_id") for name in ("bos", "eos", "pad")
    }
    model.config.update(ids)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(folder)
    tokens.save_pretrained(folder)


def _check_weights(file: Path) -> None:
    """Raise R1ReproError if the file lacks weights of its shape, which would be made at random."""
    import torch
    from gguf import GGUFReader
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = AutoConfig.from_pretrained(file.parent, gguf_file=file.name, local_files_only=True)
    with torch.device("meta"):
        wanted = AutoModelForCausalLM.from_config(shape).num_parameters()
    there = sum(int(one.n_elements) for one in GGUFReader(file).tensors)
    if there < wanted:
        raise R1ReproError(
            f"it has {there:,} of the {wanted:,} weights of its shape: fetch it again, or give a "
            "folder in HF format"
        )


def metadata(file: Path) -> dict[str, Any]:
    """The file's tokenizer metadata, by key."""
    from gguf import GGUFReader

    fields = GGUFReader(file).fields
    return {key: field.contents() for key, field in fields.items() if key.startswith("tokenizer.")}


def tokenizer(told: dict[str, Any]) -> Any:
    """A PreTrainedTokenizerFast of byte-level BPE by the metadata; R1ReproError for other kinds."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
    from tokenizers import pre_tokenizers as split
    from transformers import PreTrainedTokenizerFast

    ggml = {key.removeprefix("tokenizer.ggml."): value for key, value in told.items()}
    kind, pre = ggml.get("model"), ggml.get("pre", "gpt-2")
    if kind != "gpt2" or pre not in SPLITS:
        raise R1ReproError(
            f"its tokenizer is {kind} with {pre}, and only gpt2 with one of {', '.join(SPLITS)} is "
            "accepted: give a folder in HF format"
        )
    tokens, types = ggml["tokens"], ggml["token_type"]
    vocabulary = {token: i for i, token in enumerate(tokens) if types[i] != UNUSED}
    merges = [tuple(merge.split(" ")) for merge in ggml["merges"]]
    raw = Tokenizer(models.BPE(vocabulary, merges, ignore_merges=pre == "llama-bpe"))
    by_words = SPLITS[pre]
    parts: list[Any] = [split.ByteLevel(add_prefix_space=False)]
    if by_words == "digits":
        parts.insert(0, split.Digits(individual_digits=True))
    elif by_words is not None:
        parts = [
            split.Split(Regex(by_words), behavior="isolated"),
            split.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    raw.pre_tokenizer = split.Sequence(parts)
    raw.decoder = decoders.ByteLevel()
    if "qwen" in pre:
        raw.normalizer = normalizers.NFC()
    added = [
        AddedToken(token, special=types[i] == CONTROL, normalized=False)
        for i, token in enumerate(tokens)
        if types[i] in (CONTROL, USER_DEFINED)
    ]
    raw.add_tokens(added)
    return PreTrainedTokenizerFast(tokenizer_object=raw, **_special(raw, ggml, told))


def _special(raw: Any, ggml: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The special tokens and the chat template; text opens with `bos` where the file says so."""
    from tokenizers.processors import TemplateProcessing

    names = {"bos": "bos", "eos": "eos", "pad": "padding", "unk": "unknown"}
    found: dict[str, Any] = {}
    for name, key in names.items():
        if (number := ggml.get(f"{key}_token_id")) is not None:
            found[f"{name}_token"] = ggml["tokens"][number]
    if "eos_token" not in found:
        raise R1ReproError("its tokenizer has no end token: give a folder in HF format")
    found.setdefault("pad_token", found["eos_token"])
    if ggml.get("add_bos_token") and "bos_token" in found:
        opening = found["bos_token"]
        raw.post_processor = TemplateProcessing(
            single=f"{opening} $A", special_tokens=[(opening, ggml["bos_token_id"])]
        )
    if template := told.get("tokenizer.chat_template"):
        found["chat_template"] = template
    return found
