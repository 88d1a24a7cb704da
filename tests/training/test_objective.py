"""The objective against values computed by hand and against TRL's loss."""

import dataclasses
import math

import pytest
import torch
from trl import GRPOTrainer

from r1repro.training import objective
from tests.training.test_grpo_objective import SETTINGS, _ragged_batch, _trainer


def test_advantages_by_hand():
    """Rewards 2, 1, 0, 1: mean 1, sample deviation sqrt(2/3)."""
    rewards = torch.tensor([2.0, 1, 0, 1, 1, 1, 1, 1], dtype=torch.float64)
    found = objective.group_advantages(rewards, 4)
    std = math.sqrt(2 / 3) + 1e-4
    assert found.tolist() == pytest.approx([1 / std, 0, -1 / std, 0, 0, 0, 0, 0])
    plain = objective.group_advantages(rewards, 4, by_std=False)
    assert plain.tolist() == [1, 0, -1, 0, 0, 0, 0, 0]


def test_the_surrogate_by_hand():
    """Clipping removes the gradient above the range if A > 0 and below it if A < 0."""
    ratio = torch.tensor([[0.5, 1.0, 1.5], [0.5, 1.0, 1.5]], requires_grad=True)
    advantages = torch.tensor([2.0, -1.0])
    found = objective.clipped_surrogate(ratio, advantages, 0.2)
    assert found.tolist() == [
        pytest.approx([1.0, 2.0, 2.4]),
        pytest.approx([-0.8, -1.0, -1.5]),
    ]
    found.sum().backward()
    assert ratio.grad.tolist() == [[2.0, 2.0, 0.0], [0.0, -1.0, -1.0]]
    clipped = objective.is_clipped(ratio.detach(), advantages, 0.2)
    assert clipped.tolist() == [[False, False, True], [True, False, False]]
    assert objective.importance_ratio(torch.tensor([0.0]), torch.tensor([-1.0])).item() == (
        pytest.approx(math.e)
    )


def test_lengths_are_normalized_in_three_ways():
    """Completions of one and of three tokens, each token's loss 1 and 2."""
    values = torch.tensor([[1.0, 9, 9], [2, 2, 2]])
    mask = torch.tensor([[1, 0, 0], [1, 1, 1]])
    assert objective.mean_of_completions(values, mask).item() == 1.5
    assert objective.mean_of_tokens(values, mask).item() == 7 / 4
    assert objective.sum_by_constant(values, mask, 10).item() == pytest.approx(7 / 20)
    empty = torch.zeros(2, 3)
    assert objective.mean_of_completions(values, empty).item() == 0


def test_the_loss_by_hand():
    """One token each: A = 1 and -1, ratios e^0.1 and 1, KL 0 and k3 of 0.1 nats."""
    found = objective.grpo_loss(
        torch.tensor([[-1.0], [-2.0]]),
        torch.tensor([[-1.1], [-2.0]]),
        torch.tensor([[-1.0], [-1.9]]),
        torch.tensor([1.0, -1.0]),
        torch.ones(2, 1),
        epsilon=0.2,
        beta=0.5,
    )
    kl = math.exp(0.1) - 0.1 - 1
    assert found.value.item() == pytest.approx((-math.exp(0.1) + 1 + 0.5 * kl) / 2)
    assert not found.clipped_B_T.any()
    halved = objective.grpo_loss(
        torch.zeros(1, 1), torch.zeros(1, 1), None, torch.ones(1), torch.ones(1, 1),
        0.2, 0.0, torch.full((1, 1), 0.5),
    )  # fmt: skip
    assert halved.value.item() == -0.5 and halved.kl_B_T is None


@pytest.mark.parametrize("beta", [0.04, 0.0])
def test_loss_and_gradient_equal_trls(base, tokenizer, tmp_path, beta):
    """In float64, on a ragged off-policy batch; compared with TRL's own `_compute_loss`."""
    trainer = _trainer(base, tokenizer, tmp_path, dataclasses.replace(SETTINGS, beta=beta))
    model = trainer.model.double()
    batch, _ = _ragged_batch(tokenizer)
    for name in ("advantages", "old_per_token_logps", "ref_per_token_logps"):
        batch[name] = batch[name].double()
    model.train()
    trainer.current_gradient_accumulation_steps = 1
    found = []
    for loss_of in (type(trainer)._compute_loss, GRPOTrainer._compute_loss):
        model.zero_grad()
        loss = loss_of(trainer, model, batch)
        loss.backward()
        found.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
    assert found[0][0].dtype == torch.float64
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).abs().max() < 1e-12
    measured = trainer._metrics["train"]
    for name in ("entropy", "clip_ratio/region_mean", *(["kl"] if beta else [])):
        assert measured[name][0] == pytest.approx(measured[name][1], rel=1e-5), name
