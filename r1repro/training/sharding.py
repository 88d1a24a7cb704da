"""Weights shared out over processes by FSDP2, and made whole where they have to be.

Under FSDP2 (torch's fully_shard) each process holds a part of every weight, gradient and optimizer
state, and a forward pass gathers one layer after the other. All processes have to make it equally
often, which rollouts do not: they are drawn from a whole copy.
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
    """How many processes this stage was started with."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this one is, from 0."""
    return int(os.environ.get("RANK", "0"))


def gather(value: Any) -> list[Any]:
    """Every process's value, in the order of their ranks."""
    if processes() == 1:
        return [value]
    PartialState(cpu=not torch.cuda.is_available())
    return gather_object([value])


def wait() -> None:
    """Until all processes have come here."""
    if processes() > 1:
        torch.distributed.barrier()


def leave() -> None:
    """Go when all are done: one that ends before the others may be aborted, and all with it."""
    if torch.distributed.is_initialized():
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def arguments(engine: EngineConfig) -> dict[str, Any]:
    """What a trainer of transformers is told so that it shares out the model, layer by layer."""
    if not engine.sharded:
        return {}
    return {"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}


def keep_float32(arguments: TrainingArguments, engine: EngineConfig) -> None:
    """Gradients are summed in float32 and what the model gives is left as it is.

    accelerate would round both to engine.precision, in which weights are gathered and layers are
    computed.
    """
    if engine.sharded and engine.precision != "float32":
        assert arguments.fsdp_plugin_args is not None
        arguments.fsdp_plugin_args["mixed_precision_policy"] = MixedPrecisionPolicy(
            param_dtype=getattr(torch, engine.precision), reduce_dtype=torch.float32
        )


def check(arguments: TrainingArguments, model: nn.Module) -> None:
    """Refuse (R1ReproError) to train what should be shared out and is not."""
    if arguments.fsdp and not is_sharded(model):
        raise R1ReproError(
            "engine.sharded=true has shared nothing out, which accelerate does among GPUs only: "
            "run it where there are GPUs, or leave it false"
        )


def is_sharded(model: nn.Module) -> bool:
    """Whether this process has only a part of the weights."""
    return isinstance(model, FSDPModule)


def full(tensor: torch.Tensor) -> torch.Tensor:
    """The whole of a shared tensor, in every process, all of which must ask; others as they are."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shared_as(tensor: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """This process's part of `whole`, which all have, shared out as `tensor` is."""
    if not isinstance(tensor, DTensor):
        return whole
    return distribute_tensor(whole, tensor.device_mesh, tensor.placements, src_data_rank=None)


@torch.no_grad()
def whole(
    model: PreTrainedModel, precision: torch.dtype, device: torch.device, wanted: bool = True
) -> PreTrainedModel | None:
    """An ordinary model with the weights of a shared one; None where it is not `wanted`.

    Every process must call this, wanted or not: the weights are gathered one after the other.
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
