"""The objective of GRPO, as pure functions on tensors. The trainer's loss is `grpo_loss`.

The suffix of a name gives its dimensions: B completions, ordered by group, and T tokens, padded on
the right. mask_B_T is 1 for sampled tokens. Logarithms are natural. Equations are DeepSeekMath's
(arXiv 2402.03300), used by R1 (arXiv 2501.12948), and for the variants those of Dr. GRPO
(arXiv 2503.20783).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from r1repro.training.kl import Estimator, k1, k3

STD_FLOOR = 1e-4
"""Added to a group's standard deviation, as TRL does; the papers have no such term."""
MISMATCH_CAP = 2.0
"""Upper clip of the truncated importance ratio between trainer and sampler (Ionides 2008)."""
ROUNDING = 1e-3
"""Largest difference in nats at which two engines agree: their ratio is 1, which changes no bit."""


def group_advantages(rewards_B: Tensor, group_size: int, by_std: bool = True) -> Tensor:
    """A_i = (r_i - mean(r)) / std(r) within each group, for every token (DeepSeekMath 4.1.2).

    by_std: false omits the division (Dr. GRPO, Eq. 4). The standard deviation is the sample one,
    with n - 1. Equal rewards give advantages of zero.
    """
    rewards_G_K = rewards_B.view(-1, group_size)
    centred_G_K = rewards_G_K - rewards_G_K.mean(1, keepdim=True)
    if by_std:
        centred_G_K = centred_G_K / (rewards_G_K.std(1, keepdim=True) + STD_FLOOR)
    return centred_G_K.flatten()


def advantages_of(rewards_B: Tensor, group_size: int, kind: str) -> Tensor:
    """The advantage of every completion, by its name in ObjectiveConfig.

    "group" and "centred" are `group_advantages` with and without the division; "reward" is the
    reward itself, by which online RFT learns (DeepSeekMath Eq. 10).
    """
    if kind == "reward":
        return rewards_B
    return group_advantages(rewards_B, group_size, by_std={"group": True, "centred": False}[kind])


def importance_ratio(logps_B_T: Tensor, old_logps_B_T: Tensor) -> Tensor:
    """pi_theta(o_t) / pi_old(o_t), where pi_old is the sampling policy (Eq. 3)."""
    return torch.exp(logps_B_T - old_logps_B_T)


def truncated_weights(logps_B_T: Tensor, sampled_logps_B_T: Tensor) -> Tensor:
    """min(pi_old / pi_sampled, MISMATCH_CAP): the policy in the trainer and in the sampler.

    Both have the same parameters, but the sampler merges and rounds adapters. The result is 1 where
    the two differ by at most ROUNDING nats.
    """
    difference_B_T = logps_B_T - sampled_logps_B_T
    weights_B_T = torch.exp(difference_B_T).clamp(max=MISMATCH_CAP)
    return weights_B_T.masked_fill(difference_B_T.abs() <= ROUNDING, 1.0)


def clipped_surrogate(ratio_B_T: Tensor, advantages: Tensor, epsilon: float) -> Tensor:
    """min(ratio A, clip(ratio, 1 - epsilon, 1 + epsilon) A), to be maximized (Eq. 3).

    advantages: of completions, (B,), or of tokens, (B, T), as in PPO (Eq. 1).
    """
    advantages = _of_tokens(advantages)
    clipped_B_T = ratio_B_T.clamp(1 - epsilon, 1 + epsilon)
    return torch.min(ratio_B_T * advantages, clipped_B_T * advantages)


def is_clipped(ratio_B_T: Tensor, advantages: Tensor, epsilon: float) -> Tensor:
    """Tokens whose minimum is the clipped term, so that they have no gradient."""
    advantages = _of_tokens(advantages)
    too_low = (ratio_B_T < 1 - epsilon) & (advantages < 0)
    too_high = (ratio_B_T > 1 + epsilon) & (advantages > 0)
    return too_low | too_high


def _of_tokens(advantages: Tensor) -> Tensor:
    return advantages if advantages.ndim == 2 else advantages[:, None]


def mean_of_completions(values_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """1/B sum_i 1/|o_i| sum_t: every completion has the same weight (Eq. 3)."""
    return ((values_B_T * mask_B_T).sum(-1) / mask_B_T.sum(-1).clamp(min=1.0)).mean()


def mean_of_tokens(values_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """Mean over all tokens: every token has the same weight (DAPO, arXiv 2503.14476, Eq. 8)."""
    return (values_B_T * mask_B_T).sum() / mask_B_T.sum().clamp(min=1.0)


def sum_by_constant(values_B_T: Tensor, mask_B_T: Tensor, length: int) -> Tensor:
    """1/B sum_i 1/length sum_t, with the cap as length of every completion (Dr. GRPO, Eq. 4)."""
    return (values_B_T * mask_B_T).sum() / (len(values_B_T) * length)


def mean_over(kind: str, cap: int) -> Callable[[Tensor, Tensor], Tensor]:
    """The mean over a batch's tokens, by its name in ObjectiveConfig; `cap` in tokens."""
    means: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "completion": mean_of_completions,
        "tokens": mean_of_tokens,
        "cap": partial(sum_by_constant, length=cap),
    }
    return means[kind]


def kl_of_completions(
    logps_B_T: Tensor, reference_logps_B_T: Tensor, mask_B_T: Tensor, estimator: Estimator
) -> Tensor:
    """sum_t KL_it, which Eq. 2 subtracts from the rewards of the tokens."""
    return (estimator(logps_B_T, reference_logps_B_T) * mask_B_T).sum(1)


def less_kl(
    rewards_B: Tensor,
    logps_B_T: Tensor,
    reference_logps_B_T: Tensor,
    mask_B_T: Tensor,
    beta: float,
    estimator: Estimator = k1,
) -> Tensor:
    """r_i - beta sum_t KL_it: the KL in the reward (Eq. 2), where a completion has one reward.

    logps_B_T: of the policy that sampled. Unlike in the loss, tokens add up: long completions pay
    more.
    """
    return rewards_B - beta * kl_of_completions(logps_B_T, reference_logps_B_T, mask_B_T, estimator)


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
    advantages: Tensor,
    mask_B_T: Tensor,
    epsilon: float,
    beta: float,
    weights_B_T: Tensor | None = None,
    estimator: Estimator = k3,
    mean: Callable[[Tensor, Tensor], Tensor] = mean_of_completions,
) -> Loss:
    """-J of GRPO (DeepSeekMath Eq. 3): J is the clipped surrogate minus beta times the KL (k3).

    reference_logps_B_T: None if beta is 0. weights_B_T: truncated importance weights of the tokens,
    for samples of an engine with other numerics. Variants: advantages of tokens (B, T), which with
    beta 0 give -J of PPO (Eq. 1); another estimator of the KL; another mean over tokens.
    """
    ratio_B_T = importance_ratio(logps_B_T, old_logps_B_T)
    losses_B_T = -clipped_surrogate(ratio_B_T, advantages, epsilon)
    if weights_B_T is not None:
        losses_B_T = losses_B_T * weights_B_T
    kl_B_T = None
    if beta > 0:
        assert reference_logps_B_T is not None
        kl_B_T = estimator(logps_B_T, reference_logps_B_T)
        losses_B_T = losses_B_T + beta * kl_B_T
    return Loss(
        mean(losses_B_T, mask_B_T),
        None if kl_B_T is None else kl_B_T.detach(),
        is_clipped(ratio_B_T.detach(), advantages, epsilon),
    )
