"""What a critic is for, and what it costs: GAE on a policy that can be listed, and the bytes."""

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import one_hot
from transformers import PreTrainedConfig

from r1repro.config import PLAIN_ENGINE, EngineConfig
from r1repro.lab.tree import NOTHING, Tree
from r1repro.planning import memory
from r1repro.reports.markup import Html, paragraphs
from r1repro.training import objective, ppo

METHODS: dict[str, tuple[str, ...]] = {
    "PPO, learned reward": ("actor", "critic", "reference", "reward model"),
    "GRPO, learned reward": ("actor", "reference", "reward model"),
    "PPO, reward by rule": ("actor", "critic", "reference"),
    "GRPO, reward by rule": ("actor", "reference"),
}
"""The models that each method holds."""


def by_hand(values: Sequence[float], reward: float, lams: Sequence[float]) -> pd.DataFrame:
    """A row per token of one answer: value, error delta, and the advantage for each lambda."""
    values_1_T = torch.tensor([values], dtype=torch.float64)
    rewards_1_T = torch.zeros_like(values_1_T)
    rewards_1_T[0, -1] = reward
    mask_1_T = torch.ones_like(values_1_T)
    rows = {"V": values}
    for name, lam in (("δ", 0.0), *((f"A, λ = {lam:g}", lam) for lam in lams)):
        rows[name] = ppo.gae(rewards_1_T, values_1_T, mask_1_T, 1.0, lam)[0].tolist()
    index = pd.RangeIndex(1, len(values) + 1, name="token")
    return pd.DataFrame(rows, index)


def weight_of_reward(lengths: Sequence[int], lams: Sequence[float]) -> pd.DataFrame:
    """Share of the last token's reward that reaches the first token, lambda^(L - 1)."""
    shares = {f"λ = {lam:g}": [lam ** (length - 1) for length in lengths] for lam in lams}
    return pd.DataFrame(shares, pd.Index(lengths, name="tokens"))


def baselines(
    length: int = 8, wanted: int = 6, p: float = 0.6, lams: Sequence[float] = (0.0, 0.95, 1.0)
) -> pd.DataFrame:
    """The gradient from one answer, by critic and lambda: its error on average, and its noise.

    An answer is `length` letters, each "a" with probability p, and is right with at least `wanted`
    of them. error: ||E g - exact|| / ||exact||; noise: the deviation of one answer's gradient over
    ||exact||. The exact gradient is that of the accuracy.
    """
    tree = Tree(tuple(map("".join, product("ab", repeat=length))))
    logits = tree.logits(lambda context: {"a": p}).requires_grad_()
    right_S = torch.tensor([float(text.count("a") >= wanted) for text in tree.completions]).double()
    p_S = tree.probabilities(logits)
    (exact_C_V,) = torch.autograd.grad((p_S * right_S).sum(), logits)
    p_S, size = p_S.detach(), exact_C_V.norm()
    score_S_T_N = _scores(tree, logits.detach())
    rewards_S_T = torch.zeros(tree.mask_S_T.shape, dtype=torch.float64)
    rewards_S_T[:, -1] = right_S
    # The exact value of a context: accuracy among the answers that begin with it.
    values_C = tree.through(p_S * right_S) / tree.through(p_S)
    critics = {
        "none (V = 0)": torch.zeros_like(rewards_S_T),
        "the question's mean (V = accuracy)": (p_S * right_S).sum().expand_as(rewards_S_T),
        "exact": values_C[tree.at_S_T // len(tree.tokens)],
    }
    rows = {}
    for name, values_S_T in critics.items():
        for lam in lams:
            advantages_S_T = ppo.gae(rewards_S_T, values_S_T, tree.mask_S_T, 1.0, lam)
            each_S_N = (advantages_S_T[:, :, None] * score_S_T_N).sum(1)
            mean_N = (p_S[:, None] * each_S_N).sum(0)
            spread = (p_S * (each_S_N - mean_N).square().sum(1)).sum().sqrt()
            rows[name, f"λ = {lam:g}"] = {
                "error": float((mean_N - exact_C_V.flatten()).norm() / size),
                "noise": float(spread / size),
            }
    return pd.DataFrame(rows).T.rename_axis(["critic", None])


def _scores(tree: Tree, logits_C_V: Tensor) -> Tensor:
    """grad log pi of every token with respect to all logits, (S, T, C V)."""
    chosen_S_T_N = one_hot(tree.at_S_T, logits_C_V.numel())
    here_S_T_C = one_hot(tree.at_S_T // len(tree.tokens), len(tree.contexts))
    return chosen_S_T_N - (here_S_T_C[..., None] * logits_C_V.softmax(-1)).flatten(2)


def models(shape: PreTrainedConfig, engine: EngineConfig = PLAIN_ENGINE) -> pd.DataFrame:
    """Bytes of each of PPO's four models: weights, gradients and optimizer state.

    Actor and critic are trained as every stage trains, with Muon and AdamW; the reference is a
    float32 copy of the actor, the reward model only scores, in engine.precision. Critic and reward
    model have one output in place of the vocabulary's. Activations and the KV cache are not
    included.
    """
    policy, scorer = memory.count(shape), memory.count(shape, scores=True)
    sizes = memory.weights, memory.gradients, memory.optimizer
    rows = {
        name: [counts.total, *(size(counts, engine) for size in sizes)]
        for name, counts in (("actor", policy), ("critic", scorer))
    }
    rows["reference"] = [policy.total, 4 * policy.total, 0, 0]
    rows["reward model"] = [scorer.total, memory.WIDTHS[engine.precision] * scorer.total, 0, 0]
    columns = ["parameters", "weights", "gradients", "optimizer"]
    found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return found.assign(bytes=found[columns[1:]].sum(axis=1))


def methods(found: pd.DataFrame) -> pd.DataFrame:
    """Bytes that each method holds, of `models`, and GRPO's share of PPO's with the same reward."""
    total = {name: found.loc[[*held], "bytes"].sum() for name, held in METHODS.items()}
    rows = {
        name: {
            "models": ", ".join(held),
            "bytes": total[name],
            "share of PPO": total[name] / total[name.replace("GRPO", "PPO")],
        }
        for name, held in METHODS.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def grpo_is_ppo(rewards: Sequence[float], tokens: int = 3) -> Mapping[str, list[float]]:
    """The advantage of a first token: by PPO with the group's mean as critic, and by GRPO."""
    rewards_B = torch.tensor(rewards, dtype=torch.float64)
    mask_B_T = torch.ones(len(rewards), tokens, dtype=torch.float64)
    rewards_B_T = ppo.rewards_with_kl(rewards_B, mask_B_T, mask_B_T, mask_B_T, 0.0)
    by_critic_B_T = ppo.gae(rewards_B_T, rewards_B.mean() * mask_B_T, mask_B_T, 1.0, 1.0)
    centred_B = objective.advantages_of(rewards_B, len(rewards), "centred")
    return {
        "PPO, λ = 1, V = the group's mean": by_critic_B_T[:, 0].tolist(),
        "GRPO, without the deviation": centred_B.tolist(),
        "GRPO": objective.advantages_of(rewards_B, len(rewards), "group").tolist(),
    }


def findings(weights: pd.DataFrame, found: pd.DataFrame, held: pd.DataFrame) -> Html | None:
    """Of notebook ppo_vs_grpo: of `weight_of_reward`, `baselines` and `methods`."""
    longest, unbiased = weights.iloc[-1], found[found.error < NOTHING]
    fading = ", ".join(f"{share:.2g} with {name}" for name, share in longest.items())
    biased = found[found.error >= NOTHING]
    off = "; ".join(f"{critic}, {lam}: {row.error:.0%}" for (critic, lam), row in biased.iterrows())
    noise = "; ".join(
        f"{critic}, {lam}: {row.noise:.1f}" for (critic, lam), row in unbiased.iterrows()
    )
    shares = "; ".join(
        f"{name}, {row['share of PPO']:.0%}" for name, row in held.iterrows() if "GRPO" in str(name)
    )
    return paragraphs(
        f"In an answer of {weights.index[-1]:,} tokens, the share of the last token's reward that "
        f"reaches the first is {fading}, unless the critic has learned to predict it earlier.",
        "On the policy small enough to list, these gradients are right on average; their noise, in "
        f"units of the gradient: {noise}. The others are off: {off}.",
        f"GRPO's share of the bytes that PPO holds for weights, gradients and optimizer: {shares}.",
    )
