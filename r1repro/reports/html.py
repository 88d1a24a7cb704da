"""The report page: what a run gave, as one HTML file that loads nothing from anywhere."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from r1repro.config import Config, RLConfig, SFTConfig
from r1repro.duration import duration
from r1repro.evaluation import metrics
from r1repro.evaluation.claims import VERDICTS, Judged
from r1repro.evaluation.statistics import DRAWS
from r1repro.reports import aha, claims, figures, tables, transcripts
from r1repro.reports.checkpoints import ABLATIONS, CHAIN, MAIN, key
from r1repro.reports.files import Results
from r1repro.reports.tables import Costs, Table
from r1repro.tasks.problem import GENERAL
from r1repro.text.reflection import REFLECTION_WORDS

# What the paper reports, by our measure. Other model, other tasks: context only.
# v1 and v2 are versions of arXiv 2501.12948.
PAPER: dict[str, tuple[str, str]] = {
    "reasoning/pass@1": (
        "15.6 → 71.0 %, later 77.9 %; R1 79.8 %",
        "AIME 2024; v1 §2.2.4, v2 §2.3, Table 3",
    ),
    "reasoning/cons@k": ("86.7 %", "R1-Zero, AIME 2024, cons@64; v1 Table 2"),
    "length": ("about 550 → 9,650 tokens", "R1-Zero, training prompts, read off v1 Fig. 3"),
    "reflection_per_response": ("5 to 7 times", "R1-Zero, count of ten words; v2 §C.2, Fig. 9a"),
    "language_share": ("R1-Zero mixes, no figure", "v1 §2.2.4"),
    "repetition": ("R1-Zero repeats, no figure", "repository README"),
    "general/score": ("R1-Zero 24.7 %, R1 87.6 %", "AlpacaEval 2.0 LC; v2 Table 3"),
}


@dataclass(frozen=True)
class Run:
    """All that the page tells.

    tables: metrics.parquet by stage, and R1-Zero's completions; evaluations: rows, at least of the
    checkpoints in MAIN; summaries, changes, costs: what the comparison stage stored; judged,
    control: the claims of the papers, and the first as judged of the control; sizes: the examples
    in each data set, by stage.
    """

    manifest: Mapping[str, Any]
    config: Config
    tables: Mapping[str, pd.DataFrame]
    evaluations: Mapping[str, pd.DataFrame]
    summaries: Results
    changes: Results
    judged: Sequence[Judged] = ()
    control: Sequence[Judged] = ()
    costs: Costs = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)


def page(run: Run) -> str:
    """The whole report as HTML."""
    names = {name: figures.checkpoint(name)[0] for name in figures.main(run.summaries)}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            manifest=run.manifest,
            config=run.config,
            names=names,
            title=title(run),
            abstract=abstract(run),
            images=images(run),
            headline=headline(run),
            details=details(run),
            behaviours=behaviours(run),
            reflection=reflection(run),
            settings=settings_rows(run),
            later_settings=later_settings_rows(run),
            stage_table=tables.stages(run.summaries),
            forgetting=tables.forgetting(run.changes),
            students=students(run),
            ablations=ablations(run),
            verdicts=claims.counts(run.judged),
            control=control(run.control),
            ledger=ledgers(run.judged),
            problems=transcripts.choose(figures.main(run.evaluations)),
            training=training_rows(run),
            aha_rates=aha.rates(figures.main(run.evaluations)),
            aha_firsts=aha_firsts(run),
            measured=measured(run),
            stages=stage_rows(run),
            build_seconds=sum(stage["seconds"] or 0.0 for stage in stage_rows(run)),
            config_yaml=yaml.safe_dump(run.manifest["config"], sort_keys=False, allow_unicode=True),
            reflection_words=REFLECTION_WORDS,
            heading=transcripts.heading,
            verdict=transcripts.verdict,
            rule=transcripts.RULE,
            limit=transcripts.LIMIT,
            draws=DRAWS,
        )
    )


def seeds_page(
    manifest: Mapping[str, Any],
    by_seed: Mapping[str, Results],
    summaries: Results,
    changes: Results,
    judged: Sequence[Judged],
    control_judged: Sequence[Judged],
    figure: Figure,
) -> str:
    """The report of several seeds: `summaries` and `changes` are over them, `by_seed` of each."""
    return (
        _environment()
        .get_template("seeds.html.j2")
        .render(
            manifest=manifest,
            images={"seeds": png(figure)},
            stage_table=tables.stages(summaries),
            forgetting=tables.forgetting(changes),
            by_seed=tables.by_seed(by_seed),
            students=[
                tables.student(name, summaries, {})
                for name in figures.evaluated_students(summaries)
            ],
            verdicts=claims.counts(judged),
            ledger=ledgers(judged),
            control=control(control_judged),
            config_yaml=yaml.safe_dump(manifest["config"], sort_keys=False, allow_unicode=True),
        )
    )


def _environment() -> Environment:
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
    return environment


def title(run: Run) -> str:
    """From where to where this run went."""
    reached = [name for name in CHAIN if name in run.summaries]
    start = "a given base" if run.config.model.path else "random weights"
    end = tables.label(reached[-1]) if reached else "a base" if run.summaries else "R1"
    return f"From {start} to {end}"


def png(figure: Figure) -> str:
    """A figure as a data URI, about half as large again as the page shows it."""
    drawn, buffer = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150, metadata={"Software": None})
    # 256 colours are enough for lines and words, and take a third of the place.
    few = Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    few.save(buffer, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def images(run: Run) -> dict[str, str]:
    """Every picture of the page by its name; those whose data is missing are left out."""
    drawn = {}
    main = figures.main(run.summaries)
    if "base" in run.tables:
        drawn["pretraining"] = figures.pretraining(run.tables["base"])
    if "r1_zero" in run.tables:
        drawn["learning_curve"] = figures.learning_curve(run.tables["r1_zero"], main)
        drawn["behaviour"] = figures.behaviour(run.tables["r1_zero"])
        drawn["training"] = figures.training(run.tables["r1_zero"])
    if main:
        drawn["by_level"] = figures.by_level(main)
        drawn["families"] = figures.families(main)
        drawn["pass_at_k"] = figures.pass_at_k(main)
    later = {name: run.tables[name] for name in ("dev2", "r1") if name in run.tables}
    if later:
        columns = ("pass_at_1", "language_share", "general_correct")
        drawn["later_rl"] = figures.over_steps(later, columns)
    if figures.stage_pairs(run.changes):
        drawn["stages"] = figures.stage_changes(run.changes)
    if figures.evaluated_students(run.summaries):
        drawn["students"] = figures.students(run.summaries)
    for name, ablation in ABLATIONS.items():
        sides = {side: run.tables[side] for side in (ablation.plain, name) if side in run.tables}
        if ablation.curves and len(sides) == 2:
            drawn[name] = figures.over_steps(sides, ablation.curves)
    return {name: png(figure) for name, figure in drawn.items()}


def cell(shown: str) -> Markup:
    """An estimate in words for a table: the value, and its interval smaller below."""
    value, _, interval = shown.partition(" [")
    found = Markup('<span class="value">{}</span>').format(value)
    if interval:
        found += Markup(' <span class="ci">[{}</span>').format(interval)
    return Markup('<span class="estimate">{}</span>').format(found)


def measured(run: Run) -> dict[str, Any]:
    """How many problems and samples the numbers stand on, counted in the rows themselves.

    samples: of each reasoning problem, by the first checkpoint; `general_samples` of a general one.
    """
    if not run.evaluations:
        return {"problems": 0, "samples": 0, "reasoning": 0, "general": 0, "general_samples": 0}
    rows = next(iter(run.evaluations.values()))
    sizes = rows.groupby(["task", "problem_id", "language"]).size()
    general = sizes.index.get_level_values("task").isin(GENERAL)
    summary = next(iter(run.summaries.values()))

    def problems(path: str) -> int:
        return summary[path].n if path in summary else 0

    return {
        "problems": len(sizes),
        "samples": int(sizes[~general].min()) if (~general).any() else 0,
        "general_samples": int(sizes[general].min()) if general.any() else 0,
        "reasoning": problems("reasoning/pass@1"),
        "general": problems("general/score"),
    }


def abstract(run: Run) -> list[str]:
    """What came out, in some sentences; each says only what its interval allows."""
    path, said = "reasoning/pass@1", []
    count = measured(run)
    alone = run.changes.get(key("base", "r1_zero"))
    if alone is not None and path in alone:
        before, after = run.summaries["base"], run.summaries["r1_zero"]
        said.append(
            f"On {count['reasoning']:,} held-out reasoning problems, {count['samples']} samples "
            f"each, pass@1 {tables.verb(alone[path])}: {metrics.shown(before[path], path)} for the "
            f"base, {metrics.shown(after[path], path)} after R1-Zero, "
            f"{metrics.shown(alone[path], path, signed=True)} paired over problems."
        )
    later = run.changes.get(key("r1_zero", "r1"))
    if later is not None:
        parts = [
            f"{words} {tables.verb(later[p])}, {metrics.shown(run.summaries['r1'][p], p)} "
            f"({metrics.shown(later[p], p, signed=True)})"
            for p, words in _ABSTRACT.items()
            if p in later
        ]
        said.append("From R1-Zero to R1, paired over the same problems: " + "; ".join(parts) + ".")
    elif alone is not None:
        families = sorted(
            p.split("/")[0] for p in alone if p.count("/") == 2 and p.endswith("/level_1/pass@1")
        )
        each = [
            f"{task} {metrics.shown(alone[f'{task}/pass@1'], path, signed=True)}"
            for task in families
        ]
        said += ["By family: " + "; ".join(each) + "."] if each else []
    return said


_ABSTRACT = {
    "reasoning/pass@1": "pass@1",
    "general/score": "the general score",
    "language_share": "the share of the language asked in the thinking",
    "readability": "the share of readable answers",
}


def headline(run: Run) -> Table:
    """The first table: a measure, each checkpoint, the change, and what the paper reports."""
    found = tables.headline(run.summaries, run.changes)
    paths = metrics.headline({p: None for name in MAIN for p in run.summaries.get(name, {})})
    rows = []
    for path, row in zip(paths, found.rows, strict=True):
        generic = "reasoning/cons@k" if path.startswith("reasoning/cons@") else path
        rows.append(replace(row, note=PAPER.get(generic)))
    return replace(found, rows=tuple(rows), first="Held-out problems", notes="Context: the paper")


def details(run: Run) -> list[tuple[str, Table]]:
    """pass@1 by family, level and language, a table each."""
    paths = {path for name in MAIN for path in run.summaries.get(name, {})}
    groups: dict[str, dict[str, str]] = {}
    for scope in sorted(p.removesuffix("/pass@1") for p in paths if p.endswith("/pass@1")):
        first, _, last = scope.partition("/")
        if scope == "reasoning":
            continue
        if first.startswith("level_"):
            group, last = "pass@1 · by level", first
        elif first in transcripts.LANGUAGES:
            group, last = "pass@1 · by language", first
        else:
            group = f"pass@1 · {first.capitalize()}"
        name = transcripts.LANGUAGES.get(last, last.replace("_", " ").capitalize() or "All levels")
        groups.setdefault(group, {})[f"{scope}/pass@1"] = name
    languages = set(transcripts.LANGUAGES.values())
    for group, named in groups.items():
        # the whole, then the levels, then the languages
        rows = sorted(named.items(), key=lambda pair: (pair[1] in languages, pair[1]))
        groups[group] = dict(rows)
    general = sorted(p for p in paths if p.startswith("general/"))
    if general:
        general.sort(key=lambda p: (p != "general/score", p.split("/")[1] in transcripts.LANGUAGES))
        groups["General tasks"] = {p: metrics.label(p) for p in general}
    return [
        (group, tables.compared(run.summaries, run.changes, named, "Problems"))
        for group, named in groups.items()
    ]


def behaviours(run: Run) -> list[tuple[str, Table]]:
    """How the answers are written: together, by family and by language."""
    paths = {path for name in MAIN for path in run.summaries.get(name, {})}
    scopes = {"": "All reasoning problems"} if "format_valid" in paths else {}
    for path in sorted(paths):
        first, _, rest = path.partition("/")
        if rest == "format_valid" and not first.startswith("level_"):
            scopes[f"{first}/"] = transcripts.LANGUAGES.get(first, first.capitalize())
    wanted = [name for name in metrics.MEASURES if not name.endswith("pass@1")]
    return [
        (
            scope_title,
            tables.compared(
                run.summaries,
                run.changes,
                {s + n: metrics.MEASURES[n].label for n in wanted if s + n in paths},
            ),
        )
        for s, scope_title in scopes.items()
    ]


def reflection(run: Run) -> str:
    """Whether reflection changed from the base to R1-Zero, by a permutation test; "" without."""
    main = figures.main(run.evaluations)
    if "base" not in main or "r1_zero" not in main:
        return ""
    found = metrics.reflection_tests(main["base"], main["r1_zero"])
    told = [
        f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'} for {name}" for name, p in found.items()
    ]
    return (
        "Reflection words an answer, R1-Zero against the base, by a sign-flip permutation test "
        f"over problems: {', '.join(told)}."
    )


def students(run: Run) -> dict[str, Any] | None:
    """The section on distillation, or None before a student was evaluated."""
    found = figures.evaluated_students(run.summaries)
    if not found:
        return None
    return {
        "tables": [tables.student(name, run.summaries, run.costs) for name in found],
        "changes": tables.student_changes(run.changes),
        "sentences": tables.distilled_sentences(run.summaries, run.changes, run.costs),
    }


def ablations(run: Run) -> list[dict[str, Any]]:
    """The ablations that ran: what each changed, and a sentence of the paper."""
    return [
        {
            "name": name,
            "title": ABLATIONS[name].title,
            "table": table,
            "sentence": tables.ablation_sentence(name, run.changes),
            "paper": ABLATIONS[name].paper,
        }
        for name, table in tables.ablations(run.summaries, run.changes)
    ]


def control(judged: Sequence[Judged]) -> str:
    """What the procedure says of RL whose rewards were shuffled; "" where that did not run."""
    if not judged:
        return ""
    first = judged[0]
    assert first.claim.measure is not None
    told = claims.told(first.claim.measure, first.effect)
    meant = (
        "as it has to be"
        if first.verdict != "reproduced"
        else "which must not be: the procedure or the control is broken"
    )
    others = [one.claim.statement for one in judged[1:] if one.verdict == "reproduced"]
    rest = (
        f" Of the other claims on what RL makes of the base these come out as reproduced with "
        f"shuffled rewards too, and are no effect of the reward: {' '.join(others)}"
        if others
        else " None of the other claims on what RL makes of the base comes out as reproduced there."
    )
    return (
        "The control: with the rewards of every batch shuffled the same stage changes pass@1 by "
        f"{told}, and the claim “{first.claim.statement}” would be {first.verdict}, {meant}.{rest}"
    )


def ledgers(judged: Sequence[Judged]) -> dict[str, list[dict[str, str]]]:
    """The rows of the ledger by verdict, the papers' claims before our own questions."""
    ordered = sorted(judged, key=lambda one: one.claim.ours)
    return {
        name: [
            {
                "statement": one.claim.statement,
                "source": one.claim.source,
                "paper": one.claim.paper,
                "measured": claims.measured(one.claim.measure) if one.claim.measure else "",
                "effect": claims.told(one.claim.measure, one.effect) if one.claim.measure else "–",
                "wanted": claims.wanted(one),
                "reason": one.reason,
                "ours": "our question" if one.claim.ours else "",
            }
            for one in ordered
            if one.verdict == name
        ]
        for name in VERDICTS
    }


def training_rows(run: Run) -> list[pd.Series]:
    completions = run.tables.get("completions")
    if completions is None or completions.empty:
        return []
    return [sample for _, sample in transcripts.over_training(completions).iterrows()]


def aha_firsts(run: Run) -> list[pd.Series]:
    """Completions kept over training that took a result back, the first of each kind."""
    completions = run.tables.get("completions")
    if completions is None or completions.empty:
        return []
    return [sample for _, sample in aha.firsts(completions).iterrows()]


def settings_rows(run: Run) -> Sequence[tuple[str, str, str]]:
    """What this run did beside what the paper did (R1-Zero: v2 §2.1 unless said otherwise)."""
    model, grpo, held = run.config.model, run.config.stage.r1_zero, run.config.evaluation
    base = run.config.stage.base
    batch = grpo.questions * grpo.generations
    return (
        (
            "Base model",
            f"from {Path(model.path).name}"
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
            f"T {held.temperature:g}, top-p {held.top_p:g}, {held.samples} samples for base, "
            f"R1-Zero and R1, {held.samples_between} for the others, "
            f"at most {held.max_completion_tokens} tokens, on the {held.split} problems",
            "T 0.6, top-p 0.95, 64 samples on AIME (v2 §D.1; v1 §3 says 4 to 64)",
        ),
    )


def later_settings_rows(run: Run) -> Sequence[tuple[str, str, str]]:
    """The stages after R1-Zero in short, beside the paper's (R1 v2, sections as named)."""
    stage = run.config.stage
    cold, rejection, judge = stage.cold_start_data, stage.rejection_sampling, stage.reward_model
    every, share = stage.r1, rejection.general_share

    def examples(name: str) -> str:
        return f"; {run.sizes[name]:,} examples" if name in run.sizes else ""

    return (
        (
            "Cold-start data",
            f"{cold.questions:,} questions × {cold.samples} samples of R1-Zero at "
            f"T {cold.temperature:g}, right and readable ones rewritten by rule"
            f"{examples('cold_start_data')}",
            "thousands of prompts, samples of R1-Zero at T 1.0, right and readable ones rewritten "
            "by DeepSeek-V3 and people (B.3.2)",
        ),
        ("Dev1: SFT of the base", _sft(stage.dev1), f"{_PAPER_SFT} (B.4.2)"),
        (
            "Dev2: reasoning RL",
            f"{_rl(stage.dev2)}, language reward with weight {stage.dev2.language_weight:g}",
            "batches of 32 × 16, lr 3e-6, T 1.0, β 0.001, clip ε 10, language reward added; steps "
            "not stated (§3.2.1)",
        ),
        (
            "Rejection sampling",
            f"{rejection.questions:,} questions × {rejection.samples} samples of Dev2, right, "
            f"unmixed and readable ones, and {share:.0%} general data"
            f"{examples('rejection_sampling')}",
            "samples of the first RL stage, about 600,000 kept, and about 200,000 of other tasks "
            "(B.3.3; Table 5: 804,745)",
        ),
        ("Dev3: SFT of the base", _sft(stage.dev3), f"{_PAPER_SFT} (B.4.2)"),
        (
            "Reward model",
            f"at most one pair of answers for each of {judge.questions:,} general prompts, graded "
            f"by rule; {judge.epochs} epochs in batches of {judge.batch_size}",
            "66,000 pairs judged by DeepSeek-V3 for helpfulness, 106,000 prompts labelled for "
            "safety; batch 256, lr 6e-6, 1 epoch (§3.1)",
        ),
        (
            "R1: RL for all scenarios",
            f"{_rl(every)}; general prompts ({every.general_share:.0%} of a step) and preference "
            f"reward in the last {1 - every.general_from:.0%} of the steps",
            "1,700 steps at T 0.7; general data and preference rewards in the last 400 (§3.2.2)",
        ),
        (
            "Students, distilled",
            f"on the data of Dev3; Qwen: {_sft(stage.qwen_distilled)}; "
            f"Llama: {_sft(stage.llama_distilled)}",
            "six models of Qwen2.5 and Llama 3, SFT alone on 800,000 samples, 2 to 3 epochs, "
            "batch 64, lr 2e-5 to 1e-4 (B.4.3)",
        ),
        (
            "Students by RL",
            f"alone: Qwen {_rl(stage.qwen_rl)}; Llama {_rl(stage.llama_rl)}; after distillation: "
            f"Qwen {_rl(stage.qwen_distilled_rl)}; Llama {_rl(stage.llama_distilled_rl)}",
            "alone: Qwen2.5-32B, more than 10,000 steps, lr 2e-6 (B.4.1); after distillation: "
            "further gains, no figures (v1 §3.2)",
        ),
    )


_PAPER_SFT = "2 to 3 epochs, batch 128, lr 5e-5 → 5e-6 by cosine"


def _sft(settings: SFTConfig) -> str:
    return (
        f"{settings.epochs} epochs in batches of {settings.batch_size}, lr "
        f"{settings.lr_matrices:g} (Muon) and {settings.lr_rest:g} (AdamW), cosine to a tenth"
    )


def _rl(settings: RLConfig) -> str:
    return (
        f"{settings.steps:,} steps of {settings.questions} × {settings.generations}, lr "
        f"{settings.lr_matrices:g}, T {settings.temperature:g}, β {settings.beta:g}, "
        f"clip ε {settings.epsilon:g}"
    )


def stage_rows(run: Run) -> list[dict[str, Any]]:
    return [
        {"name": name, **stage, "other_code": stage["code"] != run.manifest["code"]}
        for name, stage in run.manifest["stages"].items()
    ]
