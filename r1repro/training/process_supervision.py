"""Process supervision: a reward for every step of a completion (DeepSeekMath 4.1.3)."""

import torch
from torch import Tensor

from r1repro.training.objective import STD_FLOOR


def normalized_steps(step_rewards_B_S: Tensor, ends_B_S: Tensor, group_size: int) -> Tensor:
    """(r_i^j - mean(R)) / std(R), R being the rewards of all steps of a group's completions.

    ends_B_S: the token index at which step j of completion i ends, -1 where it has fewer steps;
    there the result is 0. A completion with many steps weighs more in the mean. The standard
    deviation is the sample one plus STD_FLOOR, as for outcomes.
    """
    real_G_N = (ends_B_S >= 0).view(-1, group_size * ends_B_S.shape[1])
    rewards_G_N = step_rewards_B_S.reshape(real_G_N.shape) * real_G_N
    count_G_1 = real_G_N.sum(1, keepdim=True).clamp(min=1)
    centred_G_N = (rewards_G_N - rewards_G_N.sum(1, keepdim=True) / count_G_1) * real_G_N
    variance_G_1 = centred_G_N.square().sum(1, keepdim=True) / (count_G_1 - 1).clamp(min=1)
    return (centred_G_N / (variance_G_1.sqrt() + STD_FLOOR)).view(step_rewards_B_S.shape)


def process_advantages(
    step_rewards_B_S: Tensor, ends_B_S: Tensor, group_size: int, tokens: int
) -> Tensor:
    """A_it = sum of the normalized rewards of the steps that end at token t or later.

    Shape (B, tokens). Tokens after the last step's end have advantage 0.
    """
    steps_B_S_1 = normalized_steps(step_rewards_B_S, ends_B_S, group_size)[:, :, None]
    ends_later_B_S_T = ends_B_S[:, :, None] >= torch.arange(tokens, device=ends_B_S.device)
    return (steps_B_S_1 * ends_later_B_S_T).sum(1)
