"""Diagnoses runs from the tables that stages write, with a remedy for each problem.

Columns of an RL stage's table are those of training.rl, and optionally `verifier_timeouts`
(completions of a step's rollout whose verification timed out; 0 or missing in a step without
rollout) and `logp_mismatch` (mean absolute log-probability difference between sampler and trainer,
in nats per token). Missing columns are not judged.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from r1repro.config import BaseConfig, EvaluationConfig, RLConfig, SFTConfig
from r1repro.tasks.problem import GENERAL

Settings = RLConfig | SFTConfig | BaseConfig | EvaluationConfig
"""The training or evaluation settings of a stage."""

STEPS = 5
"""Minimum rows for judging a mean; also the number of warm-up steps of RL."""
LATE = 0.25
"""Shares are judged over this final part of the rows, not the start."""
CLIPPED = 0.25
"""Maximum share of clipped completions; they earn no reward, so above it the reward measures the
length cap."""
ZERO_VARIANCE = 0.8
"""Maximum share of groups with equal rewards, which have zero advantage."""
UNPARSEABLE = 0.25
"""Maximum share of unreadable answers, which are scored as wrong; above it, the answer format hides
reasoning."""
FORMAT_MOVES = 0.01
"""Minimum range of a format reward; chance alone exceeds it."""
FORMAT_LEARNED = 0.95
"""A format reward that is constant above this had been learned before."""
KL = 1.0
"""Maximum KL in nats per token over STEPS consecutive steps; single steps may spike, since k3 is
exponential. At this KL, tokens are e times as likely under the policy as under the reference, in
the geometric mean."""
ENTROPY = 0.02
"""Minimum entropy in nats per token, that of a coin with 997 heads in 1,000 tosses; below it, a
group's completions are nearly identical."""
ENTROPY_LEFT = 0.1
"""Minimum share of the entropy of the first STEPS steps."""
SOLVED = 0.9
"""Minimum pass@1 at which low entropy is acceptable."""
REWARD_ROSE, RIGHT_LEFT = 0.25, 0.9
"""A reward that rises by this share of its weights must leave this share of the first STEPS steps'
pass@1, or all but NOISE standard errors; else it pays for something else."""
HALVED, NOISE = 0.5, 2.0
"""Minimum share of the first STEPS steps' pass@1, if it fell by so many standard errors of a mean
over steps; healthy laptop runs keep 0.76, also while they learn the format."""
TIMEOUTS = 0.01
"""Maximum share of time-outs, each of which may be a correct answer scored as wrong; the mini
world's rules never time out."""
KL_MOVED = 1e-6
"""Minimum k3 KL in nats per token; below it, token probabilities stay within 0.1 %."""
LOSS_MOVED = 0.02
"""Minimum relative change of the loss from the first quarter to the last."""
MISMATCH = 0.1
"""Maximum mismatch in nats per token, half of the usual clip range of 0.2. Healthy runs in bfloat16
had 0.01 to 0.02 (a Qwen, adapters merged to sample) and 0.05 to 0.06 (SmolLM2, not merged)."""

HACKED = "reward hacking"
TOO_LITTLE = "At scale=smoke a run trains too little for these findings to be meaningful."
"""Printed before the findings of a smoke run."""

LOOKED_FOR = {
    "clipped completions": f"above {100 * CLIPPED:g} %",
    "zero-variance groups": f"above {100 * ZERO_VARIANCE:g} %",
    "constant format reward": f"moves less than {FORMAT_MOVES:g} below {FORMAT_LEARNED:g}",
    "KL, entropy or loss that is not finite": "any",
    "exploding KL": f"above {KL:g} nat a token for {STEPS} steps",
    "entropy collapse": f"below {ENTROPY:g} nats a token or {100 * ENTROPY_LEFT:g} % of its start, "
    f"with pass@1 below {100 * SOLVED:g} %",
    HACKED: f"reward up by {100 * REWARD_ROSE:g} % of its weights, pass@1 below "
    f"{100 * RIGHT_LEFT:g} % of its start",
    "accuracy collapse": f"pass@1 below {100 * HALVED:g} % of its start",
    "answers that cannot be read": f"above {100 * UNPARSEABLE:g} %",
    "verifier time-outs": f"above {100 * TIMEOUTS:g} %",
    "learning rate that does nothing": f"rate 0, KL never above {KL_MOVED:g}, loss changed by less "
    f"than {100 * LOSS_MOVED:g} %",
    "engine mismatch": f"above {MISMATCH:g} nats a token",
}
"""Every check with its limit, for display; means need at least STEPS rows."""


@dataclass(frozen=True)
class Finding:
    """A problem in a stage: what is wrong, the figure, its limit, and a remedy.

    now: current values of the settings named in the remedy; "" if it names none.
    """

    stage: str
    what: str
    figure: str
    limit: str
    remedy: str
    now: str


def grouped(findings: Sequence[Finding]) -> list[tuple[str, str, str]]:
    """Findings grouped by problem for display: (what is wrong, where, remedy).

    Each remedy appears once, with current settings if they are the same in all stages.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.what, one.limit, one.remedy), []).append(one)
    entries = []
    for (what, limit, remedy), found in groups.items():
        stages: dict[str, list[str]] = {}
        for one in found:
            stages.setdefault(one.figure, []).append(one.stage)
        places = "; ".join(f"{', '.join(names)} {figure}" for figure, names in stages.items())
        now = {one.now for one in found}
        settings = f" (now {found[0].now})" if len(now) == 1 and found[0].now else ""
        entries.append((f"{what} ({limit})", places, f"{remedy}{settings}."))
    return entries


def examine(stage: str, rows: pd.DataFrame, settings: Settings) -> tuple[Finding, ...]:
    """Problems of a stage, worst first; () if there are none.

    rows: metrics.parquet, or for an EvaluationConfig evaluation.parquet (columns task, extracted
        and finished).
    """
    return tuple(Finding(stage, *found) for found in _verdicts(rows, settings) if found)


_Verdict = tuple[str, str, str, str, str]  # what, figure, limit, remedy, current settings


def _verdicts(rows: pd.DataFrame, settings: Any) -> Iterator[_Verdict | None]:
    if isinstance(settings, EvaluationConfig):
        asked = rows[~rows["task"].isin(GENERAL)]
        yield _clipped(rows.assign(clipped=~rows["finished"]), settings)
        yield _unparseable(asked.assign(unparseable=asked["extracted"].isna()))
        return
    yield _not_finite(rows, settings)
    if not isinstance(settings, RLConfig):
        yield _does_nothing(rows, settings)
        return
    late = rows.tail(max(STEPS, round(LATE * len(rows))))
    yield _exploding_kl(rows, settings)
    yield _does_nothing(rows, settings)
    yield _mismatch(late, settings)
    worse = _fewer_right(rows, late, settings)
    yield worse
    # A hacked reward is in the end the same for all; its remedy is another.
    if worse is None or worse[0] != HACKED:
        yield _zero_variance(late, settings)
    yield _constant_format(rows, settings)
    yield _clipped(late, settings)
    yield _unparseable(late)
    yield _timeouts(late, settings)
    yield _collapsed_entropy(rows, late, settings)


def _mean(rows: pd.DataFrame, column: str) -> float:
    """NaN for a missing column or too few rows; comparisons with NaN are False."""
    if len(rows) < STEPS or column not in rows.columns:
        return math.nan
    return float(rows[column].astype(float).mean())


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _at_most(limit: float, of: str) -> str:
    return f"{100 * limit:g} % of {of} at most"


def _now(settings: Any, *names: str) -> str:
    return ", ".join(f"{name}={getattr(settings, name):g}" for name in names)


_RATES = ("lr_matrices", "lr_rest")


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
                f"in {len(bad)} of {len(rows)} rows, first at step {int(bad['step'].iloc[0])}",
                "none at most",
                "Discard the weights from that step on; lower lr_matrices and lr_rest, or compute "
                "in float32",
                _now(settings, *_RATES),
            )
    return None


def _exploding_kl(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    if "kl" not in rows.columns:
        return None
    kl = rows["kl"].astype(float)
    held = kl.rolling(STEPS).min() > KL
    if not held.any():
        return None
    first = int(held.to_numpy().argmax()) - STEPS + 1
    return (
        "exploding KL",
        f"up to {kl.max():.3g} nats a token, from step {int(rows['step'].iloc[first])}",
        f"{KL:g} at most for {STEPS} steps in a row",
        "Lower lr_matrices and lr_rest, or raise beta",
        _now(settings, *_RATES, "beta"),
    )


def _does_nothing(rows: pd.DataFrame, settings: Any) -> _Verdict | None:
    if len(rows) >= STEPS and "lr" in rows.columns and (rows["lr"] == 0).all():
        found = "a rate of 0 at every step", "more than 0 wanted"
    elif isinstance(settings, RLConfig):
        # Without any advantage no learning rate has an effect; _zero_variance reports that case.
        signal = not _mean(rows, "zero_variance_groups") > ZERO_VARIANCE
        kl = rows["kl"].astype(float).max() if "kl" in rows.columns else math.nan
        if len(rows) < 2 * STEPS or not signal or not kl < KL_MOVED:
            return None
        found = f"a KL to the reference of {kl:.2g} nats a token at most", f"{KL_MOVED:g} at least"
    else:
        quarter = len(rows) // 4
        if quarter < STEPS or "loss" not in rows.columns:
            return None
        first, last = rows["loss"].head(quarter).mean(), rows["loss"].tail(quarter).mean()
        if not abs(last - first) < LOSS_MOVED * abs(first):
            return None
        found = (
            f"a loss of {first:.4g} over the first quarter and {last:.4g} over the last",
            f"{100 * LOSS_MOVED:g} % of change at least",
        )
    remedy = "Raise lr_matrices and lr_rest, and check that the weights are trainable"
    return "learning rate that does nothing", *found, remedy, _now(settings, *_RATES)


def _mismatch(late: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    apart = _mean(late, "logp_mismatch")
    if not apart > MISMATCH:
        return None
    return (
        "engine mismatch",
        f"{apart:.3g} nats a token",
        f"between engine and trainer, {MISMATCH:g} at most",
        "Use the same temperature in both and sync weights after every update; set "
        "engine.rollouts=own, or if it is, engine.precision=float32",
        _now(settings, "temperature"),
    )


def _fewer_right(rows: pd.DataFrame, late: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    if len(rows) < 2 * STEPS or not {"reward", "pass_at_1"} <= {*rows.columns}:
        return None
    parts = [part[["reward", "pass_at_1"]].astype(float) for part in (rows.head(STEPS), late)]
    (reward, right), (reward_late, right_late) = (part.mean() for part in parts)
    noise = math.sqrt(sum(part["pass_at_1"].sem() ** 2 for part in parts))
    weights = ("accuracy_weight", "format_weight", "language_weight", "preference_weight")
    rise = (reward_late - reward) / sum(getattr(settings, name) for name in weights)
    fell, start = f"pass@1 from {_share(right)} to {_share(right_late)}", "% of its start at least"
    if rise > REWARD_ROSE and right_late < min(RIGHT_LEFT * right, right - NOISE * noise):
        return (
            HACKED,
            f"{fell}, reward from {reward:.3g} to {reward_late:.3g}",
            f"{100 * RIGHT_LEFT:g} {start} while the reward rises",
            "Read completions.parquet for what is paid; raise accuracy_weight, or pay the format "
            "of right answers only (format_of_right=true)",
            _now(settings, *weights[:2]),
        )
    if right_late < min(HALVED * right, right - NOISE * noise):
        remedy = "Lower lr_matrices and lr_rest, and read completions.parquet for what took over"
        limit = f"{100 * HALVED:g} {start}"
        return "accuracy collapse", fell, limit, remedy, _now(settings, *_RATES)
    return None


def _zero_variance(late: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    share = _mean(late, "zero_variance_groups")
    if not share > ZERO_VARIANCE:
        return None
    found = "zero-variance groups", _share(share), _at_most(ZERO_VARIANCE, "groups")
    if _mean(late, "pass_at_1") > 0.5:
        return *found, "Most answers are right; use harder problems or stop here", ""
    return (
        *found,
        "Few answers are right; use easier problems, raise generations or temperature, or start "
        "from a fine-tuned checkpoint",
        _now(settings, "generations", "temperature"),
    )


def _constant_format(rows: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    mean = _mean(rows, "reward_format")
    if settings.format_weight == 0 or not mean < FORMAT_LEARNED:
        return None
    least, most = rows["reward_format"].min(), rows["reward_format"].max()
    if most - least >= FORMAT_MOVES:
        return None
    return (
        "constant format reward",
        f"{mean:.3g} at every step",
        f"a change of {FORMAT_MOVES:g} at least",
        "Compare completions.parquet with the template; the rewarded tags may differ from the "
        "requested ones, or the tokenizer may drop them",
        "",
    )


def _clipped(late: pd.DataFrame, settings: RLConfig | EvaluationConfig) -> _Verdict | None:
    share = _mean(late, "clipped")
    if not share > CLIPPED:
        return None
    rose = isinstance(settings, RLConfig) and settings.last_cap > settings.max_completion_tokens
    cap = "raised_cap" if rose else "max_completion_tokens"
    return (
        "clipped completions",
        _share(share),
        _at_most(CLIPPED, "completions"),
        f"Raise {cap}; if completions still reach the cap, check the model's end-of-sequence token",
        _now(settings, cap),
    )


def _unparseable(late: pd.DataFrame) -> _Verdict | None:
    share = _mean(late, "unparseable")
    if not share > UNPARSEABLE:
        return None
    return (
        "answers that cannot be read",
        _share(share),
        _at_most(UNPARSEABLE, "reasoning answers"),
        "Read some answers; the template may request another format than the parser expects, or "
        "completions are cut off before they state an answer",
        "",
    )


def _timeouts(late: pd.DataFrame, settings: RLConfig) -> _Verdict | None:
    # With several updates per rollout, only the first has a count.
    known = late["verifier_timeouts"].sum() if "verifier_timeouts" in late.columns else 0
    share = known / max(1, len(late) * settings.questions * settings.generations)
    if len(late) < STEPS or share <= TIMEOUTS:
        return None
    return (
        "verifier time-outs",
        _share(share),
        _at_most(TIMEOUTS, "completions"),
        "Each is scored as wrong; give the verifier more seconds or processes, or inspect the "
        "answers that time out",
        "",
    )


def _collapsed_entropy(
    rows: pd.DataFrame, late: pd.DataFrame, settings: RLConfig
) -> _Verdict | None:
    entropy, limit = _mean(late, "entropy"), ENTROPY
    if len(rows) >= 2 * STEPS:
        limit = max(limit, ENTROPY_LEFT * _mean(rows.head(STEPS), "entropy"))
    if not entropy < limit or _mean(late, "pass_at_1") >= SOLVED:
        return None
    return (
        "entropy collapse",
        f"{entropy:.3g} nats a token",
        f"{ENTROPY:g} at least, and {100 * ENTROPY_LEFT:g} % of the start",
        "Lower lr_matrices and lr_rest, raise epsilon, beta or temperature, or stop earlier",
        _now(settings, *_RATES, "epsilon", "beta", "temperature"),
    )
