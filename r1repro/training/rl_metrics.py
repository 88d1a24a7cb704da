"""What is measured of a GRPO step: each completion, and the step as a whole."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from transformers import PreTrainedTokenizerFast

from r1repro.rewards import rule_rewards
from r1repro.rewards.correctness import judge, stated_answer, timeouts
from r1repro.tasks.problem import GENERAL
from r1repro.text.language import language_share
from r1repro.text.reflection import reflection_count
from r1repro.text.tags import thinking
from r1repro.training import critic
from r1repro.training.trl_adapter import MISMATCH

LOGGED = {
    "entropy": "entropy",
    "kl": "kl",
    # mean absolute log-prob difference between sampler and trainer, nats per token
    "logp_mismatch": MISMATCH,
    "clip_fraction": "clip_ratio/region_mean",
    "clipped": "completions/clipped_ratio",
    "zero_variance_groups": "frac_reward_zero_std",
}
"""The trainer's own figures, by their columns in the metrics."""


def completions(
    texts: list[str],
    columns: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    ends: Sequence[int],
) -> pd.DataFrame:
    """A row per completion of this process; columns: of its problem, as TRL passes them."""
    ids, problems = columns["completion_ids"], rule_rewards.problems_of(columns)
    lengths = {text: len(tokenizer.encode(text)) for text in set(columns["prompts"])}
    before = timeouts()
    correct = judge(problems, texts)
    return pd.DataFrame(
        {
            **{name: columns[name] for name in ("problem_id", "task", "language", "level")},
            "prompt": columns["question"],
            "answer": columns["gold"],
            "text": texts,
            "correct": correct,
            # this process's count, on its first row
            "timeouts": [timeouts() - before] + [0] * (len(problems) - 1),
            "unparseable": [answer is None for answer in map(stated_answer, problems, texts)],
            "format_valid": [reward == 1.0 for reward in rule_rewards.format(texts)],
            "tokens": [len(row) for row in ids],
            "prompt_tokens": [lengths[text] for text in columns["prompts"]],
            "finished": [bool(row) and row[-1] in ends for row in ids],
        }
    )


def step(
    batch: pd.DataFrame,
    reward: pd.Series,
    paid: Sequence[str],
    logs: dict[str, Any],
    seconds: float | None,
) -> dict[str, Any]:
    """The metrics of a step; seconds: of its rollout, None if its completions are older."""
    reasoning = batch[~batch.task.isin(GENERAL)]
    general = batch[batch.task.isin(GENERAL)]
    graded = len(general) and "preference" in paid
    ranks = ranked(reasoning) if "preference" in paid else None
    thoughts = zip(batch.text.map(thinking), batch.language, strict=True)
    shares = [language_share(text, language) for text, language in thoughts]
    return {
        "reward": reward.mean(),
        "reward_deviation": reward.std(),
        **{f"reward_{name}": batch[f"reward_{name}"].mean() for name in paid},
        "pass_at_1": reasoning.correct.mean(),
        "general/score": general.correct.mean() if len(general) else None,
        "preference": general.reward_preference.mean() if graded else None,
        **({} if ranks is None else {"preference_ranks": ranks}),
        "format_valid": batch.format_valid.mean(),
        "unparseable": reasoning.unparseable.mean(),
        **{name: logs.get(theirs) for name, theirs in LOGGED.items()},
        **{name: logs[theirs] for name, theirs in critic.LOGGED.items() if theirs in logs},
        "length": batch.tokens.mean(),
        "length_correct": batch.tokens[batch.correct].mean(),
        "length_wrong": batch.tokens[~batch.correct].mean(),
        "reflection_per_response": batch.text.map(reflection_count).mean(),
        "language_share": pd.Series(shares, dtype=float).mean(),
        "verifier_timeouts": 0 if seconds is None else batch.timeouts.sum(),
        "lr": logs.get("learning_rate"),
        "grad_norm": logs.get("grad_norm"),
        "tokens_per_s": None if seconds is None else batch.tokens.sum() / seconds,
    }


def ranked(rows: pd.DataFrame) -> float | None:
    """Share of the pairs of a right and a wrong completion of one problem in which the right one
    has the higher learned reward; ties count half. None without a pair or without rewards.
    """
    above: list[float] = []
    for _, group in rows.groupby("problem_id"):
        right_R = group.reward_preference[group.correct].to_numpy()
        wrong_W = group.reward_preference[~group.correct].to_numpy()
        above += ((1 + np.sign(right_R[:, None] - wrong_W)) / 2).ravel().tolist()
    return float(np.mean(above)) if above and rows.reward_preference.any() else None
