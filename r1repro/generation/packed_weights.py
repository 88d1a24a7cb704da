"""Projections whose bfloat16 weights are laid out once for a CPU's matrix products.

A plain `linear` lays its weight out at every call, which for the few rows of a sampled token takes
up to as long as the product. The cost is a second copy of the projections in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.nn import Linear

PRODUCTS = torch.ops.mkldnn


def packs() -> bool:
    """Whether this machine's CPU and PyTorch multiply bfloat16 by oneDNN."""
    switched_on = torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled
    return switched_on and PRODUCTS._is_mkldnn_bf16_supported()


@contextmanager
def packed(model: torch.nn.Module, rows: int) -> Iterator[None]:
    """Within it, bfloat16 projections on the CPU use copies of their weights made for `rows` rows.

    Other numbers of rows give the same results. The weights must not change within.
    """
    layers = [layer for layer in model.modules() if _suits(layer)] if packs() else []
    try:
        for layer in layers:
            weight = PRODUCTS._reorder_linear_weight(layer.weight, rows)
            layer.forward = partial(_product, weight, layer.bias)
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


def _suits(layer: torch.nn.Module) -> bool:
    return (
        type(layer) is Linear
        and layer.weight.dtype == torch.bfloat16
        and layer.weight.device.type == "cpu"
        and "forward" not in vars(layer)  # something else has replaced it
    )


def _product(weight: torch.Tensor, bias: torch.Tensor | None, states: torch.Tensor) -> torch.Tensor:
    return PRODUCTS._linear_pointwise(states, weight, bias, "none", [], "")
