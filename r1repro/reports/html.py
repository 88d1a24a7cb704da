"""The report page: the results of a run as one self-contained HTML file."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

from r1repro.config import Config
from r1repro.duration import duration
from r1repro.evaluation import answers, metrics
from r1repro.evaluation.checkpoints import ABLATIONS, CHAIN, MAIN, key
from r1repro.evaluation.claims import VERDICTS, Judged
from r1repro.evaluation.doctor import LOOKED_FOR, STEPS, TOO_LITTLE, Finding, grouped
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.results import Costs, Results
from r1repro.evaluation.statistics import DRAWS, FEW, Estimate
from r1repro.reports import aha, baseline, claims, figures, settings, tables, transcripts
from r1repro.reports.tables import Table
from r1repro.text.reflection import REFLECTION_WORDS

# The paper's figures by our measure, for context only: its model and tasks differ. v1 and v2 are
# versions of arXiv 2501.12948.
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
    """The content of the page, for one run or several seeds.

    tables: metrics by stage, averaged over seeds; judged, control: the verdicts on the claims, and
    those on the control; sizes: examples in each data set, by stage; completions, taken_back:
    completions stored in R1-Zero's training, and `aha.firsts` of them (with a column `seed`);
    findings: the doctor's findings by stage, for one run; by_seed, curves: measures and R1-Zero's
    metrics of every seed. For several seeds `held_out` is the mean, with the first seed's answers.
    notebooks: titles of the executed notebooks by file name.
    """

    manifest: Mapping[str, Any]
    config: Config
    tables: Mapping[str, pd.DataFrame]
    held_out: HeldOut
    judged: Sequence[Judged] = ()
    control: Sequence[Judged] = ()
    costs: Costs = field(default_factory=dict)
    costs_by_seed: Sequence[Costs] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    completions: pd.DataFrame = field(default_factory=pd.DataFrame)
    taken_back: pd.DataFrame = field(default_factory=pd.DataFrame)
    findings: Mapping[str, Sequence[Finding]] = field(default_factory=dict)
    by_seed: Mapping[str, Results] = field(default_factory=dict)
    curves: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    notebooks: Mapping[str, str] = field(default_factory=dict)

    @property
    def summaries(self) -> Results:
        return self.held_out.summaries

    @property
    def changes(self) -> Results:
        return self.held_out.changes

    @property
    def over(self) -> str:
        """What the intervals are over, in words."""
        several = len(self.by_seed)
        return f"over {several} seeds and the problems" if several else "over problems"


def page(run: Run, drawn: Mapping[str, bytes]) -> str:
    """The whole report as HTML; `drawn`: the result of `images`."""
    names = {name: figures.checkpoint(name)[0] for name in figures.main(run.summaries)}
    found = measured(run)
    embedded = {name: PNG + base64.b64encode(data).decode("ascii") for name, data in drawn.items()}
    return (
        environment()
        .get_template("seeds.html.j2" if run.by_seed else "report.html.j2")
        .render(
            run=run,
            manifest=run.manifest,
            config=run.config,
            names=names,
            title=title(run),
            abstract=abstract(run, found),
            images=embedded,
            headline=headline(run),
            details=details(run),
            behaviours=behaviours(run),
            reflection=reflection(run.held_out.reflection),
            settings=settings.r1_zero(run.config),
            later_settings=settings.later(run.config, run.sizes),
            stage_table=tables.stages(run.summaries),
            adds=baseline.adds(run.held_out),
            split=baseline.split(run.summaries, "base", "r1_zero")
            if {"base", "r1_zero"} <= run.summaries.keys()
            else None,
            soundness=tables.soundness(run.summaries),
            forgetting=tables.forgetting(run.changes),
            by_seed=tables.by_seed(run.by_seed) if run.by_seed else None,
            students=students(run),
            ablations=ablations(run),
            counts=claims.counts(run.judged),
            control=control(run.control),
            ledger=ledgers(run.judged, run.control),
            false_verdicts=claims.false_verdicts(run.judged, several=bool(run.by_seed)),
            problems=transcripts.problems(run.held_out.answers),
            training=_rows(transcripts.over_training(run.completions)),
            aha_rates=aha.rates(run.summaries),
            aha_steps=aha.steps(run.taken_back) if run.by_seed and len(run.taken_back) else None,
            aha_firsts=_rows(run.taken_back),
            measured=found,
            stages=stage_rows(run),
            findings=grouped([one for found in run.findings.values() for one in found]),
            looked_for=LOOKED_FOR,
            least_rows=STEPS,
            too_little=TOO_LITTLE,
            build_seconds=sum(stage["seconds"] or 0.0 for stage in stage_rows(run)),
            config_yaml=yaml.safe_dump(run.manifest["config"], sort_keys=False, allow_unicode=True),
            reflection_words=REFLECTION_WORDS,
            heading=transcripts.heading,
            verdict=transcripts.verdict,
            rule=answers.RULE,
            limit=transcripts.LIMIT,
            draws=DRAWS,
            few=FEW,
        )
    )


PNG = "data:image/png;base64,"


def environment() -> Environment:
    """The template environment, with autoescaping and the templates' filters."""
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
    """Title of the report, such as "From random weights to R1"."""
    reached = [name for name in CHAIN if name in run.summaries]
    start = "random weights" if run.config.model.made_here else "a given base"
    end = tables.label(reached[-1]) if reached else "a base" if run.summaries else "R1"
    return f"From {start} to {end}" + (f", {len(run.by_seed)} seeds" if run.by_seed else "")


def png(figure: Figure) -> bytes:
    """A figure as PNG, a fifth larger than displayed."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=120, metadata={"Software": None})
    return drawn.getvalue()


def images(run: Run) -> dict[str, bytes]:
    """Every image of the page as PNG, by name; those without data are left out."""
    drawn = {}
    main = figures.main(run.summaries)
    if run.by_seed:
        drawn["seeds"] = figures.seeds(run.curves, run.by_seed)
        drawn["behaviour"] = figures.behaviour(run.curves)
    if "base" in run.tables:
        drawn["pretraining"] = figures.pretraining(run.tables["base"])
    if "r1_zero" in run.tables and not run.by_seed:
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
    """A formatted estimate for a table: the value, and its interval in small print below."""
    value, _, interval = shown.partition(" [")
    found = Markup('<span class="value">{}</span>').format(value)
    if interval:
        found += Markup(' <span class="ci">[{}</span>').format(interval)
    return Markup('<span class="estimate">{}</span>').format(found)


def measured(run: Run) -> dict[str, Any]:
    """Numbers of problems and samples behind the results, per seed.

    samples: per reasoning problem, of the first checkpoint; general_samples: per general item.
    """
    one = next(iter(run.by_seed.values()), run.summaries)
    first: Mapping[str, Estimate] = next(iter(one.values()), {})

    def problems(path: str) -> int:
        return first[path].n if path in first else 0

    return {
        "problems": problems("reasoning/pass@1") + problems("general/score"),
        "samples": metrics.samples(first) if first else 0,
        "general_samples": run.config.evaluation.general_samples,
        "reasoning": problems("reasoning/pass@1"),
        "general": problems("general/score"),
    }


def abstract(run: Run, count: Mapping[str, int]) -> list[str]:
    """The results in a few sentences, each worded as its interval allows."""
    path, said = "reasoning/pass@1", []
    seeds = f"{len(run.by_seed)} seeds, " if run.by_seed else ""
    mean = f"mean {run.over}" if run.by_seed else "paired over problems"
    alone = run.changes.get(key("base", "r1_zero"))
    if alone is not None and path in alone:
        before, after = run.summaries["base"], run.summaries["r1_zero"]
        said.append(
            f"On {count['reasoning']:,} held-out reasoning problems, {seeds}{count['samples']} "
            f"samples each, pass@1 {tables.verb(alone[path])}: "
            f"{metrics.shown(before[path], path)} for the "
            f"base, {metrics.shown(after[path], path)} after R1-Zero, "
            f"{metrics.shown(alone[path], path, signed=True)}, {mean}."
        )
    if added := baseline.told(run.held_out.adds):
        said.insert(0, added)
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
    """The first table: each measure by checkpoint, the change, and the paper's figure."""
    found = tables.headline(run.summaries, run.changes)
    paths = metrics.headline({p: None for name in MAIN for p in run.summaries.get(name, {})})
    rows = []
    for path, row in zip(paths, found.rows, strict=True):
        generic = "reasoning/cons@k" if path.startswith("reasoning/cons@") else path
        rows.append(replace(row, note=PAPER.get(generic)))
    return replace(found, rows=tuple(rows), first="Held-out problems", notes="Context: the paper")


def details(run: Run) -> list[tuple[str, Table]]:
    """Tables of pass@1 by family, level and language."""
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
        # all levels first, then each level, then the languages
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
    """Tables of how answers are written: overall, by family and by language."""
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


def reflection(found: Mapping[str, float]) -> str:
    """The permutation test of reflection from the base to R1-Zero as a sentence; "" if absent."""
    if not found:
        return ""
    told = [
        f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'} for {name}" for name, p in found.items()
    ]
    return (
        "Reflection words per answer, R1-Zero against the base, by a sign-flip permutation test "
        f"over problems: {', '.join(told)}."
    )


def students(run: Run) -> dict[str, Any] | None:
    """Content of the section on distillation, or None if no student was evaluated."""
    found = figures.evaluated_students(run.summaries)
    if not found:
        return None
    costs = run.costs_by_seed or [run.costs]
    return {
        "tables": [tables.student(name, run.summaries, run.costs, costs) for name in found],
        "changes": tables.student_changes(run.changes, costs),
        "sentences": tables.distilled_sentences(run.summaries, run.changes, costs),
    }


def ablations(run: Run) -> list[dict[str, Any]]:
    """The ablations that ran: the effect of each, and the paper's finding."""
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
    """The result of the permuted-reward control as sentences; "" if it did not run."""
    if not judged:
        return ""
    first = judged[0]
    assert first.claim.measure is not None
    if first.effect is None or first.verdict == "not testable":
        return f"The control does not test “{first.claim.statement}”: {first.reason}."
    told = claims.told(first.claim.measure, first.effect)
    meant = (
        "as it should be"
        if first.verdict != "reproduced"
        else "which should not happen: the procedure or the control is broken"
    )
    others = [one.claim.statement for one in judged[1:] if one.verdict == "reproduced"]
    rest = (
        f" Of the other claims on the effect of RL on the base these are reproduced with permuted "
        f"rewards too, so they are not an effect of the reward: {' '.join(others)}"
        if others
        else " None of the other claims on the effect of RL on the base is reproduced there."
    )
    return (
        "The control: with the rewards of every group permuted the same stage changes pass@1 by "
        f"{told}, and the claim “{first.claim.statement}” would be {first.verdict}, {meant}.{rest}"
    )


def ledgers(
    judged: Sequence[Judged], control_judged: Sequence[Judged] = ()
) -> dict[str, list[dict[str, str]]]:
    """The rows of the ledger by verdict, the papers' claims before our own questions.

    A claim that is also reproduced on the control is marked: it is not an effect of the reward.
    """
    without_reward = {one.claim.id for one in control_judged if one.verdict == "reproduced"}
    ordered = sorted(judged, key=lambda one: one.claim.ours)
    return {
        name: [
            {
                "statement": one.claim.statement,
                "source": one.claim.source,
                "paper": one.claim.paper,
                "measured": claims.measured(one.claim.measure) if one.claim.measure else "",
                "effect": claims.told(one.claim.measure, one.effect) if one.claim.measure else "–",
                "wanted": claims.wanted(one.claim),
                "findable": claims.findable(one),
                "reason": one.reason,
                "tuned": f"by validation accuracy: {one.claim.tuned}" if one.claim.tuned else "",
                "ours": "our question" if one.claim.ours else "",
                "control": "with permuted rewards too" if one.claim.id in without_reward else "",
            }
            for one in ordered
            if one.verdict == name
        ]
        for name in VERDICTS
    }


def _rows(found: pd.DataFrame) -> list[pd.Series]:
    return [row for _, row in found.iterrows()]


def stage_rows(run: Run) -> list[dict[str, Any]]:
    return [
        {"name": name, **stage, "other_code": stage["code"] != run.manifest["code"]}
        for name, stage in run.manifest.get("stages", {}).items()
    ]
