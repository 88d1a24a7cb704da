"""`python -m benchmarks.readme reports/VERSION`: README's figures, written from a version.

What stands in README between the two marks is written by this and nothing else; a test compares.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1repro.config import ROOT
from r1repro.reports.baseline import named

BEGIN, END = "<!-- figures of {} -->", "<!-- end of figures -->"
COLUMNS = {
    "base": "base, template",
    "base_best": "base, best way",
    "r1_zero": "R1-Zero",
    "dev1": "Dev1",
    "dev2": "Dev2",
    "dev3": "Dev3",
    "r1": "R1",
}
ROWS = {
    "arithmetic/pass@1": "arithmetic, pass@1",
    "countdown/pass@1": "countdown, pass@1",
    "general/score": "general tasks",
    "sound": "sound, of right answers",
    "format_valid": "valid format",
    "language_share": "language of the question",
}


def number(value: float, signed: bool = False) -> str:
    return f"{100 * value:{'+' if signed else ''}.1f}".replace("-", "−")


def interval(estimate: dict[str, float], signed: bool = False) -> str:
    low, high = (number(estimate[end], signed) for end in ("low", "high"))
    return f"{number(estimate['value'], signed)} [{low}, {high}]"


def table(results: dict[str, Any]) -> list[str]:
    """A row a measure, a column a checkpoint, in per cent without intervals."""
    there = {name: label for name, label in COLUMNS.items() if name in results}
    lines = [f"| held-out, % | {' | '.join(there.values())} |", "|---" * (len(there) + 1) + "|"]
    for path, label in ROWS.items():
        cells = (number(results[name][path]["value"]) for name in there)
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return lines


def text(version: Path) -> str:
    """The part of README that tells what a version found."""
    read = {
        name: json.loads((version / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("results", "claims", "manifest")
    }
    results, adds = read["results"], read["results"]["adds"]
    bullets = [
        f"**RL adds {interval(adds[family], True)} points in {family}** to the best of 32 ways of "
        f"asking the base ({named(adds[family]['way'], adds[family]['temperature'])}: "
        f"{number(results['base_best'][f'{family}/pass@1']['value'])} %, "
        f"R1-Zero {number(results['r1_zero'][f'{family}/pass@1']['value'])} %)."
        for family in ("arithmetic", "countdown")
    ]
    bullets += list(_controls(results))
    bullets += list(_later(results))
    verdicts = [c["verdict"] for c in read["claims"] if not c["ours"] and not c["control"]]
    counts = ", ".join(
        f"{verdicts.count(v)} {v}"
        for v in ("reproduced", "contradicted", "inconclusive", "not testable")
    )
    bullets.append(f"Of the papers' {len(verdicts)} claims: {counts}.")
    seeds = read["manifest"]["seeds"]["seed"]
    told = f"seeds {', '.join(map(str, seeds))}" if isinstance(seeds, list) else f"seed {seeds}"
    lines = [
        BEGIN.format(f"reports/{version.name}"),
        f"Held-out problems of the mini world, {told}, 95 % intervals "
        f"([report](reports/{version.name}/report.html)):",
        "",
        *(f"* {bullet}" for bullet in bullets),
        "",
        *table(results),
        END,
    ]
    return "\n".join(lines)


def _controls(results: dict[str, Any]) -> Iterator[str]:
    path = "reasoning/pass@1"
    others = {
        "r1_zero_permuted": "with rewards permuted within each group",
        "r1_zero_format_only": "paid for the format alone",
        "base_rft": "the base fine-tuned on as many samples of its own",
        "r1_zero_equal_weights": "with the paper's plain sum of accuracy and format",
    }
    told = [
        f"{words} {number(results[name][path]['value'])} %"
        for name, words in others.items()
        if name in results
    ]
    if told:
        yield (
            f"R1-Zero has {number(results['r1_zero'][path]['value'])} % of all problems; "
            + "; ".join(told)
            + "."
        )


def _later(results: dict[str, Any]) -> Iterator[str]:
    path = "reasoning/pass@1"
    if "base_forced" in results:
        forced, trained, base = (
            number(results[name][path]["value"]) for name in ("base_forced", "r1_zero", "base")
        )
        yield (
            f"**Most of that is persistence**: made to go on wherever it gives up, without any "
            f"training, the base goes from {base} to {forced} % of all problems; R1-Zero has "
            f"{trained} %."
        )
    yield (
        f"Of R1-Zero's right answers {number(results['r1_zero']['sound']['value'])} % are sound "
        f"(arithmetic {number(results['r1_zero']['arithmetic/sound']['value'])}, countdown "
        f"{number(results['r1_zero']['countdown/sound']['value'])}): nothing in the reward asks "
        f"for true steps. {number(results['r1_zero']['false_check']['value'])} % of its answers "
        "affirm what is false."
    )
    if "qwen_distilled" in results:
        told = []
        for student in ("qwen", "llama"):
            base, distilled, alone = (
                number(results[f"{student}_{arm}"][path]["value"])
                for arm in ("base", "distilled", "rl")
            )
            told.append(
                f"{student.capitalize()} from {base} to {distilled} % distilled, "
                f"to {alone} % by RL alone"
            )
        yield f"Students of half the size: {'; '.join(told)}."


def main(version: str) -> None:
    """Write README's part anew."""
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    begin = before.index(BEGIN.split("{")[0])
    end = before.index(END) + len(END)
    after = before[:begin] + text(ROOT / version) + before[end:]
    readme.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
