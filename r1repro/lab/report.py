"""The report of the lab: its arms by notebook, over one or several seeds, and their search."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from r1repro.config import LABS, Config, lab
from r1repro.duration import duration
from r1repro.evaluation import arms, claims, metrics
from r1repro.evaluation.arms import PASS
from r1repro.evaluation.checkpoints import key
from r1repro.lab.arms import RATES, cells, label, trained, tried, versus
from r1repro.reports import seeds
from r1repro.reports.markup import Html, Row, Table, joined, paragraphs
from r1repro.reports.report import Report, lab_of


def notebooks(told: Report) -> Html:
    """A table for each notebook whose arms were run, and how its arms compare with GRPO."""
    parts: list[Html | Table | None] = []
    for name in _notebooks(told):
        heading = Html(Markup("<h3>{}</h3>").format(name))
        parts += [heading, paragraphs(*_said(told, name)), table(told, name)]
    return joined(*parts)


def table(told: Report, notebook: str) -> Table:
    """A row per arm: its scores, pass@1 of each seed, and the paired change against GRPO's best.

    detectable: where that change is not told apart from zero, the size of a change that as many
    seeds would detect four times in five.
    """
    shown = _shown(told, notebook)
    k = max(metrics.samples(told.summaries[stage]) for stage in shown)
    paths = [PASS, f"reasoning/pass@{k}", f"reasoning/cons@{k}", "length"]
    reference, rows, several = _reference(told, notebook), [], len(told.by_seed) > 2
    for stage, arm in shown.items():
        each = [told.summaries[seeds.of(stage, run)][PASS] for run in told.by_seed]
        pair = key(reference, stage)
        changes = told.changes.get(pair, {})
        row = [f"{100 * one.value:.1f}\u00a0%" for one in each]
        row += [*cells(told.summaries[stage], paths), *cells(changes, signed=True)]
        if several:
            found = [told.changes.get(seeds.of(pair, run), {}).get(PASS) for run in told.by_seed]
            change = changes.get(PASS)
            open_ = change is not None and change.low <= 0 <= change.high
            known = [one for one in found if one is not None]
            size = claims.detectable(known) if open_ else math.nan
            row.append("–" if math.isnan(size) else f"{100 * size:.1f}\u00a0points")
        rows.append(Row(_label(stage, notebook), (*row, f"{arm['samples']:,}")))
    columns = [f"pass@1, {run.partition(',')[0]}" for run in told.by_seed]
    columns += [f"{metrics.label(path)}{', mean' if told.by_seed else ''}" for path in paths]
    columns += ["pass@1 − best GRPO’s, paired", *["detectable"] * several]
    return Table((*columns, "Completions sampled"), tuple(rows), "Arm")


def _said(told: Report, notebook: str) -> list[str]:
    """Each method's best arm against GRPO's, and the arms that do not compare at equal cost."""
    shown, reference, grpo = _shown(told, notebook), _reference(told, notebook), _grpo()
    said, alike = [], []
    for method, stage in arms.shown(notebook, _runs(told)).items():
        change = told.changes.get(key(reference, stage), {}).get(PASS)
        if change is not None:
            said.append(f"{method} is {versus(change, 'GRPO')}")
        rates = arms.common_rates(notebook, method, grpo) if reference else set()
        fair = arms.shown(notebook, _runs(told), rates)
        same = told.changes.get(key(fair.get(grpo, ""), fair[method]), {}).get(PASS)
        if same is not None and fair[grpo] != reference:
            listed = ", ".join(f"× {rate:g}" for rate in sorted(rates))
            alike.append(f"at {listed} {method} is {versus(same, 'GRPO')}")
    usual = shown.get(reference, {}).get("samples")
    parts = {
        f"pass@1, {told.over}": said,
        "GRPO’s best has a policy’s rate that not every method was tried with; at rates of both": (
            alike
        ),
        "Another number of completions than GRPO’s, so no comparison at equal cost": [
            _label(stage, notebook)
            for stage, arm in shown.items()
            if usual is not None and arm["samples"] != usual
        ],
        "Has read worked answers besides, which no completion counts": [
            _label(stage, notebook) for stage, arm in shown.items() if lab.AFTER in arm["changes"]
        ],
    }
    nothing = [] if said else ["Nothing is compared with GRPO."]
    return nothing + [f"{what}: {'; '.join(found)}." for what, found in parts.items() if found]


def searched(told: Report) -> Table:
    """A row per method of each notebook: the rates tried, and what else differs from GRPO."""
    rows = []
    for notebook in _notebooks(told):
        shown, chosen = _shown(told, notebook), arms.shown(notebook, _runs(told))
        rows.append(Row(notebook))
        for method in dict.fromkeys(arm["method"] for arm in shown.values()):
            trials = {s: arm for s, arm in shown.items() if arm["method"] == method}
            changes = next(iter(trials.values()))["changes"].items()
            other = "; ".join(f"{n} {v}" for n, v in changes if n not in RATES)
            rates = "; ".join(_rates(arm["changes"]) for arm in trials.values())
            best = _rates(trials[chosen[method]]["changes"]) if len(trials) > 1 else "–"
            rows.append(Row(method, (str(len(trials)), rates, best, other)))
    return Table(("Trials", "Rates tried", "Best", "Settings"), tuple(rows), "Method")


def _rates(changes: Mapping[str, Any]) -> str:
    told = tried(changes, ("policy", "critic"))
    return f"{told} of base_rft’s" if changes.get(lab.OFFLINE) in ("sft", "rft") else told


def times(told: Report) -> str:
    """The time that the arms took, as a sentence."""
    stages = [one["stages"] for one in told.manifest.get("runs", (told.manifest,))]
    ours = {lab.START} | {name(arm) for arm in lab.arms() for name in (lab.stage, lab.evaluation)}
    took = sum(one["seconds"] for each in stages for n, one in each.items() if n in ours)
    return f"{len(_arms(told))} arms, trained and evaluated in {duration(took)} in all."


def section(config: Config) -> Html | None:
    """For the report of the stages: the arms that were run from the same base; None without any."""
    rows = []
    for notebook in LABS:
        found, every = trained(config, notebook), lab.arms()
        usual = arms.sampled(every[lab.REFERENCE], config)
        alike = {
            name: rows
            for name, rows in found.evaluations.items()
            if every[name].start == "base" and arms.sampled(every[name], config) == usual
        }
        # GRPO alone, or without GRPO, or arms that are broken on purpose
        if len(alike) < 2 or lab.REFERENCE not in alike:
            continue
        found = replace(found, evaluations=alike)
        summaries, changes = found.compared
        rows.append(Row(f"notebooks/lab/{notebook}.ipynb"))
        for method, name in found.best.items():
            change = cells(changes.get(name, {}), signed=True)
            rows.append(Row(method, cells(summaries[name]) + change))
    columns = ("pass@1, validation", "less the best of GRPO, paired")
    return joined(Table(columns, tuple(rows), "Method, its best trial")) if rows else None


def _label(stage: str, notebook: str) -> str:
    return label(lab.trained()[stage], notebook)


def _arms(told: Report) -> Mapping[str, Any]:
    found: Mapping[str, Any] = told.manifest["config"]["arms"]
    return found


def _notebooks(told: Report) -> list[str]:
    """The notebooks of the run with an arm that sampled as many completions as GRPO there."""
    chosen, found = lab_of(told.manifest), []
    for name in LABS:
        shown = _shown(told, name)
        samples = [arm["samples"] for arm in shown.values()]
        usual = shown.get(_reference(told, name), {}).get("samples", max(samples, default=0))
        if chosen in (name, "all") and samples.count(usual) > 1:
            found.append(name)
    return found


def _shown(told: Report, notebook: str) -> dict[str, Any]:
    """The arms of a notebook that were evaluated, by stage, as the manifest has them."""
    return {
        stage: arm
        for name, arm in _arms(told).items()
        if notebook in arm["shown_in"] and (stage := lab.stage(name)) in told.summaries
    }


def _reference(told: Report, notebook: str) -> str:
    """The stage of the best trial of GRPO that a notebook shows; "" if it shows none."""
    return arms.shown(notebook, _runs(told)).get(_grpo(), "")


def _grpo() -> str:
    return lab.arms()[lab.REFERENCE].method


def _runs(told: Report) -> list[Mapping[str, Any]]:
    return [*told.by_seed.values()] or [told.summaries]
