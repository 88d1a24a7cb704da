"""Metrics over evaluation rows, with intervals, addressed by path; estimators: statistics.py.

A path is `<scope>/<measure>`; metrics of behaviour over all reasoning problems have no scope.
Examples: `reasoning/pass@1`, `countdown/pass@1`, `level_5/pass@1`, `arithmetic/level_1/pass@1`,
`zh/pass@1`, `format_valid`, `countdown/length`, `general/score`. MEASURES lists them.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from r1repro.errors import R1ReproError
from r1repro.evaluation.per_problem import measure_of, per_problem
from r1repro.evaluation.scopes import Part, is_part, resampled, scopes
from r1repro.evaluation.statistics import (
    DRAWS,
    Estimate,
    change_interval,
    interval,
    ratio_of_sums,
    share_interval,
    sign_flip,
)
from r1repro.tasks.problem import GENERAL


@dataclass(frozen=True)
class Measure:
    """A metric's label and format, of evaluations and of training rows alike.

    share: whether it is in 0 to 1 and shown as a percentage; axis: what a curve of it shows.
    """

    label: str
    share: bool = True
    digits: int = 1
    axis: str = "share of completions"


MEASURES: dict[str, Measure] = {
    "pass@1": Measure("pass@1"),
    "pass_at_1": Measure("pass@1, training prompts"),  # the claims' name of the column
    "strict_pass@1": Measure("pass@1, tags required"),
    "lenient_pass@1": Measure("pass@1, with rounding not asked for"),
    "runs_on": Measure("Went on after the answer"),
    "format_valid": Measure("Valid format"),
    "length": Measure("Length (tokens)", False, axis="tokens a completion"),
    "length_correct": Measure(
        "Length of right answers (tokens)", False, axis="tokens a completion"
    ),
    "length_wrong": Measure("Length of wrong answers (tokens)", False, axis="tokens a completion"),
    "clipped": Measure("Cut off at the length cap"),
    "reflection_per_response": Measure("Reflection words a response", False, 2, "words a response"),
    "reflection_per_1k_tokens": Measure(
        "Reflection words per 1,000 tokens", False, axis="words per 1,000 tokens"
    ),
    "reflection_correct": Measure("Reflection words a right answer", False, 2, "words a response"),
    "reflection_wrong": Measure("Reflection words a wrong answer", False, 2, "words a response"),
    "language_share": Measure(
        "Thinking in the language asked", axis="words in the question's language"
    ),
    "mixed": Measure("Responses that mix languages"),
    "repetition": Measure("Repeated 4-grams"),
    "readability": Measure("Readable responses"),
    "sound": Measure("Right answers of sound reasoning"),
    "unworked": Measure("Right answers without any step"),
    "false_check": Measure("Affirmed what is false"),
    "coverage": Measure("Lines with a digit that were parsed"),
    **{
        measure_of(mode): Measure(f"Wrong: {words}")
        for mode, words in (
            ("guessed", "guessed without a step"),
            ("gave up", "gave up before the end"),
            ("false step", "rests on a false step"),
            ("repeated", "went in circles to the cap"),
            ("unfinished", "no answer at the cap"),
            ("other", "otherwise"),
        )
    },
    "worked": Measure("Work that does not give up"),
    "worked_right": Measure("Right where the work does not give up"),
    "length_worked": Measure("Length where the work does not give up (tokens)", False),
    "reflection_worked": Measure("Reflection words where the work does not give up", False, 2),
    "reconsidered": Measure("Took a result back, then was right"),
    "reconsidered_right": Measure("Right answers that took a result back"),
    "general/score": Measure("General score"),
    "preference": Measure("Preference reward", axis="mean over general prompts"),
    "zero_variance_groups": Measure("Groups without variance", axis="share of groups"),
    "reward_deviation": Measure("Spread of the reward", False, 2, "standard deviation in a batch"),
    "entropy": Measure("Entropy of the policy", False, 2, "nats per token"),
    "kl": Measure("KL to the reference", False, 4, "nats per token (k3 estimate)"),
}
HEADLINE = (
    "reasoning/pass@1", "*/pass@1", "reasoning/strict_pass@1", "reasoning/cons@k",
    "reasoning/pass@k", "format_valid", "length", "reflection_per_response",
    "reflection_per_1k_tokens", "language_share", "mixed", "repetition", "readability", "sound",
    "false_check", "general/score",
)  # fmt: skip
CHANGES_OF_PARTS = ("pass@1", "length")
"""Measures of a level or language whose paired changes are computed too."""
FEW = 30
"""Below this many items, the number is shown next to the interval, which is itself uncertain."""


def summarize(evaluation: pd.DataFrame, draws: int = DRAWS) -> dict[str, Estimate]:
    """All metrics of one evaluation, by path.

    evaluation: rows of evaluation.parquet, one per problem and sample, with the same number of
        samples for every reasoning problem and for every general one. Intervals: 95 % percentile
        bootstrap over problems; a general item in two languages is resampled as one problem but
        counts twice in n.
    """
    return _estimates({"": per_problem(evaluation)}, (), draws)[0][""]


def differences(
    before: pd.DataFrame, after: pd.DataFrame, draws: int = DRAWS
) -> dict[str, Estimate]:
    """after - before for every metric, paired: both sides resample the same problems."""
    return paired(per_problem(before), per_problem(after), draws)


def compare(
    evaluations: Mapping[str, pd.DataFrame],
    pairs: Iterable[tuple[str, str]],
    draws: int = DRAWS,
    whole: bool = False,
) -> tuple[dict[str, dict[str, Estimate]], dict[tuple[str, str], dict[str, Estimate]]]:
    """`summarize` of each evaluation and `differences` of each (before, after) pair.

    If all evaluations have the same problems, resamples are shared: the same figures, much faster.
    whole: leave families, levels and languages out.
    """
    tables = {name: per_problem(rows) for name, rows in evaluations.items()}
    pairs = list(pairs)
    asked = [table.index for table in tables.values()]
    if all(index.equals(asked[0]) for index in asked):
        return _estimates(tables, pairs, draws, whole)
    summaries: dict[str, dict[str, Estimate]] = {}
    for name, table in tables.items():
        summaries |= _estimates({name: table}, (), draws, whole)[0]
    return summaries, {(a, b): paired(tables[a], tables[b], draws) for a, b in pairs}


def paired(first: pd.DataFrame, second: pd.DataFrame, draws: int = DRAWS) -> dict[str, Estimate]:
    """`differences` of two tables of r1repro.evaluation.per_problem."""
    shared = first.index.intersection(second.index).sort_values()
    if shared.empty:
        raise R1ReproError(
            "the two evaluations have no problem in common, which a paired difference needs; "
            "evaluate both checkpoints on the same task and split"
        )
    tables = {"before": first.loc[shared], "after": second.loc[shared]}
    return _estimates(tables, [("before", "after")], draws)[1]["before", "after"]


def _estimates(
    tables: Mapping[str, pd.DataFrame],
    pairs: Sequence[tuple[str, str]],
    draws: int,
    whole: bool = False,
) -> tuple[dict[str, dict[str, Estimate]], dict[tuple[str, str], dict[str, Estimate]]]:
    """The result of `compare` for `per_problem` tables with the same index."""
    summaries: dict[str, dict[str, Estimate]] = {name: {} for name in tables}
    changes: dict[tuple[str, str], dict[str, Estimate]] = {pair: {} for pair in pairs}
    problems = next(iter(tables.values()))[["task", "level"]].reset_index()
    for prefix, scope in islice(scopes(problems), 1 if whole else None):
        of_scope = {name: table.iloc[scope.index] for name, table in tables.items()}
        parts = resampled(prefix, of_scope, draws)
        for name, part in parts.items():
            summaries[name] |= _summary(prefix, part)
        for before, after in pairs:
            changes[before, after] |= _change(prefix, parts[before], parts[after])
    return summaries, changes


def _summary(prefix: str, part: Part) -> dict[str, Estimate]:
    values = ratio_of_sums(part.top_N_M, part.bottom_N_M)
    lows, highs = interval(part.drawn_D_M)
    result = {}
    for i, name in enumerate(part.names):
        has = part.bottom_N_M[:, i] > 0
        value, low, high = float(values[i]), float(lows[i]), float(highs[i])
        if measure(name).share and has.any():
            # A gain can be negative.
            end = change_interval if name.startswith("vote_gain@") else share_interval
            each = part.top_N_M[has, i] / part.bottom_N_M[has, i]
            low, high = end(low, high, value, each)
        result[_path(prefix, name)] = Estimate(value, low, high, int(part.rows_N[has].sum()))
    return result


def _change(prefix: str, before: Part, after: Part) -> dict[str, Estimate]:
    common = [name for name in before.names if name in after.names]
    if is_part(prefix):
        common = [name for name in common if name in CHANGES_OF_PARTS]
    a = [before.names.index(name) for name in common]
    b = [after.names.index(name) for name in common]
    top_a, bottom_a = before.top_N_M[:, a], before.bottom_N_M[:, a]
    top_b, bottom_b = after.top_N_M[:, b], after.bottom_N_M[:, b]
    change = ratio_of_sums(top_b, bottom_b) - ratio_of_sums(top_a, bottom_a)
    lows, highs = interval(after.drawn_D_M[:, b] - before.drawn_D_M[:, a])
    result = {}
    for i, name in enumerate(common):
        value, low, high = float(change[i]), float(lows[i]), float(highs[i])
        has = (bottom_a[:, i] > 0) & (bottom_b[:, i] > 0)
        if measure(name).share and has.any():
            each = top_b[has, i] / bottom_b[has, i] - top_a[has, i] / bottom_a[has, i]
            low, high = change_interval(low, high, value, each)
        result[_path(prefix, name)] = Estimate(value, low, high, int(before.rows_N[has].sum()))
    return result


def reflection_tests(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, float]:
    """p-values of sign-flip tests over problems of the change in reflection words per answer.

    {"all answers": p, "right answers": p}; the latter compares right answers, over problems that
    both sides answered correctly at least once.
    """
    sides = [rows[~rows["task"].isin(GENERAL)] for rows in (before, after)]
    found = {}
    for name, compared in (
        ("all answers", sides),
        ("right answers", [rows[rows["correct"]] for rows in sides]),
    ):
        first, second = (rows.groupby("problem_id")["reflection_count"].mean() for rows in compared)
        changes = (second - first).dropna().to_numpy(dtype=float)
        if len(changes):
            found[name] = sign_flip(changes)
    return found


def measure(path: str) -> Measure:
    """The label and format of the metric at the end of a path."""
    name = path.rsplit("/", 1)[-1]
    if name in MEASURES:
        return MEASURES[name]
    if name.startswith("pass@"):
        return Measure(f"{name} (any of {name[5:]} right)")
    if name.startswith("vote_gain@"):
        return Measure(f"majority vote of {name[10:]} less pass@1")
    if name.startswith("cons@"):
        return Measure(f"{name} (majority vote)")
    return MEASURES.get(path, Measure(name.capitalize()))


def label(path: str) -> str:
    """A path in words, such as "Countdown, level 3: pass@1"."""
    *scope, _ = path.split("/")
    words = {"en": "English", "zh": "Chinese", "general": "General tasks"}
    named = [words.get(s, s.replace("_", " ")) for s in scope if s != "reasoning"]
    place = ", ".join(named)
    name = measure(path).label
    return f"{place[0].upper()}{place[1:]}: {name}" if place else name


def shown(estimate: Estimate | None, path: str, signed: bool = False) -> str:
    """An estimate as text: "71.2 % [69.8, 72.5]", or a dash if there is none; see `few`.

    The seeds' own values replace an interval that was clipped to what is possible.
    """
    if estimate is None or math.isnan(estimate.value):
        return "–"
    how = measure(path)
    factor = 100 if how.share else 1

    def number(value: float) -> str:
        text = f"{factor * value:{'+' if signed else ''},.{how.digits}f}"
        return f"{0:.{how.digits}f}" if not text.strip("+-0.") else text.replace("-", "−")

    unit = ("\u00a0points" if signed else "\u00a0%") if how.share else ""  # no line break before
    if math.isnan(estimate.low):
        return f"{number(estimate.value)}{unit}"
    if own := [number(value) for value in estimate.each]:
        told = f" ({' / '.join(own)})" if len(set(own)) > 1 else ""
        return f"{number(estimate.value)}{unit}{told}{few(estimate)}"
    interval = f"[{number(estimate.low)}, {number(estimate.high)}]{few(estimate)}"
    return f"{number(estimate.value)}{unit} {interval}"


def few(estimate: Estimate) -> str:
    """The number of items, shown after an interval over fewer than FEW."""
    return f", n = {estimate.n}" if estimate.n < FEW else ""


def samples(paths: Mapping[str, object]) -> int:
    """The largest k of pass@k among these paths, i.e. the samples drawn per problem."""
    found = [int(p.split("@")[1]) for p in paths if p.startswith("reasoning/pass@")]
    return max(found, default=1)


def families(paths: Iterable[str]) -> list[str]:
    """Families of reasoning problems among these paths, sorted."""
    return sorted({p.split("/")[0] for p in paths if p.count("/") == 2 and "/level_" in p})


def spread(named: Iterable[str], paths: Iterable[str]) -> list[str]:
    """These names with "*" expanded to each family of `paths`."""
    found = families(paths)
    return [n.replace("*", f) for n in named for f in (found if "*" in n else [""])]


def headline(paths: Mapping[str, object]) -> list[str]:
    """Paths of the headline table present in these results, with k filled in."""
    named = [path.replace("@k", f"@{samples(paths)}") for path in spread(HEADLINE, paths)]
    return [path for path in dict.fromkeys(named) if path in paths]


def _path(prefix: str, name: str) -> str:
    if prefix == "reasoning":
        return f"reasoning/{name}" if "@" in name else name
    if prefix == "general":
        return "general/score"
    return prefix if prefix.startswith("general/") else f"{prefix}/{name}"
