"""PPO, which GRPO simplifies, as pure functions on tensors.

Suffixes and equations as in objective.py; B completions, T tokens, padded on the right. A
completion is an episode: it ends at its last token, cut off or not, and what follows is worth 0.
The loss of the actor is objective.grpo_loss with an advantage for every token and beta 0 (Eq. 1).
GAE is Schulman et al. 2016 (arXiv 1506.02438); clipped values are those of OpenAI's PPO.
"""

import torch
from torch import Tensor

from r1repro.training.kl import k1
from r1repro.training.objective import STD_FLOOR, mean_of_tokens


def rewards_with_kl(
    rewards_B: Tensor, logps_B_T: Tensor, reference_logps_B_T: Tensor, mask_B_T: Tensor, beta: float
) -> Tensor:
    """r_t = r(o) at the last token, minus beta log(pi / pi_ref) at every token (Eq. 2).

    logps_B_T: of the policy that sampled, without gradient. Shape (B, T).
    """
    rewards_B_T = -beta * k1(logps_B_T, reference_logps_B_T) * mask_B_T
    last_B_1 = mask_B_T.long().sum(1, keepdim=True) - 1
    if last_B_1.min() < 0:
        raise ValueError("a completion has no token; every completion needs at least its end token")
    return rewards_B_T.scatter_add(1, last_B_1, rewards_B[:, None].to(rewards_B_T.dtype))


def gae(
    rewards_B_T: Tensor, values_B_T: Tensor, mask_B_T: Tensor, gamma: float, lam: float
) -> Tensor:
    """A_t = sum_l (gamma lam)^l delta_{t+l}, delta_t = r_t + gamma V_{t+1} - V_t (GAE, Eq. 16).

    values_B_T: V before token t is sampled, from the critic. The return of a token, which the
    critic learns, is its advantage plus its value. Masked tokens are 0.
    """
    live_B_T = mask_B_T.to(values_B_T.dtype)
    values_B_T = values_B_T * live_B_T
    advantages_B_T = torch.zeros_like(values_B_T)
    next_value_B = next_advantage_B = torch.zeros_like(values_B_T[:, 0])
    for t in reversed(range(values_B_T.shape[1])):
        delta_B = rewards_B_T[:, t] + gamma * next_value_B - values_B_T[:, t]
        next_advantage_B = (delta_B + gamma * lam * next_advantage_B) * live_B_T[:, t]
        next_value_B = values_B_T[:, t]
        advantages_B_T[:, t] = next_advantage_B
    return advantages_B_T


def whiten(values_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all tokens of the batch; masked tokens are 0.

    The sample standard deviation plus STD_FLOOR, as for a group's rewards.
    """
    live_N = values_B_T[mask_B_T.bool()]
    std = live_N.std() if len(live_N) > 1 else torch.zeros_like(live_N.sum())
    return (values_B_T - live_N.mean()) / (std + STD_FLOOR) * mask_B_T


def value_loss(
    values_B_T: Tensor,
    old_values_B_T: Tensor,
    returns_B_T: Tensor,
    mask_B_T: Tensor,
    epsilon: float,
) -> Tensor:
    """Mean over tokens of max((V - R)^2, (clip(V, V_old - epsilon, V_old + epsilon) - R)^2) / 2.

    The critic's loss. Past epsilon from its old value, a token has no gradient unless the clipped
    value is the better one.
    """
    clipped_B_T = values_B_T.clamp(old_values_B_T - epsilon, old_values_B_T + epsilon)
    errors_B_T = torch.max(
        (values_B_T - returns_B_T).square(), (clipped_B_T - returns_B_T).square()
    )
    return mean_of_tokens(errors_B_T, mask_B_T) / 2
