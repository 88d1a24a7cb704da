"""The unified paradigm: every method is a data source, a reward and a gradient coefficient.

grad J = E[1/|o| sum_t GC(q, o, t) grad log pi(o_t)] (DeepSeekMath 5.2.1, Eq. 5; Table 10; A.1).
Suffixes as in objective.py. Functions named after a method give its GC, of shape (B, T), on
completions sampled from the policy itself, where ratios are 1 and nothing is clipped.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from r1repro.training.kl import coefficients, k1, k3


@dataclass(frozen=True)
class Method:
    """A row of DeepSeekMath's Table 10."""

    name: str
    completions: str
    reward: str
    coefficient: str


METHODS = (
    Method("SFT", "written by people", "none: they were selected", "1"),
    Method("RFT", "the SFT model's", "rule", "1 if right, else 0"),
    Method("DPO", "pairs of the SFT model", "rule or preference", "σ(β margin of the wrong one)"),
    Method("Online RFT", "the policy's", "rule", "1 if right, else 0"),
    Method("PPO", "the policy's", "model", "GAE from rewards and a critic"),
    Method("GRPO", "the policy's, in groups", "model", "A + β (π_ref / π − 1)"),
)


def sft(mask_B_T: Tensor) -> Tensor:
    """1 for every token."""
    return mask_B_T.float()


def rejection_fine_tuning(right_B: Tensor, mask_B_T: Tensor) -> Tensor:
    """1 for the tokens of right completions, else 0 (Eq. 10); offline and online alike."""
    return right_B[:, None].float() * mask_B_T


def ppo(advantages_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """The token's advantage, with the KL term in its reward (Eq. 18)."""
    return advantages_B_T * mask_B_T


def grpo(
    advantages_B: Tensor,
    logps_B_T: Tensor,
    reference_logps_B_T: Tensor,
    mask_B_T: Tensor,
    beta: float,
) -> Tensor:
    """A_i + beta (pi_ref / pi - 1), the second term from the k3 estimate in the loss (Eq. 21)."""
    kl_B_T = coefficients(k3, logps_B_T, reference_logps_B_T, "loss")
    return (advantages_B[:, None] - beta * kl_B_T) * mask_B_T


def dpo(margin_P: Tensor) -> Tensor:
    """sigma(-margin): plus this on the chosen tokens, minus this on the rejected (Eq. 14).

    The gradient of `dpo_loss` also has a factor beta, which the paper leaves out.
    """
    return torch.sigmoid(-margin_P)


def dpo_margin(
    logps_B_T: Tensor,
    reference_logps_B_T: Tensor,
    mask_B_T: Tensor,
    beta: float,
    by_length: bool = True,
) -> Tensor:
    """beta (log-ratio of the chosen - log-ratio of the rejected) for each of P = B / 2 pairs.

    The first P rows are chosen, the others rejected, in the same order. by_length: the log-ratio is
    the mean over a completion's tokens (Eq. 12); false takes the sum, as DPO does itself (Rafailov
    et al. 2023, arXiv 2305.18290, Eq. 7).
    """
    ratios_B = (k1(logps_B_T, reference_logps_B_T) * mask_B_T).sum(1)
    if by_length:
        ratios_B = ratios_B / mask_B_T.sum(1).clamp(min=1)
    chosen_P, rejected_P = ratios_B.chunk(2)
    return beta * (chosen_P - rejected_P)


def dpo_loss(margin_P: Tensor) -> Tensor:
    """-log sigma(margin), the mean over pairs (Eq. 12)."""
    return -logsigmoid(margin_P).mean()


def of_loss(loss: Tensor, logps_B_T: Tensor, mask_B_T: Tensor) -> Tensor:
    """The GC of any loss, by differentiating it: -B |o_i| dloss / dlog pi(o_t).

    loss must be computed from logps_B_T, which requires a gradient. It is Eq. 5 solved for GC.
    """
    (gradient_B_T,) = torch.autograd.grad(loss, logps_B_T, retain_graph=True)
    return -len(logps_B_T) * mask_B_T.sum(1, keepdim=True) * gradient_B_T * mask_B_T
