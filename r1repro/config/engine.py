"""How models are loaded, trained and sampled, and in which processes."""

from dataclasses import dataclass
from typing import Annotated

from r1repro.config.ranges import Count, OneOf, Within


@dataclass(frozen=True)
class EngineConfig:
    """How models are loaded, trained and sampled.

    precision: "auto" is replaced when the settings are composed. Full fine-tuning keeps float32
        weights under autocast; frozen weights (LoRA, or models that only sample) have this
        precision.
    attention: attention implementation, as named by transformers.
    sharded: shard weights, gradients and optimizer state over the processes (FSDP2); rollouts use
        a full copy of the weights.
    lora_rank: rank of the adapters, which are merged at the end of a stage. quantized: frozen
        weights in 4 bits (QLoRA).
    rollouts: our sampler ("own"), vLLM in the same process ("vllm"), or vLLM on the server at
        `vllm_server` ("vllm_server"; only in training, sampling with fixed weights is in-process).
    report_to: where the trainers log besides metrics.parquet.
    """

    precision: Annotated[str, OneOf(("auto", "float32", "bfloat16"))] = "float32"
    attention: Annotated[str, OneOf(("sdpa", "eager", "flash_attention_2"))] = "sdpa"
    gradient_checkpointing: bool = False
    sharded: bool = False
    lora_rank: Annotated[int, Within(0, 4096, "0, which trains the whole weights, or more")] = 0
    lora_alpha: Count = 64
    quantized: bool = False
    unsloth: bool = False
    rollouts: Annotated[str, OneOf(("own", "vllm", "vllm_server"))] = "own"
    vllm_server: str = "http://localhost:8000"
    report_to: Annotated[str, OneOf(("none", "tensorboard", "wandb", "trackio"))] = "none"


PLAIN_ENGINE = EngineConfig()
"""Full models in float32, our sampler."""


@dataclass(frozen=True)
class LaunchConfig:
    """Number of processes of a training stage (started by `accelerate launch` if above one).

    Every process holds the whole model, unless engine.sharded is true.
    cluster: where `r1repro run` runs: "here", or as a submitit job on "slurm" or in the background
        ("local"). A Slurm job gets one GPU per process, and `hours`, `cpus` and `memory` (GiB).
    """

    processes: Count = 1
    cluster: Annotated[str, OneOf(("here", "local", "slurm"))] = "here"
    partition: str | None = None
    hours: Count = 24
    cpus: Count = 8
    memory: Count = 64
