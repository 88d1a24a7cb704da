"""On and off the policy: where completions come from, and how long they stay useful.

Everything is exact, on questions whose answers have one token: the policy is a row of logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import combinations, pairwise

import pandas as pd
import torch
from torch import Tensor

from r1repro.lab.advantages import expected_advantages
from r1repro.training import objective, paradigm, ppo

METHODS = ("RFT", "Online RFT", "GRPO")


def table() -> pd.DataFrame:
    """DeepSeekMath's Table 10: a row per method."""
    rows = pd.DataFrame([asdict(method) for method in paradigm.METHODS]).set_index("name")
    return rows.rename(columns={"coefficient": "gradient coefficient"}).rename_axis(None)


@dataclass(frozen=True)
class Group:
    """Answers to one question, in the order sampled.

    ratios: log(pi / pi_ref) of every token, the same for all tokens of an answer. values: what a
    critic expects before each token.
    """

    right: Sequence[bool]
    tokens: Sequence[int]
    ratios: Sequence[float]
    values: Sequence[float]

    @property
    def mask_B_T(self) -> Tensor:
        return (torch.arange(max(self.tokens)) < torch.tensor(self.tokens)[:, None]).double()


def by_hand(group: Group, beta: float = 0.1, lam: float = 0.95) -> pd.DataFrame:
    """The gradient coefficient of every method on one group: a row per answer, its first token.

    DPO compares the first right answer with the first wrong one; the others are not used.
    """
    mask_B_T = group.mask_B_T
    right_B = torch.tensor(group.right)
    away_B_T = torch.tensor(group.ratios, dtype=torch.float64)[:, None] * mask_B_T
    reference_B_T = torch.zeros_like(away_B_T)
    found = {
        "SFT, if a person wrote it": paradigm.sft(mask_B_T),
        "RFT, offline or online": paradigm.rejection_fine_tuning(right_B, mask_B_T),
        "DPO": _dpo(right_B, away_B_T, mask_B_T, beta),
    }
    rewards_B = right_B.double()
    values_B_T = torch.tensor(group.values, dtype=torch.float64)[:, None] * mask_B_T
    for factor in (1.0, lam):
        rewards_B_T = ppo.rewards_with_kl(rewards_B, away_B_T, reference_B_T, mask_B_T, 0.0)
        advantages_B_T = ppo.gae(rewards_B_T, values_B_T, mask_B_T, 1.0, factor)
        found[f"PPO, λ {factor:g}"] = paradigm.ppo(advantages_B_T, mask_B_T)
    advantages_B = objective.advantages_of(rewards_B, len(rewards_B), "group")
    found[f"GRPO, β {beta:g}"] = paradigm.grpo(
        advantages_B, away_B_T, reference_B_T, mask_B_T, beta
    )
    rows = pd.DataFrame({"right": group.right, "tokens": group.tokens})
    for name, coefficient_B_T in found.items():
        rows[name] = coefficient_B_T[:, 0].numpy()
    return rows.rename_axis("answer")


def _dpo(right_B: Tensor, away_B_T: Tensor, mask_B_T: Tensor, beta: float) -> Tensor:
    pair = torch.stack([right_B.long().argmax(), (~right_B).long().argmax()])
    margin = paradigm.dpo_margin(
        away_B_T[pair], torch.zeros_like(away_B_T[pair]), mask_B_T[pair], beta
    )
    found_B_T = torch.zeros_like(away_B_T)
    found_B_T[pair] = (
        torch.cat([paradigm.dpo(margin), -paradigm.dpo(margin)])[:, None] * (mask_B_T[pair])
    )
    return found_B_T


def offline_and_online(
    p: float = 0.1, updates: int = 200, rate: float = 0.5, group_size: int = 16
) -> pd.DataFrame:
    """Accuracy over exact updates on one question, by method.

    RFT's answers are the first policy's throughout; Online RFT's and GRPO's are the policy's own.
    The expected gradient of the log-odds is the sum over answers of probability times coefficient
    times grad log pi.
    """
    rows = {}
    for method in METHODS:
        odds, curve = torch.tensor(p, dtype=torch.float64).logit(), []
        for _ in range(updates + 1):
            own = float(odds.sigmoid())
            curve.append(own)
            sampled = p if method == "RFT" else own
            wrong, right = (
                expected_advantages(own, group_size, "group") if method == "GRPO" else (0.0, 1.0)
            )
            # d log pi(right) / d odds = 1 - own, of a wrong answer -own
            odds = odds + rate * (sampled * right * (1 - own) - (1 - sampled) * wrong * own)
        rows[method] = curve
    return pd.DataFrame(rows).rename_axis("update")


def on_one_rollout(
    policy: Sequence[float],
    right: Sequence[bool],
    epsilons: Mapping[str, float],
    size: int = 16,
    updates: int = 16,
    rate: float = 0.5,
) -> dict[str, pd.DataFrame]:
    """All updates on one sample of the first policy, by clip range: means over every such sample.

    Beside them, as "fresh samples", the expected update from a new sample each time. Columns:
    accuracy, the policy's and not the sample's; right answers, how many it has in effect (the
    exponential of the entropy among them); the largest ratio; and the share of answers clipped.
    """
    start_K = torch.tensor(policy, dtype=torch.float64).log()
    counts_N_K = _samples(size, len(policy))
    chance_N = torch.distributions.Multinomial(size, logits=start_K).log_prob(counts_N_K).exp()
    found = {
        name: _updates(start_K, right, counts_N_K / size, chance_N, size, epsilon, updates, rate)
        for name, epsilon in epsilons.items()
    }
    fresh = _updates(start_K, right, None, torch.ones(1).double(), size, 1.0, updates, rate)
    return {**found, "fresh samples": fresh}


def _updates(
    start_K: Tensor,
    right: Sequence[bool],
    drawn_N_K: Tensor | None,
    chance_N: Tensor,
    size: int,
    epsilon: float,
    updates: int,
    rate: float,
) -> pd.DataFrame:
    """A row per update. drawn_N_K: share of each answer in each sample; None samples anew."""
    right_K, rows = torch.tensor(right), []
    logits_N_K = old_N_K = start_K.expand(len(chance_N), -1)
    for _ in range(updates + 1):
        logits_N_K = logits_N_K.detach().requires_grad_()
        logps_N_K = logits_N_K.log_softmax(1)
        if drawn_N_K is None:
            old_N_K = logps_N_K.detach()
        share_N_K = old_N_K.exp() if drawn_N_K is None else drawn_N_K
        advantages_N_K = _advantages(share_N_K, right_K, size, drawn_N_K is None)
        loss = objective.grpo_loss(
            logps_N_K, old_N_K, None, advantages_N_K, torch.ones_like(logps_N_K), epsilon, 0.0,
            mean=partial(_summed, share_N_K),
        )  # fmt: skip
        p_N_K = logps_N_K.detach().exp()
        own_N_K = p_N_K[:, right_K] / p_N_K[:, right_K].sum(1, keepdim=True)
        told = {
            "accuracy": p_N_K[:, right_K].sum(1),
            "right answers": (-torch.xlogy(own_N_K, own_N_K).sum(1)).exp(),
            "largest ratio": (p_N_K / start_K.exp()).amax(1),
            "clipped": (share_N_K * loss.clipped_B_T).sum(1),
        }
        rows.append({name: float((chance_N * values_N).sum()) for name, values_N in told.items()})
        (gradient_N_K,) = torch.autograd.grad(loss.value, logits_N_K)
        logits_N_K = logits_N_K - rate * gradient_N_K
    return pd.DataFrame(rows).rename_axis("update").reset_index()


def _advantages(share_N_K: Tensor, right_K: Tensor, size: int, fresh: bool) -> Tensor:
    """Each answer's advantage in each sample; fresh: its expectation over samples of the policy."""
    accuracy_N_1 = share_N_K[:, right_K].sum(1, keepdim=True)
    if fresh:
        wrong, right = expected_advantages(float(accuracy_N_1), size, "group")
        return (wrong + (right - wrong) * right_K.double())[None]
    # of `size` rewards of 0 and 1, as objective.group_advantages has it
    spread_N_1 = (accuracy_N_1 * (1 - accuracy_N_1) * size / (size - 1)).sqrt()
    return (right_K.double() - accuracy_N_1) / (spread_N_1 + objective.STD_FLOOR)


def _summed(share_N_K: Tensor, values_N_K: Tensor, mask_N_K: Tensor) -> Tensor:
    """Each sample's mean over its answers; the samples do not share a policy, so they add up."""
    return (share_N_K * values_N_K * mask_N_K).sum()


def _samples(size: int, answers: int) -> Tensor:
    """Every way in which `size` draws fall on `answers` answers, as counts (N, answers)."""
    rows = []
    for bars in combinations(range(size + answers - 1), answers - 1):
        edges = (-1, *bars, size + answers - 1)
        rows.append([high - low - 1 for low, high in pairwise(edges)])
    return torch.tensor(rows, dtype=torch.float64)


def after(stale: Mapping[str, pd.DataFrame], updates: Sequence[int]) -> pd.DataFrame:
    """Rows of `on_one_rollout` after so many updates."""
    rows = {name: rows.set_index("update").loc[list(updates)] for name, rows in stale.items()}
    return pd.concat(rows, names=["clip"])
