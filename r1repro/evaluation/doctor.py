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
"""Shares are judged over this last part of the rows."""
CLIPPED = 0.25
"""Maximum share of clipped completions; they earn no reward, so above it the reward measures the
length cap."""
ZERO_VARIANCE = 0.8
"""Maximum share of groups with equal rewards, which have zero advantage."""
UNPARSEABLE = 0.25
"""Maximum share of unreadable answers, which are scored as wrong whatever the reasoning."""
FORMAT_MOVES = 0.01
"""Minimum range of a format reward; chance alone exceeds it."""
FORMAT_LEARNED = 0.95
"""A format reward that is constant above this had been learned before."""
KL = 1.0
"""Maximum KL in nats per token over STEPS consecutive steps: tokens are then e times as likely as
under the reference, in the geometric mean. Single steps may spike, since k3 is exponential."""
ENTROPY = 0.02
"""Minimum entropy in nats per token, that of a coin with 997 heads in 1,000 tosses; below it the
completions of a group are nearly identical."""
ENTROPY_LEFT = 0.1
"""Minimum share of the entropy of the first STEPS steps."""
SOLVED = 0.9
"""Minimum pass@1 at which low entropy is acceptable."""
REWARD_ROSE, RIGHT_LEFT = 0.25, 0.9
"""While the reward rises by REWARD_ROSE of its weights' sum, pass@1 must keep RIGHT_LEFT of its
mean over the first STEPS steps, or fall by at most NOISE standard errors of the difference;
otherwise the reward pays for something else."""
HALVED, NOISE = 0.5, 2.0
"""pass@1 must keep HALVED of its mean over the first STEPS steps, or fall by at most NOISE standard
errors of the difference; healthy laptop runs keep 0.76, even while they learn the format."""
TIMEOUTS = 0.01
"""Maximum share of time-outs, which may be right answers scored as wrong; the mini world's rules
never time out."""
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
        places = "; ".join(
            f"{', '.join(one.stage for one in found if one.figure == figure)} {figure}"
            for figure in dict.fromkeys(one.figure for one in found)
        )
        now = {one.now for one in found}
        settings = f" (now {found[0].now})" if len(now) == 1 and found[0].now else ""
        entries.append((f"{what} ({limit})", places, f"{remedy}{settings}."))
    return entries


def examine(stage: str, rows: pd.DataFrame, settings: Settings) -> tuple[Finding, ...]:
    """Problems of a stage, worst first; () if there are none.

    rows: metrics.parquet, or for an EvaluationConfig evaluation.parquet (columns task, extracted
        and finished).
    """
    found = []
    for what, figure, limit, remedy, names in _verdicts(rows, settings):
        now = ", ".join(f"{name}={getattr(settings, name):g}" for name in names)
        found.append(Finding(stage, what, figure, limit, remedy, now))
    return tuple(found)


# What, figure, limit, remedy, and the settings that the remedy names.
_Verdict = tuple[str, str, str, str, tuple[str, ...]]
_RATES = ("lr_matrices", "lr_rest")


def _verdicts(rows: pd.DataFrame, settings: Any) -> Iterator[_Verdict]:
    if isinstance(settings, EvaluationConfig):
        asked = rows[~rows["task"].isin(GENERAL)]
        yield from _clipped(1 - _mean(rows, "finished"), "max_completion_tokens")
        yield from _unparseable(asked.assign(unparseable=asked["extracted"].isna()))
        return
    yield from _not_finite(rows, settings)
    if not isinstance(settings, RLConfig):
        yield from _does_nothing(rows, settings)
        return
    late = rows.tail(max(STEPS, round(LATE * len(rows))))
    raised = settings.last_cap > settings.max_completion_tokens
    yield from _updates(rows, late, settings)
    yield from _rewards(rows, late, settings)
    cap = "raised_cap" if raised else "max_completion_tokens"
    yield from _clipped(_mean(late, "clipped"), cap)
    yield from _unparseable(late)
    yield from _timeouts(late, settings)
    yield from _collapsed_entropy(rows, late)


def _mean(rows: pd.DataFrame, column: str) -> float:
    """NaN for a missing column or too few rows; comparisons with NaN are False."""
    if len(rows) < STEPS or column not in rows.columns:
        return math.nan
    return float(rows[column].astype(float).mean())


def _share(share: float) -> str:
    return f"{100 * share:.3g} %"


def _at_most(limit: float, of: str) -> str:
    return f"{100 * limit:g} % of {of} at most"


def _not_finite(rows: pd.DataFrame, settings: Any) -> Iterator[_Verdict]:
    # Without the KL term its column is empty.
    columns = ("kl", "entropy") if getattr(settings, "beta", 0.0) > 0 else ("entropy",)
    for column in (*columns, "loss"):
        if column not in rows.columns:
            continue
        bad = rows[~np.isfinite(rows[column].astype(float))]
        if len(bad):
            yield (
                f"non-finite {'KL' if column == 'kl' else column}",
                f"in {len(bad)} of {len(rows)} rows, first at step {int(bad['step'].iloc[0])}",
                "none at most",
                "Discard the weights from that step on; lower lr_matrices and lr_rest, or compute "
                "in float32",
                _RATES,
            )
            return


def _updates(rows: pd.DataFrame, late: pd.DataFrame, settings: RLConfig) -> Iterator[_Verdict]:
    if "kl" in rows.columns:
        kl = rows["kl"].astype(float)
        held = kl.rolling(STEPS).min() > KL
        if held.any():
            first = int(held.to_numpy().argmax()) - STEPS + 1
            yield (
                "exploding KL",
                f"up to {kl.max():.3g} nats a token, from step {int(rows['step'].iloc[first])}",
                f"{KL:g} at most for {STEPS} steps in a row",
                "Lower lr_matrices and lr_rest, or raise beta",
                (*_RATES, "beta"),
            )
    yield from _does_nothing(rows, settings)
    apart = _mean(late, "logp_mismatch")
    if apart > MISMATCH:
        yield (
            "engine mismatch",
            f"{apart:.3g} nats a token",
            f"between engine and trainer, {MISMATCH:g} at most",
            "Use the same temperature in both and sync weights after every update; set "
            "engine.rollouts=own, or if it is, engine.precision=float32",
            ("temperature",),
        )


def _does_nothing(rows: pd.DataFrame, settings: Any) -> Iterator[_Verdict]:
    figure = limit = ""
    quarter = len(rows) // 4
    if len(rows) >= STEPS and "lr" in rows.columns and (rows["lr"] == 0).all():
        figure, limit = "a rate of 0 at every step", "more than 0 wanted"
    elif isinstance(settings, RLConfig):
        # Without any advantage no learning rate has an effect; _rewards reports that case.
        signal = not _mean(rows, "zero_variance_groups") > ZERO_VARIANCE
        kl = rows["kl"].astype(float).max() if "kl" in rows.columns else math.nan
        if len(rows) >= 2 * STEPS and signal and kl < KL_MOVED:
            figure = f"a KL to the reference of {kl:.2g} nats a token at most"
            limit = f"{KL_MOVED:g} at least"
    elif quarter >= STEPS and "loss" in rows.columns:
        first, last = rows["loss"].head(quarter).mean(), rows["loss"].tail(quarter).mean()
        if abs(last - first) < LOSS_MOVED * abs(first):
            figure = f"a loss of {first:.4g} over the first quarter and {last:.4g} over the last"
            limit = f"{100 * LOSS_MOVED:g} % of change at least"
    if figure:
        remedy = "Raise lr_matrices and lr_rest, and check that the weights are trainable"
        yield "learning rate that does nothing", figure, limit, remedy, _RATES


def _rewards(rows: pd.DataFrame, late: pd.DataFrame, settings: RLConfig) -> Iterator[_Verdict]:
    worse = [*_fewer_right(rows, late, settings)]
    yield from worse
    share = _mean(late, "zero_variance_groups")
    # A hacked reward is in the end the same for all; its remedy is another.
    if share > ZERO_VARIANCE and not any(what == HACKED for what, *_ in worse):
        names: tuple[str, ...] = ()
        remedy = "Most answers are right; use harder problems or stop here"
        if not _mean(late, "pass_at_1") > 0.5:
            remedy = (
                "Few answers are right; use easier problems, raise generations or temperature, or "
                "start from a fine-tuned checkpoint"
            )
            names = ("generations", "temperature")
        limit = _at_most(ZERO_VARIANCE, "groups")
        yield "zero-variance groups", _share(share), limit, remedy, names
    mean = _mean(rows, "reward_format")
    paid = rows.get("reward_format", default=pd.Series(dtype=float))
    unlearned = settings.format_weight != 0 and mean < FORMAT_LEARNED
    if unlearned and paid.max() - paid.min() < FORMAT_MOVES:
        yield (
            "constant format reward",
            f"{mean:.3g} at every step",
            f"a change of {FORMAT_MOVES:g} at least",
            "Compare completions.parquet with the template; the rewarded tags may differ from the "
            "requested ones, or the tokenizer may drop them",
            (),
        )


def _fewer_right(rows: pd.DataFrame, late: pd.DataFrame, settings: RLConfig) -> Iterator[_Verdict]:
    if len(rows) < 2 * STEPS or not {"reward", "pass_at_1"} <= {*rows.columns}:
        return
    parts = [part[["reward", "pass_at_1"]].astype(float) for part in (rows.head(STEPS), late)]
    (reward, right), (reward_late, right_late) = (part.mean() for part in parts)
    noise = math.sqrt(sum(part["pass_at_1"].sem() ** 2 for part in parts))
    weights = ("accuracy_weight", "format_weight", "language_weight", "preference_weight")
    rise = (reward_late - reward) / sum(getattr(settings, name) for name in weights)
    fell, start = f"pass@1 from {_share(right)} to {_share(right_late)}", "% of its start at least"
    if rise > REWARD_ROSE and right_late < min(RIGHT_LEFT * right, right - NOISE * noise):
        yield (
            HACKED,
            f"{fell}, reward from {reward:.3g} to {reward_late:.3g}",
            f"{100 * RIGHT_LEFT:g} {start} while the reward rises",
            "Read completions.parquet for what is paid; raise accuracy_weight, or pay the format "
            "of right answers only (format_of_right=true)",
            weights[:2],
        )
    elif right_late < min(HALVED * right, right - NOISE * noise):
        remedy = "Lower lr_matrices and lr_rest, and read completions.parquet for what took over"
        yield "accuracy collapse", fell, f"{100 * HALVED:g} {start}", remedy, _RATES


def _clipped(share: float, cap: str) -> Iterator[_Verdict]:
    if share > CLIPPED:
        yield (
            "clipped completions",
            _share(share),
            _at_most(CLIPPED, "completions"),
            f"Raise {cap}; if completions still reach the cap, check the model's end-of-sequence "
            "token",
            (cap,),
        )


def _unparseable(late: pd.DataFrame) -> Iterator[_Verdict]:
    share = _mean(late, "unparseable")
    if share > UNPARSEABLE:
        yield (
            "answers that cannot be read",
            _share(share),
            _at_most(UNPARSEABLE, "reasoning answers"),
            "Read some answers; the template may request another format than the parser expects, "
            "or completions are cut off before they state an answer",
            (),
        )


def _timeouts(late: pd.DataFrame, settings: RLConfig) -> Iterator[_Verdict]:
    # With several updates per rollout, only the first has a count.
    known = late["verifier_timeouts"].sum() if "verifier_timeouts" in late.columns else 0
    share = known / max(1, len(late) * settings.questions * settings.generations)
    if len(late) >= STEPS and share > TIMEOUTS:
        yield (
            "verifier time-outs",
            _share(share),
            _at_most(TIMEOUTS, "completions"),
            "Each is scored as wrong; give the verifier more seconds or processes, or inspect the "
            "answers that time out",
            (),
        )


def _collapsed_entropy(rows: pd.DataFrame, late: pd.DataFrame) -> Iterator[_Verdict]:
    entropy, limit = _mean(late, "entropy"), ENTROPY
    if len(rows) >= 2 * STEPS:
        limit = max(limit, ENTROPY_LEFT * _mean(rows.head(STEPS), "entropy"))
    if entropy < limit and not _mean(late, "pass_at_1") >= SOLVED:
        yield (
            "entropy collapse",
            f"{entropy:.3g} nats a token",
            f"{ENTROPY:g} at least, and {100 * ENTROPY_LEFT:g} % of the start",
            "Lower lr_matrices and lr_rest, raise epsilon, beta or temperature, or stop earlier",
            (*_RATES, "epsilon", "beta", "temperature"),
        )
