"""Muon for hidden matrices and AdamW for the rest, as one optimizer."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from r1repro.training import sharding

TOGETHER = 2**27
"""Weights that Muon updates at a time, in matrices of equal shape; larger stacks are no faster."""


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024) for hidden matrices, AdamW for embeddings, norms and heads.

    One optimizer with two parameter groups, so any learning-rate schedule applies to both. Muon's
    update is scaled by 0.2 sqrt(max(rows, columns)) to AdamW's RMS (Liu et al. 2025, Eq. 4), so
    both rates have the same order of magnitude. `torch.optim.Muon` runs Newton-Schulz in bfloat16,
    which is 10 to 20 times slower on CPUs that only emulate it.
    """

    def __init__(
        self, model: nn.Module, lr_matrices: float, lr_rest: float, weight_decay: float = 0.0
    ):
        matrices, rest = split_parameters(model)
        groups = [{"params": matrices, "lr": lr_matrices}, {"params": rest, "lr": lr_rest}]
        super().__init__(groups, {"weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        matrices, rest = self.param_groups
        self._step_muon(matrices)
        self._step_adamw(rest)

    def _step_muon(self, group: dict[str, Any], momentum: float = 0.95) -> None:
        by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["momentum"] = torch.zeros_like(parameter)
            state["momentum"].lerp_(parameter.grad, 1 - momentum)
            by_shape.setdefault(tuple(sorted(parameter.shape)), []).append(parameter)
        for shape, members in by_shape.items():
            scale = group["lr"] * 0.2 * max(shape) ** 0.5
            some = max(1, TOGETHER // math.prod(shape))
            for start in range(0, len(members), some):
                chunk = members[start : start + some]
                wide = []
                for parameter in chunk:
                    assert parameter.grad is not None
                    nesterov = parameter.grad.lerp(self.state[parameter]["momentum"], momentum)
                    nesterov = sharding.full(nesterov)
                    wide.append(nesterov.T if nesterov.shape[0] > nesterov.shape[1] else nesterov)
                for parameter, update in zip(chunk, orthogonalize(torch.stack(wide)), strict=True):
                    update = update if update.shape == parameter.shape else update.T
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    update = sharding.shared_as(parameter, update.to(parameter.dtype))
                    parameter.add_(update, alpha=-scale)

    def _step_adamw(
        self, group: dict[str, Any], beta1: float = 0.9, beta2: float = 0.95, eps: float = 1e-8
    ) -> None:
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["mean"] = torch.zeros_like(parameter)
                state["square"] = torch.zeros_like(parameter)
            state["step"] += 1
            step = state["step"].item()
            state["mean"].lerp_(parameter.grad, 1 - beta1)
            state["square"].mul_(beta2).addcmul_(parameter.grad, parameter.grad, value=1 - beta2)
            scale = (state["square"] / (1 - beta2**step)).sqrt_().add_(eps)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            parameter.addcdiv_(state["mean"], scale, value=-group["lr"] / (1 - beta1**step))


def orthogonalize(updates_N_R_C: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Nearly orthogonal matrices with the row and column spaces of N wide matrices (R <= C).

    Muon's quintic Newton-Schulz iteration with Jordan's coefficients; singular values end in about
    0.7 to 1.2. Runs in bfloat16 on GPUs and float32 elsewhere.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = updates_N_R_C.to(torch.bfloat16 if updates_N_R_C.is_cuda else torch.float32)
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + torch.baddbmm(b * gram, gram, gram, alpha=c) @ x
    return x


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(hidden matrices, other parameters) of a language or reward model, trainable ones only.

    LoRA factors count as others: Muon would orthogonalize them, and only their product matters.
    """
    heads = (model.get_output_embeddings(), getattr(model, "score", None))
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding)]
    tables += [head for head in heads if head is not None]
    excluded = {id(parameter) for module in tables for parameter in module.parameters()}
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            table = id(parameter) in excluded or ".lora_" in name
            (rest if table or parameter.ndim != 2 else matrices).append(parameter)
    return matrices, rest
