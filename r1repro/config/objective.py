"""The objective of an RL stage: its advantage, KL term and normalization.

The defaults are GRPO's, as in DeepSeekMath and R1. Formulas are in r1repro/training/ (objective.py,
kl.py, process_supervision.py, ppo.py); docs/objective.md says how the settings combine.
"""

from dataclasses import dataclass
from typing import Annotated

from r1repro.config.ranges import Count, Fraction, OneOf, Rate


@dataclass(frozen=True, kw_only=True)
class ObjectiveConfig:
    """Variants of GRPO's objective, whose coefficients and clip range are in RLConfig.

    advantage: "group", (r - mean) / std over the group; "centred", without the division (Dr. GRPO);
        "reward", r itself (online RFT); "process", the normalized rewards of the steps from a token
        on (DeepSeekMath 4.1.3); "gae", by a critic (PPO).
    kl: the estimator. kl_in: where beta times it enters: the loss at every token (GRPO), or the
        reward, from which it is subtracted (PPO; for an advantage per completion, summed over its
        tokens).
    normalization: the mean is over each completion's tokens and then over completions
        ("completion"), over all tokens of the step ("tokens", DAPO), or over completions with the
        cap as the length of each ("cap", Dr. GRPO).
    passes: passes over each generation of completions (mu of Algorithm 1).
    lam, critic_lr: with "gae", its lambda (PPO's default is 0.95; R1's comparison, A.3, has 1) and
        the critic's learning rate.
    """

    advantage: Annotated[str, OneOf(("group", "centred", "reward", "process", "gae"))] = "group"
    kl: Annotated[str, OneOf(("k1", "k2", "k3"))] = "k3"
    kl_in: Annotated[str, OneOf(("loss", "reward"))] = "loss"
    normalization: Annotated[str, OneOf(("completion", "tokens", "cap"))] = "completion"
    passes: Count = 1
    lam: Fraction = 1.0
    critic_lr: Rate = 1e-3


PLAIN_OBJECTIVE = ObjectiveConfig()
"""GRPO."""
OF_TOKENS = ("process", "gae")
"""Advantages per token; the others are per completion."""
LABS = (
    "why_rl", "ppo_vs_grpo", "advantages", "kl_and_reference", "on_and_off_policy",
    "iterative_grpo", "length_and_cap", "failures",
)  # fmt: skip
"""The notebooks of the lab that train, in the order in which lab=all runs them."""
