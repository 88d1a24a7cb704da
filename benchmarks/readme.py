"""`python -m benchmarks.readme reports/VERSION [reports/VERSION]`: README's figures.

The first version is of the whole sequence, the second of R1-Zero over several seeds.

What stands in README between the two marks is written by this and nothing else; a test compares.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1repro.config import ROOT

BEGIN, END = "<!-- figures of {} -->", "<!-- end of figures -->"
COLUMNS = {
    "base": "base, template",
    "base_best": "base, best prompt",
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
    lines = [" | ".join(("held-out, %", *there.values())), "|".join(["---"] * (len(there) + 1))]
    for path, label in ROWS.items():
        cells = (number(results[name][path]["value"]) for name in there)
        lines.append(" | ".join((label, *cells)))
    return lines


def text(whole: Path, several: Path | None = None) -> str:
    """README's part on what was found; above each list and the table stand its seeds.

    whole: a version of the whole sequence; several: of R1-Zero and its controls over several seeds,
    of which the first list then is.
    """
    results, alone = _read(whole, "results"), several or whole
    rl = _read(alone, "results")
    by_whom = _named(whole)
    if several:
        by_whom += f"; above, R1-Zero is the mean of {_named(several)}"
    of_rl = (
        _adds(rl), *_forced(rl), _sharpens(rl), *_controls(rl, alone), _sound(rl), _length(rl)
    )  # fmt: skip
    lines = [
        BEGIN.format(" ".join(f"reports/{one.name}" for one in (whole, several) if one)),
        f"Held-out problems, 95 % intervals. R1-Zero and its controls, {_seeds(alone)}:",
        "",
        *(f"* {bullet}" for bullet in of_rl),
        "",
        f"The whole sequence, {_seeds(whole)}:",
        "",
        *(f"* {bullet}" for bullet in (*_students(results), _claims(whole))),
        "",
        f"Every checkpoint, {by_whom}:",
        "",
        *table(results),
        END,
    ]
    return "\n".join(lines)


def _adds(rl: dict[str, Any]) -> str:
    adds = " and ".join(f"{interval(one, True)} in {family}" for family, one in rl["adds"].items())
    best = "over the base with the best of 8 prompts at 4 temperatures"
    return f"**RL adds points: {adds}**, {best}."


def _claims(version: Path) -> str:
    """How many of the papers' claims have each verdict, and which are contradicted."""
    theirs = [one for one in _read(version, "claims") if not one["ours"] and not one["control"]]
    verdicts = [one["verdict"] for one in theirs]
    counts = ", ".join(
        f"{verdicts.count(v)} {v}"
        for v in ("reproduced", "inconclusive", "not testable", "contradicted")
    )
    against = [f"*{one['id']}*" for one in theirs if one["verdict"] == "contradicted"]
    ledger = f"[claims](reports/{version.name}/report.html#Claims-of-the-papers)"
    told = f": {', '.join(against)}" if against else ""
    return f"Of the papers' {len(theirs)} {ledger}: {counts}{told}."


def _read(version: Path, name: str) -> Any:
    return json.loads((version / f"{name}.json").read_text(encoding="utf-8"))


def _seeds(version: Path) -> str:
    """The seeds of a version, as a link to its report, and whether they share a base."""
    bases = _read(version, "manifest")["seeds"]["base_seed"]
    shared = isinstance(bases, list) and len(set(bases)) == 1
    return f"[{_named(version)}](reports/{version.name}/report.html)" + (
        " on one base" if shared else ""
    )


def _named(version: Path) -> str:
    seeds = _read(version, "manifest")["seeds"]["seed"]
    return f"seeds {', '.join(map(str, seeds))}" if isinstance(seeds, list) else f"seed {seeds}"


def _forced(results: dict[str, Any]) -> Iterator[str]:
    if "base_forced" in results:
        forced, trained, base = (
            number(results[name]["reasoning/pass@1"]["value"])
            for name in ("base_forced", "r1_zero", "base")
        )
        yield (
            "**Most of that is persistence**: forced to continue until it reaches the target, the "
            f"base goes from {base} to {forced} %; R1-Zero reaches {trained} %."
        )


def _sharpens(results: dict[str, Any]) -> str:
    told = "; ".join(
        f"{family} {number(results['base'][path]['value'])} → "
        f"{number(results['r1_zero'][path]['value'])} %"
        for family in results["adds"]
        for path in (f"{family}/pass@16",)
    )
    return f"At least one of 16 samples right, base to R1-Zero: {told}."


def _forced_too(results: dict[str, Any]) -> str:
    if "base_forced" not in results:
        return ""
    forced = results["base_forced"]
    return (
        f"; forced: {forced['length']['value']:.0f} tokens, "
        f"{number(forced['reconsidered']['value'])}"
    )


def _length(results: dict[str, Any]) -> str:
    base, zero = results["base"], results["r1_zero"]
    return (
        f"Answers grow from {base['length']['value']:.0f} to {zero['length']['value']:.0f} tokens; "
        f"{number(zero['reconsidered']['value'])} % take a result back, then are right (base "
        f"{number(base['reconsidered']['value'])}{_forced_too(results)})."
    )


def _controls(results: dict[str, Any], version: Path) -> Iterator[str]:
    path = "reasoning/pass@1"
    others = {
        "r1_zero_permuted": "rewards permuted within groups",
        "r1_zero_format_only": "format alone",
        "base_rft_best": "base fine-tuned on as many of its samples",
        "r1_zero_equal_weights": "the paper's plain sum of accuracy and format",
    }
    told = [
        f"{words} {number(results[name][path]['value'])} %"
        + (f", {lead(version)} points below R1-Zero" if name == "base_rft_best" else "")
        for name, words in others.items()
        if name in results
    ]
    if told:
        yield (f"Controls: {'; '.join(told)}.")


def lead(version: Path) -> str:
    """How far R1-Zero stands above the fine-tuned base with its best prompt."""
    claims = {one["id"]: one for one in _read(version, "claims")}
    return interval(claims["rl-beats-rejection-fine-tuning"]["effect"])


def _sound(results: dict[str, Any]) -> str:
    return (
        f"{number(results['r1_zero']['sound']['value'])} % of R1-Zero's right answers are sound "
        f"(arithmetic {number(results['r1_zero']['arithmetic/sound']['value'])}, countdown "
        f"{number(results['r1_zero']['countdown/sound']['value'])}); "
        f"{number(results['r1_zero']['false_check']['value'])} % of all affirm a falsehood (base: "
        f"{number(results['base']['false_check']['value'])})."
    )


def _students(results: dict[str, Any]) -> Iterator[str]:
    path = "reasoning/pass@1"
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


def main(*versions: str) -> None:
    """Write README's part again, and the figures of the other documents."""
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    begin = before.index(BEGIN.split("{")[0])
    end = before.index(END) + len(END)
    after = before[:begin] + text(*(ROOT / version for version in versions)) + before[end:]
    readme.write_text(after, encoding="utf-8")
    from benchmarks import figures_in_docs  # imports this module

    figures_in_docs.write(*versions)


if __name__ == "__main__":
    main(*sys.argv[1:])
