"""What a run shows, in sentences that are worded as the intervals allow."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pandas as pd

from r1repro.evaluation import metrics
from r1repro.evaluation.checkpoints import CHAIN, STUDENTS, key, label_of, of_student
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.results import Results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import baseline
from r1repro.reports.markup import Html, paragraphs
from r1repro.reports.tables import Summary, measured, worded

STAGE = (
    "*/pass@1", "general/score", "format_valid", "language_share", "readability", "sound",
    "false_check", "length",
)  # fmt: skip
"""Measures in the sentence on a stage."""
NAMES = {
    "reasoning/pass@1": "pass@1",
    "general/score": "general tasks",
    "readability": "readable answers",
    "sound": "sound among right answers",
    "false_check": "answers that affirm what is false",
    "length": "tokens an answer",
}
"""Names of measures within a sentence, where their labels do not fit."""
LATER = ("*/pass@1", "general/score", "language_share", "readability", "false_check")
CONTROLS = ("r1_zero_permuted", "r1_zero_format_only", "r1_zero_equal_weights", "base_rft_best")
ONE_RUN = (
    "One run. The intervals, where given, are over problems; reports over several seeds show what "
    "another seed would change."
)


def shown(sentences: Iterable[str]) -> Html | None:
    """The sentences that end a notebook; None without any."""
    said = [*sentences]
    return paragraphs(*said, ONE_RUN, style="words") if any(said) else None


def findings(held: HeldOut) -> list[str]:
    """The findings at the head of a report, at most five.

    What RL adds, and how much of that is persistence; whether it finds answers or prefers known
    ones; length; retracted results and soundness; what each later stage changed.
    """
    gain = baseline.told(held) or _over_template(held.changes)
    persistence, *others = of_rl(held.summaries, held.changes) or [""]
    return [*filter(None, (_joined(gain, persistence), *others, later(held.changes)))]


def _over_template(changes: Results) -> str:
    change = changes.get(key("base", "r1_zero"), {})
    parts = [
        f"{metrics.shown(change[f'{one}/pass@1'], 'pass@1', signed=True)} in {one}"
        for one in metrics.families(change)
    ]
    return f"Over the base with the template, R1-Zero has {_and(parts)}." if parts else ""


def of_rl(summaries: Results, changes: Results) -> list[str]:
    """R1-Zero against its base: persistence, many samples, length, soundness; "" if unmeasured."""
    names = ("base", "base_best", "base_forced", "r1_zero")
    base, best, forced, zero = (summaries.get(name, {}) for name in names)
    change = changes.get(key("base", "r1_zero"))
    if not (base and zero and change):
        return []
    return [
        _persistence(base, best, forced, zero),
        _of_many(base, zero, change),
        _length(base, forced, zero, change),
        _joined(_taken_back(base, forced, zero, change), _soundness(base, best, forced, zero)),
    ]


def controls(summaries: Results) -> str:
    """pass@1 of R1-Zero's controls and baselines beside its own; "" if none ran."""
    path = "reasoning/pass@1"
    ran = [name for name in CONTROLS if path in summaries.get(name, {})]
    if not ran or not {"base", "r1_zero"} <= summaries.keys():
        return ""
    told = "; ".join(f"{label_of(name)} {_percent(summaries[name][path])}" for name in ran)
    base, zero = (_percent(summaries[name][path]) for name in ("base", "r1_zero"))
    return f"pass@1 of controls and baselines, the base having {base} and R1-Zero {zero}: {told}."


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _persistence(base: Summary, best: Summary, forced: Summary, zero: Summary) -> str:
    if not forced:
        return ""
    path = "reasoning/pass@1"
    prompts = f" and {_percent(best[path])} with its best prompts" if best else ""
    return (
        "Persistence without RL: forced to continue whenever it gives up, and stopped by an oracle "
        "once it is right, the base with the template is right in "
        f"{metrics.shown(forced[path], path)} of its answers, against {_percent(base[path])} "
        f"unforced{prompts}; R1-Zero is right in {_percent(zero[path])}."
    )


def _of_many(base: Summary, zero: Summary, change: Summary) -> str:
    """Whether RL finds answers, or prefers those that the base has among several samples."""
    count, parts = min(metrics.samples(base), metrics.samples(zero)), []
    for family in metrics.families(change):
        one, many = f"{family}/pass@1", f"{family}/pass@{count}"
        if count == 1 or many not in change or not change[one].low > 0:
            continue
        meaning = worded(
            change[many],
            f"RL solves problems that the base with the template misses in {count} samples",
            f"RL solves fewer problems than the base with the template in {count} samples",
            f"RL makes likely what the base can already do in {count} samples",
        )
        parts.append(
            f"in {family} {meaning} (at least one of {count} right: {_percent(base[many])} → "
            f"{_percent(zero[many])}, {metrics.shown(change[many], many, signed=True)})"
        )
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def _length(base: Summary, forced: Summary, zero: Summary, change: Summary) -> str:
    if "length" not in change:
        return ""
    verb = worded(change["length"], "are longer", "are shorter", "show no clear change in length")
    before, after = (f"{one['length'].value:.0f}" for one in (base, zero))
    said = f"R1-Zero's answers {verb}: {before} tokens for the base, {after} for R1-Zero"
    said += f" (the forced base: {forced['length'].value:.0f})" if forced else ""
    right, wrong = zero.get("length_correct"), zero.get("length_wrong")
    if right and wrong and (right.high < wrong.low or wrong.high < right.low):
        longer = "wrong" if right.value < wrong.value else "right"
        said += (
            f"; its {longer} answers are the longer ones ({right.value:.0f} tokens if right, "
            f"{wrong.value:.0f} if wrong)"
        )
    return f"{said}."


def _taken_back(base: Summary, forced: Summary, zero: Summary, change: Summary) -> str:
    path, right = "reconsidered", "reconsidered_right"
    if path not in change:
        return ""

    def of_base(path: str) -> str:
        own = f", forced {_percent(forced[path])}" if path in forced else ""
        return f"(the base in {_percent(base[path])}{own})"

    verb = worded(change[path], "more often than", "less often than", "about as often as")
    among = ""
    if right in base and right in zero:
        among = f" and {_percent(zero[right])} of its right ones {of_base(right)}"
    return (
        f"R1-Zero retracts a result and ends right {verb} the base: in "
        f"{metrics.shown(zero[path], path)} of its answers {of_base(path)}{among}."
    )


def _soundness(base: Summary, best: Summary, forced: Summary, zero: Summary) -> str:
    if "sound" not in zero or "false_check" not in zero or "false_check" not in base:
        return ""
    families = [f"{one}/sound" for one in metrics.families(zero) if f"{one}/sound" in zero]
    each = ", ".join(f"{path.split('/')[0]} {_percent(zero[path])}" for path in families)
    of_base = []
    if families and all(path in best for path in families):
        told = ", ".join(_percent(best[path]) for path in families)
        of_base.append(f"{told} with its best prompts")
    if "sound" in base:
        of_base.append(f"{_percent(base['sound'])} with the template")
    own = f"; of the base's {' and '.join(of_base)}" if of_base else ""
    apart = f" ({each}{own})" if len(families) > 1 or own else ""
    beside = ""
    if "false_check" in forced:
        beside = f", the forced base in {_percent(forced['false_check'])}"
    return (
        f"Of R1-Zero's right answers {metrics.shown(zero['sound'], 'sound')} are sound{apart}; it "
        f"affirms a false result in {metrics.shown(zero['false_check'], 'false_check')} of its "
        f"answers, the base in {_percent(base['false_check'])}{beside}."
    )


def later(changes: Results) -> str:
    """What each stage after R1-Zero changed against the one before; "" without such stages."""
    parts, compared = [], 0
    for before, after in pairwise(CHAIN):
        change = changes.get(key(before, after), {})
        paths = measured(LATER, change)
        moved = [
            f"{_named(path)} " + f"{100 * change[path].value:+.1f}".replace("-", "−")
            for path in paths
            if change[path].low > 0 or change[path].high < 0
        ]
        compared += len(paths)
        if change:
            parts.append(f"{label_of(after)}: {', '.join(moved) or 'no change told apart from 0'}")
    if not parts:
        return ""
    return (
        f"Later stages, in points against the checkpoint before (Dev1 and Dev3 start from the base "
        f"again): {'; '.join(parts)}. Only changes whose 95 % interval "
        f"excludes 0 are listed, out of {compared} compared; about {compared / 20:.1f} would be "
        "listed by chance alone."
    )


def of_base(search: pd.DataFrame, summaries: Results) -> list[str]:
    """What the base does with the template, with its best prompts, and with many samples."""
    base, best = summaries.get("base", {}), summaries.get("base_best", {})
    said = []
    for family, tried in search.groupby("family"):
        path = f"{family}/pass@1"
        if path not in base or path not in best:
            continue
        chosen = tried.loc[tried["pass@1"].idxmax()]
        named = baseline.named(chosen["way"], chosen["temperature"])
        said.append(
            f"On held-out {family} problems the base is right in {metrics.shown(base[path], path)} "
            f"with the template, and in {metrics.shown(best[path], path)} with the prompt that was "
            f"best on the validation problems ({named}). What training adds is counted from there."
        )
    count = metrics.samples(base)
    one, many = "reasoning/pass@1", f"reasoning/pass@{count}"
    if count > 1 and many in base:
        said.append(
            f"With the template, one sample is right for {metrics.shown(base[one], one)} of the "
            f"problems, and at least one of {count} for {metrics.shown(base[many], many)}: a "
            "policy could gain that much by preferring its own right samples."
        )
    return said


def of_stage(summaries: Results, pairs: Mapping[tuple[str, str], Summary]) -> list[str]:
    """A sentence on each of these paired changes: what rises, falls and stays."""
    said = []
    for (before, after), change in pairs.items():
        sides: dict[str, list[str]] = {"Higher": [], "Lower": [], "": []}
        for path in measured(STAGE, change):
            told = f"{_named(path)} ({metrics.shown(change[path], path, signed=True)}"
            if level := summaries.get(after, {}).get(path):
                share = metrics.measure(path).share
                told += f", to {_percent(level) if share else f'{level.value:.1f}'}"
            sides[worded(change[path], "Higher", "Lower", "")].append(f"{told})")
        still = len(sides.pop(""))
        parts = [f"{side}: {', '.join(words)}." for side, words in sides.items() if words]
        if still:
            other = "other " if parts else ""
            parts.append(f"No clear change in {still} {other}measure{'s' if still > 1 else ''}.")
        if parts:
            said.append(f"{label_of(after)} against {label_of(before)}. {' '.join(parts)}")
    return said


def of_students(summaries: Results, changes: Results) -> list[str]:
    """What distillation changes in each student, and what RL adds to the distilled one."""
    wanted = [
        (of_student(name)[before], of_student(name)[after])
        for name in STUDENTS
        for before, after in (("base", "distilled"), ("distilled", "distilled_rl"))
    ]
    return of_stage(summaries, {p: changes[key(*p)] for p in wanted if key(*p) in changes})


def of_samples(drops: pd.DataFrame) -> str:
    """The number of samples that passed the filters; drops: from `stage_figures.drops`."""
    sampled, kept = (int(drops["left"].iloc[row]) for row in (0, -1))
    lost = drops["dropped"].iloc[1:]
    most = lost[lost > 0].sort_values(ascending=False).head(3)
    reasons = [f"{reason} ({100 * count / sampled:.1f}\u00a0%)" for reason, count in most.items()]
    after = f" Most often dropped: {_and(reasons)}." if reasons else ""
    return f"Of {sampled:,} samples {kept:,} pass the filters.{after}"


def _named(path: str) -> str:
    if path in NAMES:
        return NAMES[path]
    if path.endswith("/pass@1"):
        return path.replace("/", " ")
    words = metrics.label(path)
    return words[:1].lower() + words[1:]


def _and(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}\u00a0%"
