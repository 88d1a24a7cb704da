"""The estimators of the KL: by hand, and their exact means, variances and gradients."""

import math

import pytest
import torch

from r1repro.training.kl import (
    ESTIMATORS,
    coefficients,
    exact_gradient,
    exact_kl,
    expected_gradient,
    gradient_variance,
    k1,
    k2,
    k3,
)

POLICY = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log()
REFERENCE = torch.tensor([0.25, 0.25, 0.5], dtype=torch.float64).log()
TWO = math.log(2)


def _random(seed):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    return draw.log_softmax(-1)


def test_estimators_of_kl_by_hand():
    """Two tokens with pi 0.2 and 0.4, to which the reference gives 0.4 each."""
    policy, reference = torch.tensor([[0.2, 0.4]]).log(), torch.tensor([[0.4, 0.4]]).log()
    two = math.log(2)
    assert k1(policy, reference)[0].tolist() == pytest.approx([-two, 0])
    assert k2(policy, reference)[0].tolist() == pytest.approx([two**2 / 2, 0])
    assert k3(policy, reference)[0].tolist() == pytest.approx([2 - two - 1, 0])


def test_k1_and_k3_are_unbiased_and_k2_is_not():
    """Exactly, over a vocabulary of four."""
    policy = torch.tensor([0.4, 0.3, 0.2, 0.1], dtype=torch.float64)
    reference = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    exact = (policy * (policy / reference).log()).sum()
    found = {
        name: (policy * estimator(policy.log(), reference.log())).sum()
        for name, estimator in ESTIMATORS.items()
    }
    assert found["k1"] == pytest.approx(exact) and found["k3"] == pytest.approx(exact)
    assert abs(found["k2"] - exact) > 0.01


def test_exact_kl_by_hand():
    """(1/2) log 2 + (1/4) log 1 + (1/4) log(1/2) = (log 2) / 4."""
    assert exact_kl(POLICY, REFERENCE).item() == pytest.approx(TWO / 4)
    assert exact_kl(POLICY, POLICY).item() == 0


def test_exact_gradient_by_hand():
    """pi(v) (log(pi(v) / pi_ref(v)) - KL), with log-ratios log 2, 0 and -log 2."""
    expected = [0.5 * TWO * (1 - 1 / 4), 0.25 * TWO * (0 - 1 / 4), 0.25 * TWO * (-1 - 1 / 4)]
    assert exact_gradient(POLICY, REFERENCE).tolist() == pytest.approx(expected)


def test_coefficients_by_hand():
    """In the loss k1 gives 1, k2 log(pi / pi_ref), k3 1 - pi_ref / pi; in the reward the value."""
    for name, expected in (
        ("k1", [1, 1, 1]),
        ("k2", [TWO, 0, -TWO]),
        ("k3", [0.5, 0, -1]),
    ):
        estimator = ESTIMATORS[name]
        found = coefficients(estimator, POLICY, REFERENCE, "loss")
        assert found.tolist() == pytest.approx(expected), name
        value = coefficients(estimator, POLICY, REFERENCE, "reward")
        assert torch.equal(value, estimator(POLICY, REFERENCE))
    with pytest.raises(ValueError, match="not in 'nowhere'"):
        coefficients(k1, POLICY, REFERENCE, "nowhere")


def test_which_estimators_have_the_gradient_of_the_kl():
    """k1 in the reward and k2 in the loss do; k1 in the loss has none; k3 in the loss has that of
    KL(pi_ref, pi)."""
    policy, reference = _random(1), _random(2)
    exact = exact_gradient(policy, reference)

    def mean(name, place):
        found = coefficients(ESTIMATORS[name], policy, reference, place)
        return expected_gradient(found, policy)

    assert torch.allclose(mean("k1", "reward"), exact)
    assert torch.allclose(mean("k2", "loss"), exact)
    assert torch.allclose(mean("k1", "loss"), torch.zeros_like(exact))
    forward = policy.exp() - reference.exp()  # of -sum_v pi_ref(v) log pi(v)
    assert torch.allclose(mean("k3", "loss"), forward)
    for name in ("k2", "k3"):
        assert (mean(name, "reward") - exact).abs().max() > 0.01, name
    assert (mean("k3", "loss") - exact).abs().max() > 0.01


def test_gradient_and_variance_are_those_of_sampling():
    """Against an explicit sum over tokens of c(v) (e_v - pi)."""
    policy, reference = _random(3)[0, 0], _random(4)[0, 0]
    found = coefficients(k3, policy, reference, "loss")
    each = found[:, None] * (torch.eye(7, dtype=torch.float64) - policy.exp())
    mean = (policy.exp()[:, None] * each).sum(0)
    assert torch.allclose(expected_gradient(found, policy), mean)
    spread = (policy.exp() * (each - mean).square().sum(1)).sum()
    assert gradient_variance(found, policy).item() == pytest.approx(spread.item())
