"""The gain of RL over the best prompt of the base, and its decomposition."""

import re
from collections.abc import Mapping
from typing import Any

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
    """Label of a prompt and temperature: "2 worked examples before it, greedy"."""
    words = WAYS.get(way, re.sub(r"^few_(\d+)$", r"\1 worked examples before it", way))
    words = re.sub(r"^turns_(\d+)$", r"chat turns with worked examples, \1 of them", words)
    if temperature is None:
        return words
    return f"{words}, greedy" if temperature == 0 else f"{words}, T {temperature:g}"


def ways(search: pd.DataFrame) -> pd.DataFrame:
    """pass@1 in per cent of every prompt (rows), by family and temperature (columns)."""
    order = list(dict.fromkeys(search["way"]))
    table = search.pivot(index="way", columns=["family", "temperature"], values="pass@1")
    table = (100 * table.loc[order]).round(1)
    heads = [(str(family).capitalize(), "greedy" if t == 0 else f"T {t:g}") for family, t in table]
    table.columns = pd.MultiIndex.from_tuples(heads)
    return table.rename_axis(None)


def adds(held_out: HeldOut) -> Table | None:
    """R1-Zero and the best prompt of the base, one row per family; see `HeldOut.adds`."""
    rows = []
    changes = held_out.changes.get(key("base_best", "r1_zero"), {})
    for family, way in held_out.ways.items():
        path = f"{family}/pass@1"
        if path not in changes:
            continue
        cells = [shown(held_out.summaries[n].get(path), path) for n in ("base_best", "r1_zero")]
        best = named(str(way["way"]), way["temperature"])
        gain = shown(changes[path], path, signed=True)
        rows.append(Row(family.capitalize(), (best, *cells, gain)))
    columns = ("Best prompt of the base", "Base with it", "R1-Zero", "RL adds")
    return Table(columns, tuple(rows), "Family") if rows else None


def split(summaries: Results, before: str, after: str) -> Table:
    """How answers end, in per cent of all answers by family, before and after.

    The modes of r1repro.rewards.soundness partition all answers, so the gain in right ones equals
    the loss of the others: guesses, abandoned work, false steps and circular searches.
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
    return Table((label_of(before), label_of(after), "Change"), tuple(rows), "How answers end (%)")


def _gain(one: Mapping[str, Any]) -> Estimate:
    return Estimate(one["value"], one["low"], one["high"], one["n"], tuple(one.get("each", ())))


def told(adds: Mapping[str, Mapping[str, Any]]) -> str:
    """The gain of RL in a sentence; "" if it was not measured."""
    parts = [
        f"{shown(_gain(one), 'reasoning/pass@1', signed=True)} in "
        f"{family} ({named(str(one['way']), one['temperature'])})"
        for family, one in adds.items()
    ]
    if not parts:
        return ""
    text = " and ".join(parts)
    chosen = "chosen by family on the validation problems"
    return f"Over the best prompt of the base, {chosen}, RL adds {text}."
