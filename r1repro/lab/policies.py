"""On and off the policy: where completions come from, and how long they stay useful.

Everything is exact, on questions with answers of one token: the policy is a row of logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from r1repro.lab.advantages import expected_advantages
from r1repro.reports.markup import Html, paragraphs
from r1repro.training import objective, paradigm, ppo

METHODS = ("RFT", "Online RFT", "GRPO")


def table() -> pd.DataFrame:
    """DeepSeekMath's Table 10: a row per method."""
    rows = pd.DataFrame([asdict(method) for method in paradigm.METHODS]).set_index("name")
    return rows.rename(columns={"coefficient": "gradient coefficient"}).rename_axis(None)


def by_hand(
    right: Sequence[bool], tokens: Sequence[int], ratios: Sequence[float], values: Sequence[float]
) -> pd.DataFrame:
    """The gradient coefficient of every method on a group: a row per answer, its first token.

    The answers are in the order sampled. ratios: log(pi / pi_ref), the same for all tokens of an
    answer; values: what a critic expects before each token. DPO compares the first right answer
    with the first wrong one; the others are not used.
    """
    beta, lam = 0.1, 0.95
    mask_B_T = (torch.arange(max(tokens)) < torch.tensor(tokens)[:, None]).double()
    right_B = torch.tensor(right)
    rewards_B = right_B.double()
    away_B_T = torch.tensor(ratios, dtype=torch.float64)[:, None] * mask_B_T
    values_B_T = torch.tensor(values, dtype=torch.float64)[:, None] * mask_B_T
    reference_B_T = torch.zeros_like(away_B_T)
    pair = torch.stack([right_B.long().argmax(), (~right_B).long().argmax()])
    margin = paradigm.dpo_margin(away_B_T[pair], reference_B_T[pair], mask_B_T[pair], beta)
    dpo_B_T = torch.zeros_like(away_B_T)
    dpo_B_T[pair] = torch.cat([paradigm.dpo(margin), -paradigm.dpo(margin)])[:, None]
    found = {
        "SFT, if a person wrote it": paradigm.sft(mask_B_T),
        "RFT, offline or online": paradigm.rejection_fine_tuning(right_B, mask_B_T),
        "DPO": dpo_B_T,
    }
    rewards_B_T = ppo.rewards_with_kl(rewards_B, away_B_T, reference_B_T, mask_B_T, 0.0)
    for factor in (1.0, lam):
        advantages_B_T = ppo.gae(rewards_B_T, values_B_T, mask_B_T, 1.0, factor)
        found[f"PPO, λ {factor:g}"] = paradigm.ppo(advantages_B_T, mask_B_T)
    advantages_B = objective.advantages_of(rewards_B, len(rewards_B), "group")
    found[f"GRPO, β {beta:g}"] = paradigm.grpo(
        advantages_B, away_B_T, reference_B_T, mask_B_T, beta
    )
    first = {name: coefficient_B_T[:, 0].numpy() for name, coefficient_B_T in found.items()}
    return pd.DataFrame({"right": right, "tokens": tokens, **first}).rename_axis("answer")


def offline_and_online(p: float = 0.1, updates: int = 200) -> pd.DataFrame:
    """Accuracy over exact updates on one question, from accuracy p, by method, in groups of 16.

    RFT samples from the first policy throughout, Online RFT and GRPO from the current one. The
    expected gradient of the log-odds sums probability times coefficient times grad log pi over the
    answers.
    """
    rate, rows = 0.5, {}
    for method in METHODS:
        odds, curve = torch.tensor(p, dtype=torch.float64).logit(), []
        for _ in range(updates + 1):
            own = float(odds.sigmoid())
            curve.append(own)
            sampled = p if method == "RFT" else own
            wrong, right = 0.0, 1.0
            if method == "GRPO":
                wrong, right = expected_advantages(own, 16, "group")
            # d log pi(right) / d odds = 1 - own, of a wrong answer -own
            odds = odds + rate * (sampled * right * (1 - own) - (1 - sampled) * wrong * own)
        rows[method] = curve
    return pd.DataFrame(rows).rename_axis("update")


def on_one_rollout(
    policy: Sequence[float], right: Sequence[bool], epsilons: Mapping[str, float],
    size: int = 16, updates: int = 16, rate: float = 0.5,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """All updates on one sample of the first policy, by clip range: means over every such sample.

    Besides, as "fresh samples", the expected update from a new sample each time. Columns: accuracy
    of the policy, not of the sample; right answers, the exponential of the entropy among them,
    which is how many it has in effect; the largest ratio; and the share of answers clipped.
    """
    start_K, right_K = torch.tensor(policy, dtype=torch.float64).log(), torch.tensor(right)
    counts_N_K = _samples(size, len(policy))
    drawn_chance_N = torch.distributions.Multinomial(size, logits=start_K).log_prob(counts_N_K)

    def updated(fresh: bool, chance_N: Tensor, epsilon: float) -> pd.DataFrame:
        rows = []
        logits_N_K = old_N_K = start_K.expand(len(chance_N), -1)
        for _ in range(updates + 1):
            logits_N_K = logits_N_K.detach().requires_grad_()
            logps_N_K = logits_N_K.log_softmax(1)
            p_N_K = logps_N_K.detach().exp()
            if fresh:
                old_N_K = logps_N_K.detach()
            share_N_K = p_N_K if fresh else counts_N_K / size
            loss = objective.grpo_loss(
                logps_N_K, old_N_K, None, _advantages(share_N_K, right_K, size, fresh),
                torch.ones_like(logps_N_K), epsilon, 0.0,
                mean=partial(_summed, share_N_K),
            )  # fmt: skip
            told = _told(p_N_K, start_K.exp(), right_K)
            told["clipped"] = (share_N_K * loss.clipped_B_T).sum(1)
            rows.append({name: float((chance_N * each_N).sum()) for name, each_N in told.items()})
            (gradient_N_K,) = torch.autograd.grad(loss.value, logits_N_K)
            logits_N_K = logits_N_K - rate * gradient_N_K
        return pd.DataFrame(rows).rename_axis("update")

    found = {n: updated(False, drawn_chance_N.exp(), epsilon) for n, epsilon in epsilons.items()}
    return {**found, "fresh samples": updated(True, torch.ones(1).double(), 1.0)}


def _told(p_N_K: Tensor, start_K: Tensor, right_K: Tensor) -> dict[str, Tensor]:
    right_N_R = p_N_K[:, right_K]
    own_N_R = right_N_R / right_N_R.sum(1, keepdim=True)
    return {
        "accuracy": right_N_R.sum(1),
        "right answers": (-torch.xlogy(own_N_R, own_N_R).sum(1)).exp(),
        "largest ratio": (p_N_K / start_K).amax(1),
    }


def _advantages(share_N_K: Tensor, right_K: Tensor, size: int, fresh: bool) -> Tensor:
    """Each answer's advantage in each sample; fresh: its expectation over the policy's samples."""
    accuracy_N_1 = share_N_K[:, right_K].sum(1, keepdim=True)
    if fresh:
        wrong, right = expected_advantages(float(accuracy_N_1), size, "group")
        return (wrong + (right - wrong) * right_K.double())[None]
    # of `size` rewards of 0 and 1, as objective.group_advantages has it
    spread_N_1 = (accuracy_N_1 * (1 - accuracy_N_1) * size / (size - 1)).sqrt()
    return (right_K.double() - accuracy_N_1) / (spread_N_1 + objective.STD_FLOOR)


def _summed(share_N_K: Tensor, values_N_K: Tensor, mask_N_K: Tensor) -> Tensor:
    """Each sample's mean over its answers; samples share no policy, so these add up."""
    return (share_N_K * values_N_K * mask_N_K).sum()


def _samples(size: int, answers: int) -> Tensor:
    """Every way to distribute `size` draws over `answers` answers, as counts (N, answers)."""
    counts = [each for each in product(range(size + 1), repeat=answers) if sum(each) == size]
    return torch.tensor(counts, dtype=torch.float64)


def after(stale: Mapping[str, pd.DataFrame], updates: Sequence[int]) -> pd.DataFrame:
    """Rows of `on_one_rollout` after so many updates."""
    return pd.concat({name: rows.loc[[*updates]] for name, rows in stale.items()}, names=["clip"])


def findings(methods: pd.DataFrame, stale: Mapping[str, pd.DataFrame]) -> Html | None:
    """Of notebook on_and_off_policy: of `offline_and_online` and `on_one_rollout`."""
    half = {name: methods.index[methods[name] >= 0.5] for name in METHODS}
    told = ", ".join(
        f"{f'after {when[0]} updates' if len(when) else 'never'} with {name}"
        for name, when in half.items()
    )
    first, last = methods.diff().iloc[1], methods.iloc[-1]
    fresh = stale["fresh samples"]
    start, end = fresh.iloc[0], fresh.iloc[-1]
    each = "; ".join(
        f"{name}, {row['accuracy']:.0%} right with {row['right answers']:.2f} right answers in "
        f"effect (fresh samples have {left:.2f} at that accuracy) and {row['clipped']:.0%} of the "
        "sample clipped"
        for name, row in ((name, rows.iloc[-1]) for name, rows in stale.items())
        for left in [np.interp(row["accuracy"], fresh["accuracy"], fresh["right answers"])]
        if name != "fresh samples"
    )
    return paragraphs(
        f"Accuracy reaches one half {told}. The first update raises accuracy by "
        f"{first['RFT']:.4f} with RFT, {first['Online RFT']:.4f} with Online RFT and "
        f"{first['GRPO']:.4f} with GRPO; after {methods.index[-1]} updates they are at "
        f"{last['RFT']:.0%}, {last['Online RFT']:.0%} and {last['GRPO']:.0%}.",
        f"From {start['accuracy']:.0%} and {start['right answers']:.2f} right answers in effect, "
        f"{len(fresh) - 1} updates on one sample lead to: {each}. Fresh samples lead to "
        f"{end['accuracy']:.0%} right.",
    )
