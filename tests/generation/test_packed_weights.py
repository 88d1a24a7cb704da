"""Projections with their weights laid out beforehand against plain ones."""

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from r1repro.generation import packed_weights as subject
from r1repro.generation.packed_weights import packed
from r1repro.generation.rollouts import Sampling, sample
from tests.tiny import SHAPE

PACKS = subject.packs()
"""Elsewhere nothing is laid out, and the results must be the plain ones all the same."""


@pytest.fixture
def used(monkeypatch):
    """Grows by one for each product with a weight that was laid out."""
    found, product = [], subject._product
    monkeypatch.setattr(subject, "_product", lambda *given: found.append(1) or product(*given))
    return found


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(48, 96), nn.SiLU(), nn.Linear(96, 40, bias=False)).bfloat16()


@torch.inference_mode()
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_results_are_those_of_plain_projections(model, rows, used):
    states = torch.randn(rows, 3, 48).bfloat16()
    expected = model(states)
    with packed(model, 64):
        found = model(states)
    assert len(used) == (2 if PACKS else 0)
    # At most one step of bfloat16, should one of them round elsewhere
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=2**-8)


@torch.inference_mode()
def test_weights_changed_afterwards_are_used(model):
    states = torch.randn(2, 48).bfloat16()
    with pytest.raises(KeyError), packed(model, 2):
        raise KeyError
    model[0].weight.zero_()
    model[0].bias.zero_()
    assert not model(states).any()


@torch.inference_mode()
def test_float32_and_replaced_layers_stay_as_they_are(model):
    replaced = model[2]
    replaced.forward = lambda states: states.sum(-1)
    exact = nn.Linear(40, 8)
    with packed(nn.ModuleList([model, exact]), 2):
        assert ("forward" in vars(model[0])) == PACKS and "forward" not in vars(exact)
        assert model(torch.zeros(2, 48).bfloat16()).shape == (2,)
    assert "forward" in vars(replaced) and "forward" not in vars(model[0])


def test_the_sampler_uses_them(used, monkeypatch):
    torch.manual_seed(0)
    shape = dict(SHAPE, vocab_size=40, max_position_embeddings=64, initializer_range=0.4)
    model = LlamaForCausalLM(LlamaConfig(**shape)).bfloat16().eval()

    def drawn():
        return sample(
            model, [[5, 6, 7]] * 4 + [[8, 9]] * 4, Sampling(12, temperature=0), end_ids=[1],
            pad_id=0, seed=0, with_logps=True,
        )  # fmt: skip

    found = drawn()
    count = len(used)
    assert bool(count) == PACKS
    assert not any("forward" in vars(layer) for layer in model.modules())
    monkeypatch.setattr(subject, "packs", lambda: False)
    plain = drawn()
    assert len(used) == count
    for one, other in zip(found, plain, strict=True):
        # Later tokens may differ where two are equally likely to within a rounding of bfloat16.
        assert one.logps[0] == pytest.approx(other.logps[0], abs=2**-4)
