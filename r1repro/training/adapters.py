"""LoRA adapters (Hu et al. 2021) on every linear projection, created and merged within a stage."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import ModulesToSaveWrapper
from torch import nn
from transformers import PreTrainedModel, TrainerCallback

from r1repro.training import sharding

TRAINED = "default"
"""PEFT's name for the trained adapter."""
REFERENCE = "ref"
"""TRL's name for the reference model's adapter."""


def adapted(model: PreTrainedModel, rank: int, alpha: int, seed: int) -> PeftModel:
    """`model` frozen, with new float32 adapters that leave its initial output unchanged.

    The language-model head gets no adapter; a reward model's head is trained in full.
    """
    torch.manual_seed(seed)
    task: Any = "SEQ_CLS" if hasattr(model, "score") else "CAUSAL_LM"
    settings = LoraConfig(r=rank, lora_alpha=alpha, target_modules="all-linear", task_type=task)
    return get_peft_model(model, settings)


def inner(model: nn.Module) -> PreTrainedModel:
    """The base model inside a PeftModel; any other model unchanged."""
    return model.get_base_model() if isinstance(model, PeftModel) else model


class ReferenceSync(TrainerCallback):
    """Copies the trained adapter into the reference's every `ref_model_sync_steps`."""

    @torch.no_grad()
    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step % args.ref_model_sync_steps:
            return
        model = kwargs["model"]
        parameters = dict(getattr(model, "module", model).named_parameters())
        for name, parameter in parameters.items():
            if f".{TRAINED}." in name:
                parameters[name.replace(f".{TRAINED}.", f".{REFERENCE}.")].copy_(parameter)


@torch.no_grad()
def whole(model: nn.Module, wanted: bool = True) -> PreTrainedModel | None:
    """A plain model equivalent to `model`; None in a process where it is not `wanted`.

    Returns `model` itself, or a copy on the CPU if weights are sharded (every process must call
    this) or adapters have to be merged: into the weights of the folder that `model` came from, in
    the precision of the frozen ones. A quantized model is thus merged into unquantized weights.
    """
    if sharding.is_sharded(model):
        return sharding.whole(model, torch.float32, torch.device("cpu"), wanted)
    if not wanted:
        return None
    if not isinstance(model, PeftModel):
        return model
    trained = model.get_base_model()
    head = {"num_labels": trained.config.num_labels} if hasattr(trained, "score") else {}
    plain = type(trained).from_pretrained(
        trained.config._name_or_path,
        dtype=trained.get_input_embeddings().weight.dtype,
        local_files_only=True,
        use_safetensors=True,
        trust_remote_code=False,
        **head,
    )
    plain.config.pad_token_id = trained.config.pad_token_id
    modules = dict(plain.named_modules())
    for name, module in trained.named_modules():
        if isinstance(module, LoraLayer):
            modules[name].weight.copy_(_merged(modules[name].weight, module))
        elif isinstance(module, ModulesToSaveWrapper):
            modules[name].load_state_dict(module.modules_to_save[TRAINED].state_dict())
    return plain


@contextmanager
def merged(model: nn.Module) -> Iterator[None]:
    """Within it, the trained adapters are merged into the frozen weights, rounded as in `whole`.

    Otherwise each of sampling's many small passes would compute two narrow float32 products beside
    every projection. Changes below the precision of the weights are lost, as in what is saved; GRPO
    weights its tokens for the difference. Afterwards the frozen weights, which are kept beside the
    merged ones, are bit-identical. Not for 4-bit weights.
    """
    layers = [module for module in model.modules() if isinstance(module, LoraLayer)]
    frozen = [layer.get_base_layer().weight.data for layer in layers]
    try:
        with torch.no_grad():
            for layer in layers:
                weight = layer.get_base_layer().weight
                weight.data = _merged(weight, layer)
                layer.merged_adapters.append(TRAINED)  # PEFT then skips the adapter
        yield
    finally:
        for layer, data in zip(layers, frozen, strict=True):
            layer.get_base_layer().weight.data = data
            layer.merged_adapters.clear()


@torch.no_grad()
def whole_weights(model: PeftModel) -> Iterator[tuple[str, torch.Tensor]]:
    """Names and weights of `whole(model)`, one at a time, each merged on demand.

    Leaves the weights of `model` bit-identical. Not for 4-bit weights.
    """
    trained = model.get_base_model()
    modules = dict(trained.named_modules())
    for name, parameter in trained.named_parameters():
        if model.prefix in name:  # adapter weight
            continue
        module = modules[name.rpartition(".")[0].removesuffix(".base_layer")]
        adapted = isinstance(module, LoraLayer) and name.endswith(".base_layer.weight")
        weight = _merged(parameter, module) if adapted else parameter.detach()
        yield name.replace(".base_layer.", "."), weight


def _merged(weight: torch.Tensor, module: LoraLayer) -> torch.Tensor:
    """W + BA, added in float32 and rounded once."""
    delta = module.get_delta_weight(TRAINED).to(weight.device, torch.float32)
    return (weight.float() + delta).to(weight.dtype)
