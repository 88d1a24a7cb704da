"""The softmax of some rows at a time is that of all rows, to the bit."""

import pytest
import torch

from r1repro.training import logprobs
from tests.live_bytes import LiveBytes


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_label_logps_equal_those_of_a_whole_softmax(kind, temperature, monkeypatch):
    monkeypatch.setattr(logprobs, "CPU_CHUNK", 300 * 7)  # 7 rows at a time, and 4 are left
    random = torch.Generator().manual_seed(0)
    logits = (3 * torch.randn(60, 300, generator=random)).to(kind)
    labels = torch.randint(0, 300, (60,), generator=random)
    weights = torch.randn(60, generator=random)
    one, other = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    wide = torch.promote_types(kind, torch.float32)
    whole = (one.to(wide) / temperature).log_softmax(-1)
    expected = whole.gather(1, labels[:, None])[:, 0]
    found, entropies = logprobs.LabelLogps.apply(other, labels, temperature, True)
    assert found.dtype == wide and torch.equal(found, expected)
    assert torch.equal(entropies, -(whole.exp() * whole).sum(-1)) and not entropies.requires_grad
    (expected * weights).sum().backward()
    (found * weights).sum().backward()
    assert torch.equal(one.grad, other.grad)


def test_label_logps_of_no_rows_are_none():
    logits = torch.zeros(0, 5, requires_grad=True)
    found, _ = logprobs.LabelLogps.apply(logits, torch.zeros(0, dtype=torch.long), 1.0, False)
    found.sum().backward()
    assert found.shape == (0,) and logits.grad.shape == (0, 5)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_beside_the_logits_only_one_chunk_is_held(kind, temperature, monkeypatch):
    rows, words, at_once = 400, 1_000, 40
    monkeypatch.setattr(logprobs, "CPU_CHUNK", at_once * words)
    logits = torch.randn(rows, words).to(kind).requires_grad_()
    labels = torch.randint(0, words, (rows,))
    with LiveBytes([logits, labels]) as live:
        found, _ = logprobs.LabelLogps.apply(logits, labels, temperature, True)
        forward = live.peak
        found.sum().backward()
    chunk = at_once * words * 4
    assert forward < 4 * chunk, "much less than the softmax of all rows, which is ten chunks"
    gradient = logits.numel() * logits.element_size()
    assert gradient < live.peak < gradient + 4 * chunk
