"""Weights sharded over processes by FSDP2, and gathered where whole weights are needed.

Under FSDP2 (torch's fully_shard) each process holds a shard of every weight, gradient and optimizer
state, and a forward pass gathers one layer at a time, so all processes must make the same number of
passes. Rollouts do not, so they sample from a gathered copy.
"""

import os
from typing import Any

import torch
from accelerate import PartialState, init_empty_weights
from accelerate.utils import gather_object, set_module_tensor_to_device
from torch import nn
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import PreTrainedModel, TrainingArguments

from r1repro.config import EngineConfig
from r1repro.errors import R1ReproError


def processes() -> int:
    """Number of processes of this stage."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Rank of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def gather(value: Any) -> list[Any]:
    """Every process's value, by rank."""
    if processes() == 1:
        return [value]
    PartialState(cpu=not torch.cuda.is_available())
    return gather_object([value])


def wait() -> None:
    """Block until every process gets here."""
    if processes() > 1:
        torch.distributed.barrier()


def leave() -> None:
    """Wait for all processes, then leave the group: an early exit could abort the others."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def arguments(engine: EngineConfig) -> dict[str, Any]:
    """Trainer arguments that shard the model layer by layer."""
    if not engine.sharded:
        return {}
    return {"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}


def keep_float32(arguments: TrainingArguments, engine: EngineConfig) -> None:
    """Reduce gradients in float32 and leave the model's outputs uncast.

    accelerate would cast both to engine.precision, which is meant for weights and computation.
    """
    if engine.sharded and engine.precision != "float32":
        assert arguments.fsdp_plugin_args is not None
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(
            param_dtype=getattr(torch, engine.precision), reduce_dtype=torch.float32
        )


def check(arguments: TrainingArguments, model: nn.Module) -> None:
    """Raise R1ReproError if engine.sharded=true did not shard the model."""
    if arguments.fsdp and not is_sharded(model):
        raise R1ReproError(
            "engine.sharded=true sharded nothing, since accelerate shards on GPUs only; run on "
            "GPUs or set engine.sharded=false"
        )


def is_sharded(model: nn.Module) -> bool:
    """Whether this process holds only a shard of the weights."""
    return isinstance(model, FSDPModule)


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a sharded tensor (every process must call this); any other tensor unchanged."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_as(tensor: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """This process's shard of `whole`, which every process holds, sharded like `tensor`."""
    if not isinstance(tensor, DTensor):
        return whole
    return distribute_tensor(whole, tensor.device_mesh, tensor.placements, src_data_rank=None)


@torch.no_grad()
def whole(
    model: PreTrainedModel, precision: torch.dtype, device: torch.device, wanted: bool = True
) -> PreTrainedModel | None:
    """A plain model with the gathered weights of a sharded one; None if not `wanted`.

    Every process must call this, wanted or not, since weights are gathered one by one.
    """
    kind = next(k for k in type(model).__mro__ if not issubclass(k, FSDPModule))
    with init_empty_weights(include_buffers=False):
        plain = kind(model.config)
    for name, parameter in model.named_parameters():
        weight = full(parameter)
        if wanted:
            set_module_tensor_to_device(plain, name, device, weight, precision)
    if not wanted:
        return None
    plain.tie_weights()
    if plain.can_generate():
        plain.generation_config = model.generation_config
    return plain.to(device)
