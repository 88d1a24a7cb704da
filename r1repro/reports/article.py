"""The words and tables of the notebooks that are reports: 08, seeds and lab."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import yaml

from r1repro.duration import duration
from r1repro.evaluation import claim_definitions, metrics
from r1repro.evaluation.checkpoints import main
from r1repro.evaluation.claims import VERDICTS, Judged
from r1repro.evaluation.doctor import LOOKED_FOR
from r1repro.reports import claims_ledger, findings, tables
from r1repro.reports.markup import Html, Row, Table, folded, joined, paragraphs
from r1repro.reports.report import Report, commit, lab_of, listed
from r1repro.reports.transcripts import LANGUAGES
from r1repro.text.reflection import REFLECTION_WORDS


def facts(told: Report) -> Html:
    """Scale, task, model, seeds, commit and date in a line, and a warning if the run is cut."""
    manifest, seeds = told.manifest, told.manifest["seeds"]
    line = (
        f"scale {manifest['scale']} · task {manifest['task']} · "
        f"model {_model(manifest['config']['model'])} · seed {listed(seeds['seed'])} · "
        f"base seed {listed(seeds['base_seed'])} · commit {commit(manifest['git'], 10)} · "
        f"date {manifest['created'][:10]}"
    )
    cut = ""
    if manifest["until"]:
        who = "These runs end" if told.by_seed else "This run ends"
        cut = f"{who} with the notebook of {manifest['until']}; this report covers only its stages."
    elif not manifest["finished"]:
        cut = f"This run is not finished: it has the stages {', '.join(manifest['stages'])}."
    smoke = (
        "At scale=smoke every stage runs but nothing is learned: no claim of the papers can be "
        "tested, and the figures on this page say nothing about the method."
    )
    warnings = paragraphs(cut, smoke if manifest["scale"] == "smoke" else "", style="note warn")
    return joined(paragraphs(line, style="facts"), warnings)


def _model(shape: Mapping[str, Any]) -> str:
    """A model's name and that of its file; the size of one from random weights."""
    if place := shape.get("path"):
        return f"{shape['name']} ({PurePath(place).name})"
    if shape.get("hub"):
        return str(shape["name"])
    return f"{shape['layers']} layers of width {shape['hidden_size']}, from random weights"


def abstract(told: Report) -> Html | None:
    """What was found, worded as the intervals allow, how it was measured, and the verdicts."""
    said = [*findings.findings(told.held_out), _measured(told)]
    counts = claims_ledger.counts(told.judged)
    if any(counts.values()) and told.manifest["scale"] != "smoke":
        where = "" if told.by_seed else ", in this one run"
        found = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        said[-1] = f"{said[-1]} Claims of the papers{where}: {found}.".strip()
    return paragraphs(*said, style="abstract")


def _measured(told: Report) -> str:
    asked = told.summaries.get("r1_zero", {}).get("reasoning/pass@1")
    if asked is None:
        return ""
    seeds, mean = "", "paired over problems"
    if told.by_seed:
        one_base = " on one base" if len({*told.manifest["seeds"]["base_seed"]}) == 1 else ""
        seeds, mean = f"{len(told.by_seed)} seeds{one_base}, ", f"means {told.over}"
    return (
        f"On {asked.n:,} held-out reasoning problems, {seeds}{_samples(told)} samples each; "
        f"changes are {mean}, with 95 % intervals."
    )


def chance(told: Report) -> Html | None:
    """The expected number of false verdicts, and the result of the control."""
    if not told.judged or told.manifest["scale"] == "smoke":
        return None
    return paragraphs(
        claims_ledger.false_verdicts(told.judged, several=bool(told.by_seed)),
        claims_ledger.control(told.control),
    )


def ledger(told: Report) -> Html | None:
    """The claims by verdict, the papers' before our own questions.

    A claim that the control reproduces too is marked: it is no effect of the reward.
    """
    without_reward = {one.claim.id for one in told.control if one.verdict == "reproduced"}
    ordered = sorted(told.judged, key=lambda one: one.claim.ours)
    parts: list[Html | None] = []
    for verdict in VERDICTS:
        found = [one for one in ordered if one.verdict == verdict]
        ours = sum(one.claim.ours for one in found)
        questions = f", {ours} question{'s' * (ours > 1)} of ours" if ours else ""
        title = f"{verdict.capitalize()} ({len(found) - ours} of the papers{questions})"
        if found:
            clear = verdict in ("reproduced", "contradicted")
            parts.append(folded(title, _claims(found, without_reward), opened=clear))
    if parts and lab_of(told.manifest) == "none":
        others = claim_definitions.load(claim_definitions.LAB)
        more = (
            f"{len(others)} claims are on methods that no stage uses, such as "
            "PPO, rejection fine-tuning and a second round of RL. The lab trains those: r1repro "
            "run lab=all, whose report has the verdicts."
        )
        parts.append(paragraphs(more))
    return joined(*parts) if parts else None


def _claims(found: Sequence[Judged], without_reward: set[str]) -> Table:
    rows = []
    for one in found:
        claim, measure = one.claim, one.claim.measure
        label = _lines(
            claim.statement,
            claims_ledger.measured(measure) if measure else "",
            one.reason,
            "our question" if claim.ours else "",
            "with permuted rewards too" if claim.id in without_reward else "",
        )
        tuned = f"by validation accuracy: {claim.tuned}" if claim.tuned else ""
        cells = (
            claims_ledger.told(measure, one.effect) if measure else "–",
            _lines(claims_ledger.wanted(claim), claims_ledger.findable(one), tuned),
            _lines(claim.paper, claim.source),
        )
        rows.append(Row(label, cells))
    return Table(("Here", "Declared", "The paper"), rows, "Claim")


def stages(told: Report) -> Html | None:
    """The time to build of every stage of a run, its key, and whether this code built it."""
    rows, seconds = [], 0.0
    for name, stage in told.manifest["stages"].items():
        code = "this code" if stage["this_code"] else "other code"
        rows.append(Row(name, (duration(stage["seconds"]), stage["key"][:12], code)))
        seconds += stage["seconds"]
    table = Table(("Time to build", "Key", "Built by"), rows, "Stage")
    title = f"{len(rows)} stages, {duration(seconds)} to build in total"
    return folded(title, table) if rows else None


def limits() -> Html:
    """The doctor's checks and their limits."""
    rows = [Row(name, (limit,)) for name, limit in LOOKED_FOR.items()]
    return folded("What it looks for", Table(("Limit",), rows, "Check"))


def details(told: Report) -> Html | None:
    """pass@1 by family, level and language, and the general tasks."""
    groups: dict[str, list[str]] = {}
    paths = tables.paths_of(main(told.summaries))
    families = metrics.families(paths)
    for path in sorted(paths, key=lambda p: (p.count("/"), "level_" not in p, p)):
        first = path.partition("/")[0]
        if first == "general":
            groups.setdefault("General tasks", []).append(path)
        elif path.endswith("/pass@1") and first != "reasoning":
            other = "By level" if first.startswith("level_") else "By language"
            group = first.capitalize() if first in families else other
            groups.setdefault(f"pass@1 · {group}", []).append(path)
    return _compared(told, dict(sorted(groups.items(), key=lambda pair: pair[0][0] == "G")))


def behaviours(told: Report) -> Html | None:
    """How answers are written: overall, by family and by language."""
    paths = tables.paths_of(main(told.summaries))
    scopes = {"": "All reasoning problems"}
    scopes |= {f"{family}/": family.capitalize() for family in metrics.families(paths)}
    scopes |= {f"{language}/": name for language, name in LANGUAGES.items()}
    wanted = [n for n in metrics.MEASURES if not n.endswith("pass@1") and "/" not in n]
    return _compared(
        told,
        {
            f"Behaviour · {title}": [s + n for n in wanted if s + n in paths]
            for s, title in scopes.items()
        },
    )


def _compared(told: Report, groups: Mapping[str, Sequence[str]]) -> Html | None:
    found = [
        folded(group, tables.compared(told.summaries, told.changes, paths))
        for group, paths in groups.items()
        if paths
    ]
    return joined(*found) if found else None


def reflection(told: Report) -> Html | None:
    """The permutation test of reflection words, R1-Zero against the base."""
    found = told.held_out.reflection.items()
    if not found:
        return None
    each = [f"{'p < 0.001' if p < 0.001 else f'p = {p:.3f}'} for {name}" for name, p in found]
    return paragraphs(
        "Reflection words per answer, R1-Zero against the base, by a sign-flip permutation test "
        f"over problems: {', '.join(each)}."
    )


def reflection_words() -> Table:
    """The counted words: the paper's ten, and our Chinese counterparts."""
    rows = [Row(word, ("、".join(group),)) for word, group in REFLECTION_WORDS.items()]
    return Table(("Counted with it",), rows, "The paper’s word")


def asked(told: Report) -> Table | None:
    """The number of problems of one run, and of samples of each."""
    first: Mapping[str, Any] = next(iter(told.summaries.values()), {})
    assert told.config is not None, "of one run"
    rows = [
        Row(name, (f"{first[path].n:,}", f"{samples}"))
        for path, name, samples in (
            ("reasoning/pass@1", "Reasoning", _samples(told)),
            ("general/score", "General", told.config.evaluation.general_samples),
        )
        if path in first
    ]
    columns = ("Held-out problems", "Samples of base and R1-Zero")
    return Table(columns, rows, "Problems") if rows else None


def _samples(told: Report) -> int:
    one = next(iter(told.by_seed.values()), told.summaries)
    return metrics.samples(next(iter(one.values()), {}))


def manifest(told: Report) -> Html:
    """What the report is made from: commit, versions, hardware, keys and the configuration."""
    facts, rows = told.manifest, []
    for run in facts.get("runs", ()):  # of several seeds
        seeds = ", ".join(f"{name} {value}" for name, value in run["seeds"].items())
        machine = run["hardware"].get("processor") or run["hardware"].get("machine")
        took = duration(sum(stage["seconds"] for stage in run["stages"].values()))
        said = f"{seeds}, commit {commit(run['git'], 10)}, {machine}; stages took {took}"
        rows.append(Row(run["run"], (said,)))
    rows += [
        Row("Commit", (commit(facts["git"]),)),
        Row("Hash of the code", (facts["code"],)),
        Row("Seeds", (", ".join(f"{n} {listed(v)}" for n, v in facts["seeds"].items()),)),
        Row("Versions", (", ".join(f"{n} {v}" for n, v in facts["versions"].items()),)),
        Row("Hardware", ("; ".join(f"{n}: {listed(v)}" for n, v in facts["hardware"].items()),)),
    ]
    rows += [Row(f"Key of {n}", (stage["key"],)) for n, stage in facts.get("stages", {}).items()]
    written = yaml.safe_dump(facts["config"], sort_keys=False, allow_unicode=True)
    whole = Html("<pre>{}</pre>").format(written)
    return joined(Table(("Value",), rows, ""), folded("The whole configuration", whole))


def _lines(*parts: str) -> str:
    return "\n".join(filter(None, parts))
