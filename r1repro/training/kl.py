"""The estimators k1, k2, k3 of the KL divergence, the exact KL, and what they do on average.

An estimate is random, since its token is sampled; sums over the vocabulary V give exact means,
variances and expected gradients. logps_V and reference_logps_V are whole distributions, of any
leading shape; gradients are with respect to the logits. Suffixes as in objective.py; Eq. 4 is
DeepSeekMath's (arXiv 2402.03300).

In the loss an estimator is differentiated itself; in the reward its value multiplies grad log pi
(Liu et al. 2025, arXiv 2510.01555).
"""

from collections.abc import Callable

import torch
from torch import Tensor

Estimator = Callable[[Tensor, Tensor], Tensor]
"""(log pi, log pi_ref) of the sampled tokens to their estimates, as k1, k2 and k3."""


def k1(logps_B_T: Tensor, reference_logps_B_T: Tensor) -> Tensor:
    """log(pi_theta / pi_ref): unbiased for KL(pi_theta, pi_ref) under pi_theta; may be negative."""
    return logps_B_T - reference_logps_B_T


def k2(logps_B_T: Tensor, reference_logps_B_T: Tensor) -> Tensor:
    """(log(pi_theta / pi_ref))^2 / 2: biased, never negative."""
    return (logps_B_T - reference_logps_B_T).square() / 2


def k3(logps_B_T: Tensor, reference_logps_B_T: Tensor) -> Tensor:
    """pi_ref / pi_theta - log(pi_ref / pi_theta) - 1: unbiased and never negative (Eq. 4)."""
    log_ratio_B_T = reference_logps_B_T - logps_B_T
    return torch.exp(log_ratio_B_T) - log_ratio_B_T - 1


ESTIMATORS: dict[str, Estimator] = {"k1": k1, "k2": k2, "k3": k3}


def exact_kl(logps_V: Tensor, reference_logps_V: Tensor) -> Tensor:
    """KL(pi, pi_ref) = sum_v pi(v) log(pi(v) / pi_ref(v)) in nats, over the last dimension."""
    return (logps_V.exp() * (logps_V - reference_logps_V)).sum(-1)


def exact_gradient(logps_V: Tensor, reference_logps_V: Tensor) -> Tensor:
    """The gradient of `exact_kl` with respect to the logits of pi."""
    return _differentiated(
        lambda logits_V: exact_kl(logits_V.log_softmax(-1), reference_logps_V), logps_V
    )


def coefficients(
    estimator: Estimator, logps_V: Tensor, reference_logps_V: Tensor, place: str
) -> Tensor:
    """The factor of grad log pi(v) for a sampled v in the gradient of the KL term.

    place: "loss" differentiates the estimate with respect to log pi(v); "reward" takes its value.
    """
    if place == "reward":
        return estimator(logps_V, reference_logps_V)
    if place == "loss":
        return _differentiated(lambda own_V: estimator(own_V, reference_logps_V), logps_V)
    raise ValueError(f"a KL term is in the loss or in the reward, not in {place!r}")


def expected_gradient(coefficients_V: Tensor, logps_V: Tensor) -> Tensor:
    """E_v[c(v) grad log pi(v)] with respect to the logits, whose grad log pi(v) is e_v - pi."""
    probability_V = logps_V.exp()
    weighted_V = probability_V * coefficients_V
    return weighted_V - probability_V * weighted_V.sum(-1, keepdim=True)


def gradient_variance(coefficients_V: Tensor, logps_V: Tensor) -> Tensor:
    """E ||c(v) grad log pi(v) - mean||^2 of one sampled token, summed over the logits."""
    probability_V = logps_V.exp()
    length_V = 1 - 2 * probability_V + probability_V.square().sum(-1, keepdim=True)
    second = (probability_V * coefficients_V.square() * length_V).sum(-1)
    return second - expected_gradient(coefficients_V, logps_V).square().sum(-1)


def _differentiated(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    with torch.enable_grad():
        variable = at.detach().clone().requires_grad_()
        (gradient,) = torch.autograd.grad(function(variable).sum(), variable)
    return gradient
