"""The gain of RL over the best prompt of the base, and how answers end."""

import re

import pandas as pd

from r1repro.evaluation.checkpoints import key, label_of
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.metrics import MEASURES, families, measure_of, shown
from r1repro.evaluation.results import Results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports.markup import Row, Table
from r1repro.rewards.soundness import MODES

WAYS = {
    "plain": "the question alone",
    "template": "the template",
    "begun": "the think tag opened",
    "boxed": "the chat form with a boxed answer",
    "step": "the first step started",
    "few_1": "1 worked example before it",
}


def named(way: str, temperature: float | None) -> str:
    """A prompt and its temperature in words: "2 worked examples before it, greedy"."""
    words = WAYS.get(way, re.sub(r"^few_(\d+)$", r"\1 worked examples before it", way))
    words = re.sub(r"^turns_(\d+)$", r"chat turns with worked examples, \1 of them", words)
    if temperature is None:
        return words
    return f"{words}, greedy" if temperature == 0 else f"{words}, T {temperature:g}"


def ways(search: pd.DataFrame) -> pd.DataFrame:
    """pass@1 in per cent: a row per prompt, a column per family and temperature."""
    order = list(dict.fromkeys(search["way"]))
    table = search.pivot(index="way", columns=["family", "temperature"], values="pass@1")
    table = (100 * table.loc[order]).round(1)
    heads = [(str(family).capitalize(), "greedy" if t == 0 else f"T {t:g}") for family, t in table]
    table.columns = pd.MultiIndex.from_tuples(heads)
    return table.rename_axis(None)


def adds(held_out: HeldOut) -> Table | None:
    """R1-Zero beside the best prompt of the base, a row per family."""
    rows = []
    for family, best, gain in _gains(held_out):
        path = f"{family}/pass@1"
        cells = [shown(held_out.summaries[n].get(path), path) for n in ("base_best", "r1_zero")]
        rows.append(Row(family.capitalize(), (best, *cells, shown(gain, path, signed=True))))
    columns = ("Best prompt of the base", "Base with it", "R1-Zero", "RL adds")
    return Table(columns, rows, "Family") if rows else None


def told(held_out: HeldOut) -> str:
    """The gain of RL in a sentence; "" if it was not measured."""
    parts = [
        f"{shown(gain, 'pass@1', signed=True)} in {family} ({best})"
        for family, best, gain in _gains(held_out)
    ]
    if not parts:
        return ""
    chosen = "chosen by family on the validation problems"
    return f"Over the best prompt of the base, {chosen}, RL adds {' and '.join(parts)}."


def _gains(held_out: HeldOut) -> list[tuple[str, str, Estimate]]:
    """Families, with the best prompt of the base and R1-Zero's gain in pass@1 over it."""
    changes = held_out.changes.get(key("base_best", "r1_zero"), {})
    return [
        (family, named(str(way["way"]), way["temperature"]), changes[f"{family}/pass@1"])
        for family, way in held_out.ways.items()
        if f"{family}/pass@1" in changes
    ]


def split(summaries: Results, before: str, after: str) -> Table:
    """How answers end before and after, in per cent of each family's answers.

    Every answer has one of the modes of r1repro.rewards.soundness, so the gain in right ones equals
    the loss in the others: guesses, abandoned work, false steps and circular searches.
    """
    rows = []
    for family in families(summaries[after]):
        for name in ("pass@1", *(measure_of(mode) for mode in MODES if mode != "right")):
            path = f"{family}/{name}"
            first, last = (summaries[n].get(path) for n in (before, after))
            if first is None or last is None:
                continue
            words = "Right" if name == "pass@1" else MEASURES[name].label
            change = f"{100 * (last.value - first.value):+.1f}".replace("-", "−")
            cells = (f"{100 * first.value:.1f}", f"{100 * last.value:.1f}", change)
            rows.append(Row(f"{family.capitalize()}: {words[0].lower()}{words[1:]}", cells))
    return Table((label_of(before), label_of(after), "Change"), rows, "How answers end (%)")
