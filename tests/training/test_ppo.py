"""PPO's parts against values computed by hand."""

import math

import pytest
import torch

from r1repro.training import objective, ppo

NOTHING = torch.zeros(1, 3)
WHOLE = torch.ones(1, 3)


def test_the_reward_is_at_the_last_token_and_the_kl_at_every_one():
    """Two completions, of three tokens and of one; pi / pi_ref is e, 1 and 1/e, then e."""
    logps = torch.tensor([[-1.0, -2, -3], [-1, 0, 0]])
    reference = torch.tensor([[-2.0, -2, -2], [-2, 9, 9]])
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    found = ppo.rewards_with_kl(torch.tensor([1.0, 0.5]), logps, reference, mask, beta=0.1)
    assert found.tolist() == [pytest.approx([-0.1, 0, 1.1]), pytest.approx([0.4, 0, 0])]
    with pytest.raises(ValueError, match="no token"):
        ppo.rewards_with_kl(torch.ones(2), logps, reference, mask * 0, beta=0.1)


def test_gae_by_hand():
    """Reward 1 at the end, values 0.5, 0.6, 0.8: deltas 0.1, 0.2, 0.2 without discount."""
    rewards, values = torch.tensor([[0.0, 0, 1]]), torch.tensor([[0.5, 0.6, 0.8]])
    half = ppo.gae(rewards, values, WHOLE, gamma=1.0, lam=0.5)
    assert half.tolist()[0] == pytest.approx([0.1 + 0.5 * 0.3, 0.2 + 0.5 * 0.2, 0.2])
    steps = ppo.gae(rewards, values, WHOLE, gamma=1.0, lam=0.0)
    assert steps.tolist()[0] == pytest.approx([0.1, 0.2, 0.2])
    whole = ppo.gae(rewards, values, WHOLE, gamma=1.0, lam=1.0)
    assert whole.tolist()[0] == pytest.approx([0.5, 0.4, 0.2]), "the return minus the value"
    discounted = ppo.gae(rewards, values, WHOLE, gamma=0.9, lam=1.0)
    assert discounted.tolist()[0] == pytest.approx([0.81 - 0.5, 0.9 - 0.6, 0.2])


def test_a_terminal_reward_fades_with_lambda():
    """With values of 0 and gamma 1, the token t of L has lambda^(L - 1 - t) of the reward."""
    rewards = torch.zeros(1, 200, dtype=torch.float64)
    rewards[0, -1] = 1
    found = ppo.gae(rewards, rewards * 0, torch.ones_like(rewards), gamma=1.0, lam=0.95)[0]
    assert found[0].item() == pytest.approx(0.95**199) and found[-2].item() == 0.95


def test_padding_changes_nothing():
    rewards, values = torch.tensor([[0.0, 1, 7, 7]]), torch.tensor([[0.2, 0.4, 5, 5]])
    mask = torch.tensor([[1, 1, 0, 0]])
    long = ppo.gae(rewards * mask, values, mask, 0.9, 0.8)
    short = ppo.gae(rewards[:, :2], values[:, :2], mask[:, :2], 0.9, 0.8)
    assert torch.equal(long[:, :2], short) and not long[:, 2:].any()


def test_whitened():
    """1, 2 and 6: mean 3, sample deviation sqrt(7); the masked 100 does not count."""
    values, mask = torch.tensor([[1.0, 2], [6, 100]]), torch.tensor([[1, 1], [1, 0]])
    std = math.sqrt(7) + objective.STD_FLOOR
    found = ppo.whiten(values, mask)
    assert found.flatten().tolist() == pytest.approx([-2 / std, -1 / std, 3 / std, 0])
    single = ppo.whiten(values, torch.tensor([[1, 0], [0, 0]]))
    assert not single.any() and not single.isnan().any()


def test_the_critics_loss_by_hand():
    """Returns 1. V: inside the range, past it towards the return, past it away from the return."""
    old = torch.tensor([[0.0, 0.0, 0.0]])
    values = torch.tensor([[0.1, 0.8, -0.8]], requires_grad=True)
    loss = ppo.value_loss(values, old, WHOLE, WHOLE, epsilon=0.2)
    assert loss.item() == pytest.approx((0.9**2 + 0.8**2 + 1.8**2) / 3 / 2)
    loss.backward()
    assert values.grad.tolist()[0] == pytest.approx([-0.9 / 3, 0, -1.8 / 3])


def test_the_actors_loss_is_grpos_with_an_advantage_for_every_token():
    """Eq. 1: ratios 1, e^0.1 and e^0.5 (clipped at 1.2), advantages 1, -1 and 2."""
    logps = torch.tensor([[-1.0, -1, -1]])
    old = torch.tensor([[-1.0, -1.1, -1.5]])
    found = objective.grpo_loss(logps, old, None, torch.tensor([[1.0, -1, 2]]), WHOLE, 0.2, 0.0)
    assert found.value.item() == pytest.approx(-(1 - math.exp(0.1) + 2.4) / 3)
    assert found.clipped_B_T.tolist() == [[False, False, True]]


def test_grpo_is_ppo_whose_critic_knows_the_groups_mean():
    """lambda 1, gamma 1, no KL, values of the group's mean: A = r - mean for every token."""
    rewards, mask = torch.tensor([1.0, 0, 0, 1]), torch.tensor([[1, 1, 1], [1, 0, 0]] * 2)
    by_token = ppo.rewards_with_kl(rewards, mask * 0.0, mask * 0.0, mask, beta=0.0)
    found = ppo.gae(by_token, mask * rewards.mean(), mask, gamma=1.0, lam=1.0)
    group = objective.group_advantages(rewards, 4, by_std=False)
    assert torch.equal(found, group[:, None] * mask)
