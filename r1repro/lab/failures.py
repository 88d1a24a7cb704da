"""Runs broken on purpose: the curve that gives each away, the doctor's findings and the remedy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import torch

from r1repro.config import Config, RLConfig, lab
from r1repro.evaluation import doctor
from r1repro.evaluation.checkpoints import BLUE, GREEN, GREY, INK, ORANGE, VERMILION
from r1repro.lab import arms, figures
from r1repro.lab.arms import Trained
from r1repro.reports import drawing
from r1repro.reports.drawing import Drawing, described
from r1repro.reports.markup import Html, Row, Shown, Table, paragraphs
from r1repro.training import objective

_PASS = ("pass_at_1", "pass@1 on training prompts", None)
_ALIKE = ("zero_variance_groups", "zero-variance groups", doctor.ZERO_VARIANCE)
CURVES: dict[str, tuple[str, str, float | None]] = {
    "broken_rate": _PASS,
    "broken_kl": ("kl", "KL to the reference", doctor.KL),
    "broken_cap": ("clipped", "clipped completions", doctor.CLIPPED),
    "broken_pairs": _ALIKE,
    "broken_cold": _ALIKE,
    "broken_reward": _PASS,
}
"""The curve that gives each broken arm away: column of the metrics, title, the doctor's limit."""
_FOLLOW = ("steps", "save_every", "reference_sync_steps", "objective")
"""Settings that follow from the number of batches, and the group that is compared by itself."""


def groups(rewards: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """A row per group: its rewards, their mean and sample deviation, and the advantages of the
    answers with the highest and with the lowest reward."""
    rows = {}
    for name, values in rewards.items():
        rewards_B = torch.tensor(values, dtype=torch.float64)
        advantages_B = objective.group_advantages(rewards_B, len(values))
        rows[name] = {
            "rewards": " ".join(f"{value:g}" for value in values),
            "mean": float(rewards_B.mean()),
            "deviation": float(rewards_B.std()),
            "advantage of the best": float(advantages_B.max()),
            "of the worst": float(advantages_B.min()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def teaching(shares: Sequence[float], sizes: Sequence[int]) -> pd.DataFrame:
    """Share of groups with a right and a wrong answer, 1 - p^G - (1 - p)^G.

    A row per probability p of a right answer, a column per group size G.
    """
    p = pd.Series(shares, index=pd.Index(shares, name="p"))
    return pd.DataFrame({f"G = {size}": 1 - p**size - (1 - p) ** size for size in sizes})


@dataclass(frozen=True)
class Examined:
    """An arm as it was trained.

    rows: of metrics.parquet, with the batch that each learned from as `batch` (from 1); differs:
    settings that are not GRPO's, in words; findings: the doctor's.
    """

    method: str
    rows: pd.DataFrame
    settings: RLConfig
    differs: Mapping[str, str]
    findings: tuple[doctor.Finding, ...]

    @property
    def named(self) -> int:
        """Number of findings whose remedy names a setting that differs."""
        told = [f"{one.remedy} {one.now}" for one in self.findings]
        return sum(any(name in text for name in self.differs) for text in told)

    @property
    def said(self) -> str:
        """The findings in words."""
        return "; ".join(f"{one.what}, {one.figure}" for one in self.findings) or "nothing"

    def curve(self, column: str) -> "pd.Series[float]":
        """A column's mean over the updates of each batch; later updates may have no rollout."""
        return self.rows.groupby("batch")[column].mean()


def _differences(own: RLConfig, healthy: RLConfig) -> dict[str, str]:
    """The settings that are not GRPO's, as "name=value (GRPO: value)"."""

    def told(value: object) -> str:
        return f"{value:g}" if isinstance(value, float) else str(value).lower()

    mine, other = ({**vars(one), **vars(one.objective)} for one in (own, healthy))
    return {
        name: f"{name}={told(value)} (GRPO: {told(other[name])})"
        for name, value in mine.items()
        if value != other[name] and name not in _FOLLOW
    }


def examined(config: Config, found: Trained) -> dict[str, Examined]:
    """The doctor's findings on every arm that was trained, GRPO among them."""
    seen, start = {}, config.stage.r1_zero
    healthy = lab.settings(start, lab.arms()[lab.REFERENCE])
    for name, rows in found.curves.items():
        settings = lab.settings(start, lab.arms()[name])
        seen[name] = Examined(
            lab.arms()[name].method,
            rows.assign(batch=(rows["step"] - 1) // settings.objective.passes + 1),
            settings,
            _differences(settings, healthy),
            doctor.examine(lab.stage(name), rows, settings),
        )
    return seen


def _broken(seen: Mapping[str, Examined]) -> dict[str, Examined]:
    return {name: seen[name] for name in CURVES if name in seen}


def picture(seen: Mapping[str, Examined], shares: pd.DataFrame) -> Drawing:
    """The curves that give broken runs away, or before any has been trained, `teaching`."""
    return curves(seen) if _broken(seen) else chances(shares)


@described
def chances(shares: pd.DataFrame) -> Drawing:
    """The share of groups that teach, over the probability of a right answer, by group size."""
    figure = drawing.empty(5.6, 3.3)
    axes = figure.subplots()
    figures.lines(axes, shares, (VERMILION, ORANGE, GREEN, BLUE))
    axes.set(title="Groups that teach", xlabel="probability of a right answer", ylabel="share")
    drawing.percent(axes)
    axes.legend()
    return figure


@described
def curves(seen: Mapping[str, Examined]) -> Drawing:
    """Each run broken on purpose beside GRPO, in the curve that gives it away, with the doctor's
    limit."""
    shown, healthy = _broken(seen), seen.get(lab.REFERENCE)
    rows = -(-len(shown) // 3)
    figure = drawing.empty(10.4, 3.0 * rows)
    panels = list(figure.subplots(rows, 3, squeeze=False).flat)
    for panel in panels[len(shown) :]:
        panel.remove()
    for panel, (name, run) in zip(panels, shown.items(), strict=False):
        column, title, limit = CURVES[name]
        own = run.curve(column)
        if healthy is not None:
            panel.plot(healthy.curve(column).loc[: own.index[-1]], "--", color=GREY, label="GRPO")
        panel.plot(own, color=VERMILION, label="broken")
        if run.settings.accuracy_weight == 0:
            paid = run.curve("reward") / run.settings.format_weight
            panel.plot(paid, ":", color=BLUE, label="its reward")
        if limit is not None:
            panel.axhline(limit, color=INK, linewidth=0.8, linestyle=":", label="limit")
        panel.set(title=run.method.capitalize(), ylabel=title, xlabel="batch")
        if column == "kl":
            panel.set_ylim(bottom=0)
        else:
            drawing.percent(panel)
        panel.legend()
    drawing.whole_steps(panels[: len(shown)])
    return figure


def table(seen: Mapping[str, Examined], found: Trained) -> Shown | None:
    """A row per finding of each run: figure, limit and remedy, under the settings changed."""
    shown = _broken(seen)
    if not shown:
        return paragraphs(arms.how(found))
    rows = []
    for name in (*shown, *({lab.REFERENCE} & seen.keys())):
        run = seen[name]
        rows.append(Row("; ".join((run.method, *run.differs.values()))))
        for one in run.findings:
            now = f" (now {one.now})" if one.now else ""
            rows.append(Row(one.what, (f"{one.figure}\n{one.limit}", f"{one.remedy}{now}.")))
        if not run.findings:
            rows.append(Row("nothing", ("–", "–")))
    return Table(("Figure, and limit", "What helps"), tuple(rows), "The doctor’s finding")


def told(seen: Mapping[str, Examined], shares: pd.DataFrame, found: Trained) -> Html | None:
    """Which groups teach, what gave each run away, and which mistakes the doctor named."""
    p, small, large = shares.index[0], shares.columns[0], shares.columns[-1]
    exact = (
        f"If {p:.0%} of the answers are right, {shares.loc[p, small]:.1%} of groups with {small} "
        f"teach and {shares.loc[p, large]:.1%} of groups with {large}; the others have no "
        "advantage at all, whatever the learning rate. If as many are wrong, it is the same."
    )
    shown, healthy = _broken(seen), seen.get(lab.REFERENCE)
    if not shown:
        return paragraphs(exact, arms.how(found))
    missed = [run.method for run in shown.values() if not run.named]
    named = sum(run.named for run in shown.values())
    total = sum(len(run.findings) for run in shown.values())
    few = any(len(run.rows) < 2 * doctor.STEPS for run in shown.values())
    return paragraphs(
        exact,
        *(_given_away(*CURVES[name][:2], run, healthy) for name, run in shown.items()),
        f"In {len(shown) - len(missed)} of {len(shown)} runs a remedy names a setting that was "
        f"wrong{'; it does not for: ' + ', '.join(missed) if missed else ''}. Of all findings in "
        f"them {named} do so; the other {total - named} name other settings or none.",
        f"Of GRPO the doctor says: {healthy.said}." if healthy else "",
        doctor.TOO_LITTLE if few else "",
        arms.how(found),
    )


def _given_away(column: str, title: str, run: Examined, healthy: Examined | None) -> str:
    until = run.rows["batch"].iloc[-1]

    def late(one: Examined) -> str:
        """The mean over the last STEPS batches that the broken run has too."""
        value = one.curve(column).loc[:until].tail(doctor.STEPS).mean()
        return f"{value:.3g} nats a token" if column == "kl" else f"{value:.0%}"

    beside = f", with GRPO {late(healthy)}" if healthy else ""
    return (
        f"{run.method.capitalize()}, after {until} batches: {title} {late(run)}{beside}. "
        f"The doctor says: {run.said}."
    )
