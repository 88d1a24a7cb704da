"""Is a run sick? Verdicts on the tables that stages leave, each with what helps.

Columns of an RL stage's table: those of training.grpo, and where the engine or the verifier adds
them `verifier_timeouts` (completions of a step's rollout that were given up; 0 or missing in a step
without one) and `logp_mismatch` (mean absolute difference of log-probability between the engine
that sampled and the trainer, in nats a token). What a table does not have is not judged.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from r1repro.config import BaseConfig, EvaluationConfig, RewardModelConfig, RLConfig, SFTConfig
from r1repro.tasks.problem import GENERAL

Settings = RLConfig | SFTConfig | RewardModelConfig | BaseConfig | EvaluationConfig
"""What a stage was trained or evaluated with."""

STEPS = 5
"""Rows below which no mean is judged: the learning rate is warmed up over as many steps of RL."""
LATE = 0.25
"""Shares are judged over the last quarter of the rows: what the run has come to, not its start."""
CLIPPED = 0.25
"""A completion cut off is paid for no answer; above this share the reward is about the cap."""
ZERO_VARIANCE = 0.8
"""A group paid alike has no advantage; above this share four in five rollouts teach nothing."""
UNPARSEABLE = 0.25
"""An answer that cannot be read is paid like a wrong one; above this share form hides reasoning."""
FORMAT_MOVES = 0.01
"""Between its least and its greatest mean a format reward moves more, if only by chance."""
FORMAT_LEARNED = 0.95
"""A format reward that is constant above this was learned before, and is no sickness."""
KL = 1.0
"""Nats a token, over STEPS steps in a row: single steps may spike, since k3 is exponential. The
policy then finds its own tokens e times as likely, in the geometric mean, as the reference does."""
ENTROPY = 0.02
"""Nats a token, as of a coin that falls on one side in 997 of 1,000 throws: groups are copies."""
ENTROPY_LEFT = 0.1
"""Of the entropy of the first STEPS steps: below this share it has collapsed too."""
SOLVED = 0.9
"""A policy that is right so often may be certain."""
TIMEOUTS = 0.01
"""Every one may be a right answer that is paid as wrong; the rules of the mini world need none."""
KL_MOVED = 1e-6
"""Nats a token: a policy whose k3 never reaches it keeps its tokens as likely to 0.1 %."""
LOSS_MOVED = 0.02
"""Of the loss over the first quarter: a smaller change until the last is none."""
MISMATCH = 0.05
"""Nats a token: a quarter of the usual clip range of 0.2 is spent before a weight has moved."""

LOOKED_FOR = "; ".join((
    f"clipped completions (above {100 * CLIPPED:g} %)",
    f"zero-variance groups (above {100 * ZERO_VARIANCE:g} %)",
    f"a constant format reward (moves less than {FORMAT_MOVES:g} below {FORMAT_LEARNED:g})",
    f"KL, entropy or loss that is not finite, KL above {KL:g} nat a token for {STEPS} steps",
    f"collapsed entropy (below {ENTROPY:g} nats a token or {100 * ENTROPY_LEFT:g} % of its start, "
    f"with pass@1 below {100 * SOLVED:g} %)",
    f"answers that cannot be read (above {100 * UNPARSEABLE:g} %)",
    f"verifier time-outs (above {100 * TIMEOUTS:g} %)",
    f"a learning rate that does nothing (rate 0, KL never above {KL_MOVED:g}, loss changed by less "
    f"than {100 * LOSS_MOVED:g} %)",
    f"engine mismatch (above {MISMATCH:g} nats a token)",
    f"no mean of fewer than {STEPS} rows is judged",
))  # fmt: skip
"""Every verdict with its limit, for a person to read."""


@dataclass(frozen=True)
class Finding:
    """A verdict on a stage: what is wrong, the figure beside its limit, where, and what helps."""

    stage: str
    what: str
    figure: str
    where: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.stage}: {self.what}: {self.figure} ({self.where}). {self.remedy}."


def examine(stage: str, rows: pd.DataFrame, settings: Settings) -> tuple[Finding, ...]:
    """What is wrong with a stage, worst first; () if nothing is.

    rows: metrics.parquet, or evaluation.parquet (its columns task, extracted and finished) where
    the settings are an evaluation's.
    """
    found = (check(rows, settings) for check in _checks(settings))
    return tuple(Finding(stage, *verdict) for verdict in found if verdict is not None)


_Verdict = tuple[str, str, str, str]  # what, figure, where, remedy
_Check = Callable[[pd.DataFrame, Any], _Verdict | None]


def _checks(settings: Settings) -> tuple[_Check, ...]:
    if isinstance(settings, EvaluationConfig):
        return _cut_answers, _unread_answers
    if isinstance(settings, RLConfig):
        return (
            _not_finite, _exploding_kl, _still_policy, _mismatch, _zero_variance,
            _constant_format, _clipped, _unparseable, _timeouts, _collapsed_entropy,
        )  # fmt: skip
    return _not_finite, _still_loss


def _late(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.tail(max(STEPS, round(LATE * len(rows))))


def _mean(rows: pd.DataFrame, column: str) -> float:
    """NaN where it is not known or too few rows tell; every comparison with that is false."""
    if len(rows) < STEPS or column not in rows.columns:
        return math.nan
    return float(rows[column].astype(float).mean())


def _over(rows: pd.DataFrame) -> str:
    return f"steps {int(rows['step'].iloc[0])} to {int(rows['step'].iloc[-1])}"


def _share(share: float, limit: float, of: str) -> str:
    return f"{100 * share:.3g} % of {of}, {100 * limit:g} % at most"


def _rates(settings: Any) -> str:
    return f"lr_matrices={settings.lr_matrices:g} and lr_rest={settings.lr_rest:g}"


def _not_finite(rows: pd.DataFrame, settings: Any) -> _Verdict | None:
    # Without the KL term its column is empty.
    columns = ("kl", "entropy") if getattr(settings, "beta", 0.0) > 0 else ("entropy",)
    for column in (*columns, "loss"):
        if column not in rows.columns:
            continue
        bad = rows[~np.isfinite(rows[column].astype(float))]
        if len(bad):
            return (
                f"non-finite {'KL' if column == 'kl' else column}",
                f"in {len(bad)} of {len(rows)} rows, none at most",
                f"first at step {int(bad['step'].iloc[0])}",
                f"What was trained from there on is no result: lower {_rates(settings)}, or "
                "compute in float32",
            )
    return None


def _exploding_kl(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    if "kl" not in rows.columns:
        return None
    kl = rows["kl"].astype(float)
    held = kl.rolling(STEPS).min() > KL
    if not held.any():
        return None
    first = int(held.to_numpy().argmax())
    return (
        "exploding KL",
        f"up to {kl.max():.3g} nats a token, {KL:g} at most for {STEPS} steps in a row",
        f"first in {_over(rows.iloc[first - STEPS + 1 : first + 1])}",
        f"Lower {_rates(settings)}, or raise beta={settings.beta:g}",
    )


def _still_policy(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    if _rate_is_zero(rows):
        return _does_nothing("a rate of 0 at every step", rows, settings)
    # Where no group has an advantage no rate could do anything, and that is a verdict of its own.
    signal = not _mean(rows, "zero_variance_groups") > ZERO_VARIANCE
    moved = rows["kl"].astype(float).max() if "kl" in rows.columns else math.nan
    if len(rows) >= 2 * STEPS and signal and moved < KL_MOVED:
        told = f"a KL to the reference of {moved:.2g} nats a token at most, {KL_MOVED:g} at least"
        return _does_nothing(told, rows, settings)
    return None


def _still_loss(rows: pd.DataFrame, settings: Any) -> _Verdict | None:
    if _rate_is_zero(rows):
        return _does_nothing("a rate of 0 at every step", rows, settings)
    quarter = len(rows) // 4
    if quarter < STEPS or "loss" not in rows.columns:
        return None
    first, last = rows["loss"].head(quarter).mean(), rows["loss"].tail(quarter).mean()
    if abs(last - first) < LOSS_MOVED * abs(first):
        told = (
            f"a loss of {first:.4g} over the first quarter and {last:.4g} over the last, "
            f"{100 * LOSS_MOVED:g} % of change at least"
        )
        return _does_nothing(told, rows, settings)
    return None


def _rate_is_zero(rows: pd.DataFrame) -> bool:
    return len(rows) >= STEPS and "lr" in rows.columns and bool((rows["lr"] == 0).all())


def _does_nothing(figure: str, rows: pd.DataFrame, settings: Any) -> _Verdict:
    remedy = f"Raise {_rates(settings)}, and see that the weights that should train do"
    return "learning rate that does nothing", figure, _over(rows), remedy


def _mismatch(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    apart = _mean(late, "logp_mismatch")
    if not apart > MISMATCH:
        return None
    return (
        "engine mismatch",
        f"{apart:.3g} nats a token between engine and trainer, {MISMATCH:g} at most",
        _over(late),
        "Give both the same precision, the same weights after every update and the same "
        f"temperature={settings.temperature:g}, or sample with engine.rollouts=own",
    )


def _zero_variance(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    share = _mean(late, "zero_variance_groups")
    if not share > ZERO_VARIANCE:
        return None
    right = _mean(late, "pass_at_1")
    remedy = (
        "Most answers are right: ask harder problems, or stop here"
        if right > 0.5
        else "Few answers are right: ask easier problems, raise "
        f"generations={settings.generations}, or start from a fine-tuned checkpoint"
    )
    return "zero-variance groups", _share(share, ZERO_VARIANCE, "groups"), _over(late), remedy


def _constant_format(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    mean = _mean(rows, "reward_format")
    if settings.format_weight == 0 or not mean < FORMAT_LEARNED:
        return None
    least, most = rows["reward_format"].min(), rows["reward_format"].max()
    if most - least >= FORMAT_MOVES:
        return None
    return (
        "constant format reward",
        f"{mean:.3g} at every step, a change of {FORMAT_MOVES:g} at least",
        _over(rows),
        "Read completions.parquet beside the template: the tags that are paid for may not be "
        "those that are asked for, or the tokenizer drops them",
    )


def _clipped(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    share = _mean(late, "clipped_completions")
    return _cut_off(share, _over(late), settings) if share > CLIPPED else None


def _cut_answers(rows: pd.DataFrame, settings: EvaluationConfig) -> _Verdict | None:
    share = 1 - _mean(rows, "finished")
    return _cut_off(share, f"{len(rows):,} answers", settings) if share > CLIPPED else None


def _cut_off(share: float, where: str, settings: RLConfig | EvaluationConfig) -> _Verdict:
    return (
        "clipped completions",
        _share(share, CLIPPED, "completions"),
        where,
        f"Raise max_completion_tokens={settings.max_completion_tokens}; if completions go on "
        "whatever the cap is, the model does not end its answers: see its end token",
    )


def _unparseable(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    share = _mean(late, "unparseable")
    return _unread(share, _over(late)) if share > UNPARSEABLE else None


def _unread_answers(rows: pd.DataFrame, settings: EvaluationConfig) -> _Verdict | None:
    asked = rows[~rows["task"].isin(GENERAL)]
    share = _mean(asked.assign(unread=asked["extracted"].isna()), "unread")
    return _unread(share, f"{len(asked):,} answers") if share > UNPARSEABLE else None


def _unread(share: float, where: str) -> _Verdict:
    return (
        "answers that cannot be read",
        _share(share, UNPARSEABLE, "reasoning answers"),
        where,
        "Read some of them: the template may ask for another form than is read, or the answers "
        "are cut off before they state one",
    )


def _timeouts(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    # Of several updates from one rollout, only the first has a count.
    known = late["verifier_timeouts"].sum() if "verifier_timeouts" in late.columns else 0
    share = known / max(1, len(late) * settings.questions * settings.generations)
    if len(rows) < STEPS or share <= TIMEOUTS:
        return None
    return (
        "verifier time-outs",
        _share(share, TIMEOUTS, "completions"),
        _over(late),
        "Each was paid as wrong: give the verifier more seconds or processes, or see what the "
        "answers are that it hangs on",
    )


def _collapsed_entropy(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    late = _late(rows)
    entropy, limit = _mean(late, "entropy"), ENTROPY
    if len(rows) >= 2 * STEPS:
        limit = max(limit, ENTROPY_LEFT * _mean(rows.head(STEPS), "entropy"))
    if not entropy < limit or _mean(late, "pass_at_1") >= SOLVED:
        return None
    return (
        "entropy collapse",
        f"{entropy:.3g} nats a token, {limit:.3g} at least",
        _over(late),
        f"Lower {_rates(settings)}, raise epsilon={settings.epsilon:g}, beta={settings.beta:g} or "
        f"temperature={settings.temperature:g}, or stop before it",
    )
