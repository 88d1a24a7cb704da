"""The report page: what a run gave, as one HTML file that loads nothing from anywhere."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from r1repro.config import Config
from r1repro.evaluation import metrics
from r1repro.evaluation.statistics import DRAWS, Estimate
from r1repro.reports import figures, transcripts
from r1repro.text.reflection import REFLECTION_WORDS

Summary = Mapping[str, Estimate]

# What the paper reports of its R1-Zero, by our measure. Other model, other tasks: context only.
# v1 and v2 are versions of arXiv 2501.12948.
PAPER: dict[str, tuple[str, str]] = {
    "reasoning/pass@1": ("15.6 → 71.0 %, later 77.9 %", "AIME 2024; v1 §2.2.4, v2 §2.3"),
    "reasoning/cons@k": ("86.7 %", "AIME 2024, cons@64; v1 Table 2"),
    "length": ("about 550 → 9,650 tokens", "training prompts, read off v1 Fig. 3"),
    "reflection_per_response": ("5 to 7 times", "count of ten words; v2 §C.2, Fig. 9a"),
    "language_share": ("mixing reported, no figure", "v1 §2.2.4"),
    "repetition": ("reported, no figure", "repository README"),
}


@dataclass(frozen=True)
class Run:
    """All that the page tells: manifest, tables as stored, estimates and paired differences."""

    manifest: Mapping[str, Any]
    config: Config
    tables: Mapping[str, pd.DataFrame]
    evaluations: Mapping[str, pd.DataFrame]
    summaries: Mapping[str, Summary]
    changes: Summary


def page(run: Run) -> str:
    """The whole report as HTML."""
    environment = Environment(
        loader=PackageLoader("r1repro.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = cell
    environment.filters["text"] = transcripts.text_html
    environment.filters["duration"] = duration
    names = {name: figures.checkpoint(name, i)[0] for i, name in enumerate(run.summaries)}
    return environment.get_template("report.html.j2").render(
        run=run,
        manifest=run.manifest,
        config=run.config,
        names=names,
        title="R1-Zero"
        + (" from a given base" if run.config.model.path else " from random weights"),
        abstract=abstract(run),
        images=images(run),
        headline=headline_rows(run),
        details=detail_rows(run),
        behaviours=behaviour_rows(run),
        settings=settings_rows(run),
        problems=transcripts.choose(run.evaluations),
        training=training_rows(run),
        measured=measured(run),
        stages=stage_rows(run),
        config_yaml=yaml.safe_dump(run.manifest["config"], sort_keys=False, allow_unicode=True),
        reflection_words=REFLECTION_WORDS,
        heading=transcripts.heading,
        verdict=transcripts.verdict,
        rule=transcripts.RULE,
        limit=transcripts.LIMIT,
        draws=DRAWS,
    )


def png(figure: Figure) -> str:
    """A figure as a data URI, about twice the size at which the page shows it."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def images(run: Run) -> dict[str, str]:
    """Every picture of the page by its name; those whose data is missing are left out."""
    drawn = {}
    if "base" in run.tables:
        drawn["pretraining"] = figures.pretraining(run.tables["base"])
    if "r1_zero" in run.tables:
        drawn["learning_curve"] = figures.learning_curve(run.tables["r1_zero"], run.summaries)
        drawn["behaviour"] = figures.behaviour(run.tables["r1_zero"])
        drawn["training"] = figures.training(run.tables["r1_zero"])
    if run.summaries:
        drawn["by_level"] = figures.by_level(run.summaries)
        drawn["families"] = figures.families(run.summaries)
        drawn["pass_at_k"] = figures.pass_at_k(run.summaries)
    return {name: png(figure) for name, figure in drawn.items()}


def cell(estimate: Estimate | None, path: str, signed: bool = False) -> Markup:
    """An estimate for a table: the value, and its interval smaller below."""
    value, _, interval = metrics.shown(estimate, path, signed).partition(" [")
    shown = Markup('<span class="value">{}</span>').format(value)
    if interval:
        shown += Markup(' <span class="ci">[{}</span>').format(interval)
    return Markup('<span class="estimate">{}</span>').format(shown)


def duration(seconds: float | None) -> str:
    """Seconds in words, such as "4 min 05 s"."""
    if seconds is None or math.isnan(seconds):
        return "–"
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def measured(run: Run) -> dict[str, Any]:
    """How many problems and samples the numbers stand on, counted in the rows themselves."""
    if not run.evaluations:
        return {"problems": 0, "samples": 0, "reasoning": 0}
    rows = next(iter(run.evaluations.values()))
    sizes = rows.groupby(["problem_id", "language"]).size()
    path = "reasoning/pass@1"
    reasoning = next(iter(run.summaries.values())).get(path)
    return {
        "problems": len(sizes),
        "samples": int(sizes.min()),
        "reasoning": reasoning.n if reasoning else 0,
    }


def abstract(run: Run) -> list[str]:
    """What came out, in two or three sentences; each says only what its interval allows."""
    path = "reasoning/pass@1"
    change = run.changes.get(path)
    if change is None or len(run.summaries) < 2:
        return []
    (_, before), (_, after) = list(run.summaries.items())[0], list(run.summaries.items())[-1]
    count = measured(run)
    verb = "rose" if change.low > 0 else "fell" if change.high < 0 else "did not clearly change"
    said = [
        f"On {count['reasoning']:,} held-out reasoning problems, {count['samples']} samples each, "
        f"pass@1 {verb}: {metrics.shown(before[path], path)} for the base, "
        f"{metrics.shown(after[path], path)} after R1-Zero, "
        f"{metrics.shown(change, path, signed=True)} paired over problems."
    ]
    tasks = sorted(
        p.split("/")[0] for p in run.changes
        if p.endswith("/pass@1") and f"{p.split('/')[0]}/level_1/pass@1" in run.changes
        and p.count("/") == 1
    )  # fmt: skip
    if tasks:
        each = [
            f"{task} {metrics.shown(run.changes[f'{task}/pass@1'], path, signed=True)}"
            for task in tasks
        ]
        said.append("By family: " + "; ".join(each) + ".")
    if "format_valid" in before:
        said.append(
            f"Valid format: {metrics.shown(before['format_valid'], 'format_valid')} before, "
            f"{metrics.shown(after['format_valid'], 'format_valid')} after."
        )
    return said


def headline_rows(run: Run) -> list[dict[str, Any]]:
    """The first table: a measure, each checkpoint, the change, and what the paper reports."""
    paths = metrics.headline({path: None for summary in run.summaries.values() for path in summary})
    rows = []
    for path in paths:
        generic = "reasoning/cons@k" if path.startswith("reasoning/cons@") else path
        rows.append(row(run, path) | {"paper": PAPER.get(generic)})
    return rows


def row(run: Run, path: str, name: str | None = None) -> dict[str, Any]:
    return {
        "path": path,
        "label": name or metrics.label(path),
        "values": {c: summary.get(path) for c, summary in run.summaries.items()},
        "change": run.changes.get(path),
    }


def detail_rows(run: Run) -> list[dict[str, Any]]:
    """pass@1 by family, level and language, a group of rows each."""
    paths = {path for summary in run.summaries.values() for path in summary}
    groups: dict[str, list[dict[str, Any]]] = {}
    for scope in sorted(p.removesuffix("/pass@1") for p in paths if p.endswith("/pass@1")):
        first, _, last = scope.partition("/")
        if scope == "reasoning":
            continue
        if first.startswith("level_"):
            title, last = "by level", first
        elif first in transcripts.LANGUAGES:
            title, last = "by language", first
        else:
            title = first.capitalize()
        name = transcripts.LANGUAGES.get(last, last.replace("_", " ").capitalize() or "All levels")
        groups.setdefault(title, []).append(row(run, f"{scope}/pass@1", name))
    for rows in groups.values():
        # the whole, then the levels, then the languages
        rows.sort(key=lambda r: (r["label"] in transcripts.LANGUAGES.values(), r["label"]))
    general = [row(run, p) for p in sorted(paths) if p.startswith("general/")]
    if general:
        groups["General tasks"] = general
    return [{"title": title, "rows": rows} for title, rows in groups.items()]


def behaviour_rows(run: Run) -> list[dict[str, Any]]:
    """How the answers are written: together, by family and by language."""
    paths = {path for summary in run.summaries.values() for path in summary}
    scopes = {"": "All reasoning problems"}
    for path in sorted(paths):
        first, _, rest = path.partition("/")
        if rest == "format_valid" and not first.startswith("level_"):
            scopes[f"{first}/"] = transcripts.LANGUAGES.get(first, first.capitalize())
    wanted = [name for name in metrics.MEASURES if not name.endswith("pass@1")]
    return [
        {
            "title": title,
            "rows": [
                row(run, scope + name, metrics.MEASURES[name].label)
                for name in wanted
                if scope + name in paths
            ],
        }
        for scope, title in scopes.items()
    ]


def training_rows(run: Run) -> list[pd.Series]:
    completions = run.tables.get("completions")
    if completions is None or completions.empty:
        return []
    return [sample for _, sample in transcripts.over_training(completions).iterrows()]


def settings_rows(run: Run) -> Sequence[tuple[str, str, str]]:
    """What this run did beside what the paper did (R1-Zero: v2 §2.1 unless said otherwise)."""
    model, grpo, held = run.config.model, run.config.stage.r1_zero, run.config.evaluation
    base = run.config.stage.base
    batch = grpo.questions * grpo.generations
    return (
        (
            "Base model",
            f"from {model.path}"
            if model.path
            else f"{model.architecture}, {model.layers} layers of width {model.hidden_size}, "
            f"random weights, {base.tokens:,} tokens",
            "DeepSeek-V3-Base, 671B parameters, 37B active",
        ),
        ("SFT before RL", "none", "none"),
        (
            "Reward",
            f"accuracy + format, weights {grpo.accuracy_weight:g} and {grpo.format_weight:g}, "
            "by rule",
            "accuracy + format, equal weights, by rule",
        ),
        ("RL steps", f"{grpo.steps:,}", "10,400"),
        (
            "Batch",
            f"{grpo.questions} questions × {grpo.generations} = {batch:,} completions",
            "32 questions × 16 = 512 completions",
        ),
        (
            "Learning rate",
            f"{grpo.lr_matrices:g} (Muon, matrices), {grpo.lr_rest:g} (AdamW, rest)",
            "3e-6",
        ),
        ("KL coefficient β", f"{grpo.beta:g}, in the loss", "0.001, in the loss"),
        ("Clip ε", f"{grpo.epsilon:g}", "not stated (10 in the first RL stage of R1, v2 §3.2.1)"),
        (
            "Reference replaced",
            f"every {grpo.reference_sync_steps} steps",
            "every 400 steps",
        ),
        ("Rollout temperature", f"{grpo.temperature:g}", "1.0"),
        (
            "Longest completion",
            f"{grpo.max_completion_tokens} tokens",
            "32,768 tokens, 65,536 from step 8,200",
        ),
        (
            "Evaluation",
            f"T {held.temperature:g}, top-p {held.top_p:g}, {held.samples} samples, "
            f"at most {held.max_completion_tokens} tokens, on the {held.split} problems",
            "T 0.6, top-p 0.95, 64 samples on AIME (v1 §3)",
        ),
    )


def stage_rows(run: Run) -> list[dict[str, Any]]:
    return [
        {"name": name, **stage, "other_code": stage["code"] != run.manifest["code"]}
        for name, stage in run.manifest["stages"].items()
    ]
