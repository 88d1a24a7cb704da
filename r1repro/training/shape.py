"""A model's architecture and sizes as a Transformers configuration."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from r1repro import gguf, hub
from r1repro.config import ModelConfig, OriginConfig
from r1repro.errors import R1ReproError

ARCHITECTURES: dict[str, type[PreTrainedConfig]] = {
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "llama": LlamaConfig,
}


def described(shape: ModelConfig, **more: Any) -> PreTrainedConfig:
    """The architecture and sizes of the configuration; `more` is passed to Transformers."""
    return ARCHITECTURES[shape.architecture](
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_position,
        tie_word_embeddings=shape.tied,
        **more,
    )


def shape_file(shape: OriginConfig) -> Path | None:
    """The config.json of a local folder or a fetched hub model, or a GGUF file; else None."""
    if shape.path is not None:
        file = Path(shape.path)
        return file if gguf.is_file(shape) else file / "config.json"
    if shape.hub is None:
        return None
    fetched = hub.folder(shape.hub, "model")
    return fetched and fetched / "config.json"


def read(shape: OriginConfig) -> PreTrainedConfig:
    """The Transformers configuration from the file of `shape_file`, else from our configuration.

    Raises R1ReproError for an unknown architecture; runs no code from the folder.
    """
    file = shape_file(shape)
    if file is None:
        assert isinstance(shape, ModelConfig)
        return described(shape)
    try:
        config = AutoConfig.from_pretrained(
            file.parent,
            gguf_file=file.name if gguf.is_file(shape) else None,
            local_files_only=True,
            trust_remote_code=False,
        )
    except Exception as error:  # of many types, some of them the hub library's own
        raise R1ReproError(
            f"{file} describes no model that this version of Transformers knows; give a folder "
            f"with {', '.join(ARCHITECTURES)} or another architecture without custom code"
        ) from error
    assert isinstance(config, PreTrainedConfig)
    return config
