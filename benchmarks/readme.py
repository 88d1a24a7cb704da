"""`python -m benchmarks.readme reports/VERSION [up to two more]` writes README's figures.

The first version is of the whole sequence with R1-Zero's controls, the second of the lab, the third
of a pretrained model.

What stands in README between the two marks is written by this and nothing else; a test compares.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from r1repro import hub
from r1repro.config import ROOT
from r1repro.evaluation.results import read_plain

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
LATER = (
    "arithmetic/pass@1",
    "countdown/pass@1",
    "general/score",
    "sound",
    "language_share",
    "repetition",
)
"""Measures whose change from R1-Zero to R1 is told."""
NAMED = {**ROWS, "repetition": "repeated 4-grams"}


def begin(*versions: Path | None) -> str:
    """The mark at which a page's part on these versions begins."""
    return BEGIN.format(" ".join(f"reports/{one.name}" for one in versions if one))


def number(value: float, signed: bool = False) -> str:
    return f"{100 * value:{'+' if signed else ''}.1f}".replace("-", "−")


def interval(estimate: dict[str, float], signed: bool = False) -> str:
    low, high = (number(estimate[end], signed) for end in ("low", "high"))
    return f"{number(estimate['value'], signed)} [{low}, {high}]"


def table(results: dict[str, Any]) -> list[str]:
    """A row a measure, a column a checkpoint, in per cent without intervals."""
    there = {name: label for name, label in COLUMNS.items() if name in results}
    lines = ["|".join(("held-out, %", *there.values())), "|".join(["---"] * (len(there) + 1))]
    for path, label in ROWS.items():
        cells = (number(results[name][path]["value"]) for name in there)
        lines.append("|".join((label, *cells)))
    return lines


def text(whole: Path, lab: Path | None = None, real: Path | None = None) -> str:
    """README's part on what was found.

    whole: a version of the whole sequence; lab: of the lab, whose claims are counted; real: of a
    pretrained model.
    """
    results = read(whole, "results")
    of_rl = (
        _adds(results), *_forced(results), _sharpens(results), *_controls(results, whole),
        _sound(results), _length(results),
    )  # fmt: skip
    lines = [
        begin(whole, lab, real),
        f"Held-out problems, {_seeds(whole)}, 95 % intervals over problems{_and_seeds(whole)}. "
        "R1-Zero and its controls:",
        "",
        *(f"* {bullet}" for bullet in of_rl),
        "",
        "The later stages:",
        "",
        *(f"* {bullet}" for bullet in (*_later(whole), *_students(results))),
        *(f"* {bullet}" for bullet in (_claims(whole), *([_of_lab(lab)] if lab else []))),
        "",
        *([_of_real(real), ""] if real else []),
        "Every checkpoint:",
        "",
        *table(results),
        END,
    ]
    return "\n".join(lines)


def _adds(rl: dict[str, Any]) -> str:
    adds = " and ".join(f"{interval(one, True)} in {family}" for family, one in rl["adds"].items())
    best = "over the base under its best of 8 prompts at 4 temperatures"
    return f"**RL adds points: {adds}**, {best}."


def _claims(version: Path) -> str:
    """How many of the papers' claims have each verdict, and which are contradicted."""
    theirs, counts = counted(version)
    against = [f"*{one['id']}*" for one in theirs if one["verdict"] == "contradicted"]
    ledger = f"[claims](reports/{version.name}/report.html#Claims-of-the-papers)"
    told = f": {', '.join(against)}" if against else ""
    return f"Of the papers' {len(theirs)} {ledger}: {counts}{told}."


def _of_lab(version: Path) -> str:
    """How many claims the lab judges, on methods that no stage uses, have each verdict."""
    theirs, counts = counted(version)
    report = f"[lab](reports/{version.name}/report.html)"
    counts = counts.replace("0 reproduced", "none reproduced")
    return f"The {report} judges {len(theirs)} on other methods: {counts}."


def _of_real(version: Path) -> str:
    """What R1-Zero adds to a pretrained model, in the version's task."""
    real = of_real(version)
    alone = f" Format reward alone: {real.control} %." if real.control else ""
    last = f", R1 {real.r1}" if real.r1 else ""
    return (
        f"**Real weights**, {real.model}, {real.family.replace('_', ' ')}, {_seeds(version)}, "
        f"intervals over problems: base {real.base} %, with its best prompt {real.best}, R1-Zero "
        f"{real.zero}{last}; R1-Zero minus the best prompt {real.adds}. But only {real.sound} % of "
        f"R1-Zero's right answers are sound, under that prompt {real.best_sound}.{alone}"
    )


@dataclass(frozen=True)
class Real:
    """Figures of a version of a pretrained model, as they are printed."""

    model: str
    family: str
    base: str
    best: str
    zero: str
    r1: str | None
    adds: str
    sound: str
    best_sound: str
    control: str | None


def of_real(version: Path) -> Real:
    """What README says of a version of a pretrained model, whose task has one family.

    Raises KeyError without base, best prompt and R1-Zero, ValueError with two families.
    """
    results = read(version, "results")
    ((family, adds),) = results["adds"].items()

    def of(name: str, path: str = "reasoning/pass@1") -> str:
        return number(results[name][path]["value"])

    control = "r1_zero_format_only"
    return Real(
        model_of(version), family, of("base"), of("base_best"), of("r1_zero"),
        of("r1") if "r1" in results else None, interval(adds, True),
        of("r1_zero", "sound"), of("base_best", "sound"),
        of(control) if control in results else None,
    )  # fmt: skip


def model_of(version: Path) -> str:
    """The name of a version's pretrained model: of the file it came from, else on the hub."""
    model = read(version, "manifest")["config"]["model"]
    named = model["path"] or hub.parts(model["hub"])[0]
    return PurePath(named).name.removesuffix(".gguf")


def counted(version: Path) -> tuple[list[Any], str]:
    """The papers' claims in a version's ledger, and how many have each verdict."""
    theirs = [one for one in read(version, "claims") if not one["ours"] and not one["control"]]
    verdicts = [one["verdict"] for one in theirs]
    words = ("reproduced", "inconclusive", "not testable", "contradicted")
    return theirs, ", ".join(f"{verdicts.count(v)} {v}" for v in words)


def _later(version: Path) -> Iterator[str]:
    """What the later stages change, from R1-Zero to R1."""
    changes = later(version)
    if changes:
        told = "; ".join(f"{NAMED[path]} {interval(one, True)}" for path, one in changes.items())
        yield f"R1 minus R1-Zero, in points: {told}."


def later(version: Path) -> dict[str, dict[str, float]]:
    """The change from R1-Zero to R1 in what LATER names; {} in a version without R1."""
    change = read(version, "differences").get("r1 - r1_zero", {})
    return {path: change[path] for path in LATER if path in change}


def read(version: Path, name: str) -> Any:
    """The content of a version's NAME.json."""
    return read_plain(version / f"{name}.json")


def _seeds(version: Path) -> str:
    """The seeds of a version, as a link to its report, and whether they share a base."""
    bases = read(version, "manifest")["seeds"]["base_seed"]
    shared = isinstance(bases, list) and len(set(bases)) == 1
    return f"[{_named(version)}](reports/{version.name}/report.html)" + (
        " on one base" if shared else ""
    )


def _and_seeds(version: Path) -> str:
    several = isinstance(read(version, "manifest")["seeds"]["seed"], list)
    return " and seeds" if several else ""


def _named(version: Path) -> str:
    seeds = read(version, "manifest")["seeds"]["seed"]
    return f"seeds {listed(seeds)}" if isinstance(seeds, list) else f"seed {seeds}"


def listed(seeds: Sequence[int], comma: str = ", ") -> str:
    """Seeds as text; more than two in a row are the first and the last."""
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]}–{seeds[-1]}"
    return comma.join(map(str, seeds))


def _forced(results: dict[str, Any]) -> Iterator[str]:
    if "base_forced" in results:
        gains, rates = (" and ".join(numbers) for numbers in persistence(results))
        zero = " and ".join(
            number(results["r1_zero"][f"{family}/pass@1"]["value"]) for family in results["adds"]
        )
        yield (
            f"**Persistence alone gives {gains} of these points**: without RL, but forced to "
            "continue whenever it gives up and stopped by an oracle, the base is right in "
            f"{rates} %, R1-Zero in {zero} %."
        )


def persistence(results: dict[str, Any]) -> tuple[list[str], list[str]]:
    """By family: the forced base's gain over the base with its best prompt, and its accuracy."""
    paths = [f"{family}/pass@1" for family in results["adds"]]
    forced, best = (
        [results[name][path]["value"] for path in paths] for name in ("base_forced", "base_best")
    )
    gains = [number(one - other) for one, other in zip(forced, best, strict=True)]
    return gains, [number(rate) for rate in forced]


def _sharpens(results: dict[str, Any]) -> str:
    told = "; ".join(
        f"{family} {number(results['base'][path]['value'])} → "
        f"{number(results['r1_zero'][path]['value'])} %"
        for family in results["adds"]
        for path in (f"{family}/pass@16",)
    )
    return f"At least one of 16 samples is right, base to R1-Zero: {told}."


def _forced_too(results: dict[str, Any], path: str) -> str:
    """The forced base's share, where it was measured."""
    forced = results.get("base_forced")
    return f" (forced base {number(forced[path]['value'])})" if forced else ""


def _length(results: dict[str, Any]) -> str:
    base, zero, path = results["base"], results["r1_zero"], "reconsidered_right"
    forced = results.get("base_forced")
    beside = f" (forced base {forced['length']['value']:.0f})" if forced else ""
    return (
        f"Answers grow from {base['length']['value']:.0f} to {zero['length']['value']:.0f} tokens"
        f"{beside}; of right answers, those that retract a result first from "
        f"{number(base[path]['value'])} to {number(zero[path]['value'])} %"
        f"{_forced_too(results, path)}."
    )


def _controls(results: dict[str, Any], version: Path) -> Iterator[str]:
    path = "reasoning/pass@1"
    others = {
        "r1_zero_permuted": "rewards permuted within groups",
        "r1_zero_format_only": "format reward alone",
        "base_rft_best": "SFT on the right answers among as many samples of the base",
        "r1_zero_equal_weights": "the paper's plain sum of accuracy and format",
    }
    told = [
        f"{words} {number(results[name][path]['value'])} %"
        + (f", {lead(version)} points below R1-Zero" if name == "base_rft_best" else "")
        for name, words in others.items()
        if name in results
    ]
    if told:
        yield (
            f"Controls, from a base at {number(results['base'][path]['value'])} %: "
            f"{'; '.join(told)}."
        )


def lead(version: Path) -> str:
    """How far R1-Zero stands above the fine-tuned base with its best prompt."""
    claims = {one["id"]: one for one in read(version, "claims")}
    return interval(claims["rl-beats-rejection-fine-tuning"]["effect"])


def _sound(results: dict[str, Any]) -> str:
    zero, best = results["r1_zero"], results["base_best"]
    families = "; ".join(
        f"{family} {number(best[path]['value'])} → {number(zero[path]['value'])} %"
        for family in results["adds"]
        for path in (f"{family}/sound",)
    )
    return (
        f"Sound, of right answers, best-prompted base to R1-Zero: {families}. Answers that affirm "
        f"a falsehood rise from {number(results['base']['false_check']['value'])} to "
        f"{number(zero['false_check']['value'])} %{_forced_too(results, 'false_check')}."
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
                f"{student.capitalize()} {base} → {distilled} % distilled, {alone} % by RL alone"
            )
        yield f"Students of half the size, pass@1: {'; '.join(told)}."


def main(*versions: str) -> None:
    """Write README's part again, and the figures of the other documents."""
    readme = ROOT / "README.md"
    before = readme.read_text(encoding="utf-8")
    start = before.index(BEGIN.split("{")[0])
    end = before.index(END) + len(END)
    after = before[:start] + text(*(ROOT / version for version in versions)) + before[end:]
    readme.write_text(after, encoding="utf-8")
    from benchmarks import figures_in_docs  # imports this module

    figures_in_docs.write(*versions)


if __name__ == "__main__":
    main(*sys.argv[1:])
