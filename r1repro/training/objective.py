"""The objective of GRPO, as pure functions on tensors. The trainer's loss is `grpo_loss`.

The suffix of a name gives its dimensions: B completions, ordered by group, and T tokens, padded on
the right. mask_B_T is 1 for sampled tokens. Logarithms are natural.

Equations are those of DeepSeekMath (arXiv 2402.03300), used by R1 (arXiv 2501.12948).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

STD_FLOOR = 1e-4
"""Added to a group's standard deviation, as TRL does; the papers have no such term."""
MISMATCH_CAP = 2.0
"""Upper clip of the truncated importance ratio between trainer and sampler (Ionides 2008)."""
ROUNDING = 1e-3
"""Largest difference in nats at which two engines agree: their ratio is 1, which changes no bit."""


def group_advantages(rewards_B: Tensor, group_size: int) -> Tensor:
    """A_i = (r_i - mean(r)) / std(r) within each group, for every token (DeepSeekMath 4.1.2).

    The standard deviation is the sample one, with n - 1. Equal rewards give advantages of zero.
    """
    rewards_G_K = rewards_B.view(-1, group_size)
    centred_G_K = rewards_G_K - rewards_G_K.mean(1, keepdim=True)
    return (centred_G_K / (rewards_G_K.std(1, keepdim=True) + STD_FLOOR)).flatten()


def importance_ratio(logps_B_T: Tensor, old_logps_B_T: Tensor) -> Tensor:
    """pi_theta(o_t) / pi_old(o_t), where pi_old is the sampling policy (Eq. 3)."""
    return torch.exp(logps_B_T - old_logps_B_T)


def truncated_weights(logps_B_T: Tensor, sampled_logps_B_T: Tensor) -> Tensor:
    """min(pi_old / pi_sampled, MISMATCH_CAP) of the same weights in trainer and sampler.

    It is 1 where the two differ by at most ROUNDING nats.
    """
    difference_B_T = logps_B_T - sampled_logps_B_T
    weights_B_T = torch.exp(difference_B_T).clamp(max=MISMATCH_CAP)
    return weights_B_T.masked_fill(difference_B_T.abs() <= ROUNDING, 1.0)


def clipped_surrogate(ratio_B_T: Tensor, advantages_B: Tensor, epsilon: float) -> Tensor:
    """min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), to be maximized (Eq. 3)."""
    advantages_B_1 = advantages_B[:, None]
    clipped_B_T = ratio_B_T.clamp(1 - epsilon, 1 + epsilon)
    return torch.min(ratio_B_T * advantages_B_1, clipped_B_T * advantages_B_1)


def is_clipped(ratio_B_T: Tensor, advantages_B: Tensor, epsilon: float) -> Tensor:
    """Tokens whose minimum is the clipped term, so that they have no gradient."""
    advantages_B_1 = advantages_B[:, None]
    too_low = (ratio_B_T < 1 - epsilon) & (advantages_B_1 < 0)
    too_high = (ratio_B_T > 1 + epsilon) & (advantages_B_1 > 0)
    return too_low | too_high


def k3(logps_B_T: Tensor, reference_logps_B_T: Tensor) -> Tensor:
    """pi_ref / pi_theta - log(pi_ref / pi_theta) - 1: unbiased and never negative (Eq. 4)."""
    log_ratio_B_T = reference_logps_B_T - logps_B_T
    return torch.exp(log_ratio_B_T) - log_ratio_B_T - 1


def mean_of_completions(values_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """1/B sum_i 1/|o_i| sum_t: every completion has the same weight (Eq. 3)."""
    return ((values_B_T * mask_B_T).sum(-1) / mask_B_T.sum(-1).clamp(min=1.0)).mean()


@dataclass(frozen=True)
class Loss:
    """The scalar loss, with the KL of each token and whether its ratio is clipped."""

    value: Tensor
    kl_B_T: Tensor | None
    clipped_B_T: Tensor


def grpo_loss(
    logps_B_T: Tensor,
    old_logps_B_T: Tensor,
    reference_logps_B_T: Tensor | None,
    advantages_B: Tensor,
    mask_B_T: Tensor,
    epsilon: float,
    beta: float,
    weights_B_T: Tensor | None = None,
) -> Loss:
    """-J of GRPO (DeepSeekMath Eq. 3): the clipped surrogate minus beta times the KL (k3).

    reference_logps_B_T: None if beta is 0. weights_B_T: truncated importance weights of the
    surrogate's tokens, for samples of an engine with other numerics.
    """
    ratio_B_T = importance_ratio(logps_B_T, old_logps_B_T)
    losses_B_T = -clipped_surrogate(ratio_B_T, advantages_B, epsilon)
    if weights_B_T is not None:
        losses_B_T = losses_B_T * weights_B_T
    kl_B_T = None
    if beta > 0:
        assert reference_logps_B_T is not None
        kl_B_T = k3(logps_B_T, reference_logps_B_T)
        losses_B_T = losses_B_T + beta * kl_B_T
    return Loss(
        mean_of_completions(losses_B_T, mask_B_T),
        None if kl_B_T is None else kl_B_T.detach(),
        is_clipped(ratio_B_T.detach(), advantages_B, epsilon),
    )
