"""What a run shows, in sentences made from its results and worded as their intervals allow."""

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
from r1repro.reports.tables import worded

Summary = Mapping[str, Estimate]

STAGE = (
    "*/pass@1", "general/score", "format_valid", "language_share", "readability", "sound",
    "false_check", "length",
)  # fmt: skip
"""Measures that tell what a stage changed."""
NAMES = {
    "reasoning/pass@1": "pass@1",
    "general/score": "general tasks",
    "readability": "readable answers",
    "sound": "sound reasoning of right answers",
    "false_check": "false affirmations",
    "length": "length in tokens",
}
"""Measures within a sentence, where their label does not fit."""
LATER = ("reasoning/pass@1", "general/score", "language_share", "readability", "false_check")
ONE_RUN = (
    "Intervals are over problems. What another seed would change they do not show; reports over "
    "several seeds do."
)


def shown(sentences: Iterable[str]) -> Html | None:
    """The end of a notebook; None without a sentence."""
    said = [*sentences]
    return paragraphs(*said, ONE_RUN, style="words") if any(said) else None


def findings(held: HeldOut) -> list[str]:
    """What was found of R1-Zero and of the stages after it: the head of a report."""
    found, changes = held.summaries, held.changes
    gain = baseline.told(held.adds) or _over_template(changes)
    return [gain, *of_rl(found, changes), later(changes)]


def _over_template(changes: Results) -> str:
    change = changes.get(key("base", "r1_zero"), {})
    path = "{}/pass@1"
    parts = [
        f"{metrics.shown(change[path.format(one)], path, signed=True)} in {one}"
        for one in metrics.families(change)
    ]
    return f"Over the base with the template, R1-Zero has {_and(parts)}." if parts else ""


def of_rl(summaries: Results, changes: Results) -> list[str]:
    """R1-Zero against its base: persistence, samples, length, results taken back, soundness."""
    base, zero = summaries.get("base"), summaries.get("r1_zero")
    change = changes.get(key("base", "r1_zero"))
    if base is None or zero is None or change is None:
        return []
    return [
        _persistence(summaries),
        _of_many(base, zero, change),
        _length(base, zero, change),
        _taken_back(base, zero, change),
        _soundness(base, zero),
    ]


def _persistence(summaries: Results) -> str:
    if "base_forced" not in summaries:
        return ""
    path = "reasoning/pass@1"
    base, forced, zero = (summaries[name][path] for name in ("base", "base_forced", "r1_zero"))
    return (
        f"Forced to continue whenever it gives up, the untrained base is right in "
        f"{metrics.shown(forced, path)} of its answers instead of {_percent(base)}; R1-Zero in "
        f"{_percent(zero)}."
    )


def _of_many(base: Summary, zero: Summary, change: Summary) -> str:
    count = min(metrics.samples(base), metrics.samples(zero))
    one, many = "reasoning/pass@1", f"reasoning/pass@{count}"
    if count == 1 or many not in change:
        return ""
    rise = metrics.shown(change[many], many, signed=True)
    less = worded(change[many], f"rises too ({rise})", f"falls ({rise})", f"stays ({rise})")
    apart = change[many].high < change[one].low
    meaning = ": RL mostly makes likely what the base could already do" if apart else ""
    return (
        f"With one sample a problem the base with the template is right in {_percent(base[one])} "
        f"and R1-Zero in {_percent(zero[one])}; with the best of {count}, in "
        f"{_percent(base[many])} and {_percent(zero[many])}. The share solved at all "
        f"{less}{meaning}."
    )


def _length(base: Summary, zero: Summary, change: Summary) -> str:
    if "length" not in change:
        return ""
    verb = worded(change["length"], "grow", "shrink", "keep their length")
    right, wrong = zero.get("length_correct"), zero.get("length_wrong")
    of_both = ""
    if (
        right is not None
        and wrong is not None
        and (right.high < wrong.low or wrong.high < right.low)
    ):
        longer = "wrong" if right.value < wrong.value else "right"
        of_both = (
            f"; its {longer} answers are the longer ones ({right.value:.0f} tokens where right, "
            f"{wrong.value:.0f} where wrong)"
        )
    return (
        f"From the base to R1-Zero answers {verb}, from {base['length'].value:.0f} to "
        f"{zero['length'].value:.0f} tokens{of_both}. No reward mentions length."
    )


def _taken_back(base: Summary, zero: Summary, change: Summary) -> str:
    path = "reconsidered"
    if path not in change:
        return ""
    verb = worded(change[path], "more often than", "less often than", "about as often as")
    origin = "The base already does it" if base[path].value > 0 else "The base never does it"
    return (
        f"R1-Zero takes a result back and is then right {verb} the base: in {_percent(zero[path])} "
        f"of its answers against {_percent(base[path])}. {origin}."
    )


def _soundness(base: Summary, zero: Summary) -> str:
    if "sound" not in zero or "false_check" not in zero or "false_check" not in base:
        return ""
    return (
        f"Of R1-Zero's right answers {metrics.shown(zero['sound'], 'sound')} are sound; it affirms "
        f"what is false in {_percent(zero['false_check'])} of its answers, the base in "
        f"{_percent(base['false_check'])}."
    )


def later(changes: Results) -> str:
    """What each stage after R1-Zero changed, in one sentence; "" without such stages."""
    parts = []
    for before, after in pairwise(CHAIN):
        change = changes.get(key(before, after), {})
        moved = [
            f"{_named(path)} {_points(change[path])}"
            for path in LATER
            if path in change and (change[path].low > 0 or change[path].high < 0)
        ]
        if change:
            parts.append(f"{label_of(after)}: {', '.join(moved) or 'nothing'}")
    if not parts:
        return ""
    said = "; ".join(parts)
    return f"Changed against the stage before, in points, where 95 % intervals leave out 0: {said}."


def of_base(search: pd.DataFrame, summaries: Results) -> list[str]:
    """What the base does with the template and with its best prompts, and with many samples."""
    said = []
    for family, tried in search.groupby("family"):
        best = tried.loc[tried["pass@1"].idxmax()]
        reached = f"{100 * best['pass@1']:.1f}\u00a0%"
        named = baseline.named(best["way"], best["temperature"])
        if best["way"] == "template":
            said.append(
                f"On validation {family} no prompt is better than the template ({named}), which "
                f"reaches {reached}."
            )
            continue
        template = 100 * tried[tried["way"] == "template"]["pass@1"].max()
        said.append(
            f"On validation {family} the template reaches {template:.1f}\u00a0% at its best "
            f"temperature and the best prompt ({named}) {reached}. The difference is the prompt's: "
            "training can claim only what lies above the second."
        )
    base = summaries.get("base", {})
    many = f"reasoning/pass@{metrics.samples(base)}"
    if many in base and metrics.samples(base) > 1:
        said.append(
            f"With the template one sample is right in {_percent(base['reasoning/pass@1'])} of the "
            f"held-out problems, any of {metrics.samples(base)} in {_percent(base[many])}: that "
            "much a policy could gain by choosing among what it already samples."
        )
    return said


def of_stage(summaries: Results, pairs: Mapping[tuple[str, str], Summary]) -> list[str]:
    """What each of these paired changes is: measures that rise, that fall, that stay."""
    return [_change(summaries, before, after, change) for (before, after), change in pairs.items()]


def _change(summaries: Results, before: str, after: str, change: Summary) -> str:
    sides: dict[str, list[str]] = {"higher": [], "lower": [], "": []}
    for path in metrics.spread(STAGE, change):
        if path not in change:
            continue
        value = metrics.shown(change[path], path, signed=True)
        level = _value(summaries[after][path], path)
        words = f"{_named(path)} ({value}, to {level})" if path in summaries[after] else ""
        side = worded(change[path], "higher", "lower", "")
        sides[side].append(words if side else _named(path))
    parts = [f"{side} in {_and(words)}" for side, words in sides.items() if side and words]
    if sides[""]:
        parts.append(f"not told apart in {_and(sides[''])}")
    return f"Against {label_of(before)}, {label_of(after)} is {'; '.join(parts)}."


def of_students(summaries: Results, changes: Results) -> list[str]:
    """What distillation changes in each student, and what RL adds to the distilled one."""
    wanted = [
        (of_student(name)[before], of_student(name)[after])
        for name in STUDENTS
        for before, after in (("base", "distilled"), ("distilled", "distilled_rl"))
    ]
    return of_stage(summaries, {p: changes[key(*p)] for p in wanted if key(*p) in changes})


def of_samples(drops: pd.DataFrame) -> str:
    """How many samples passed the filters; drops: from `stage_figures.drops`."""
    sampled, kept = (int(drops["left"].iloc[row]) for row in (0, -1))
    lost = drops["dropped"].iloc[1:]
    most = lost[lost > 0].sort_values(ascending=False).head(3)
    reasons = [f"{reason} ({100 * count / sampled:.1f}\u00a0%)" for reason, count in most.items()]
    after = f" Most often dropped: {_and(reasons)}." if reasons else ""
    return f"Of {sampled:,} samples {kept:,} become training examples.{after}"


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


def _points(change: Estimate) -> str:
    return f"{100 * change.value:+.1f}".replace("-", "−")


def _percent(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f}\u00a0%"


def _value(estimate: Estimate, path: str) -> str:
    return _percent(estimate) if metrics.measure(path).share else f"{estimate.value:.1f}"
