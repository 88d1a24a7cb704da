"""Differences between two published versions, and which inputs explain them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.evaluation import metrics, problems
from r1repro.evaluation.checkpoints import label_of, names
from r1repro.evaluation.results import Results, flat, read_results
from r1repro.evaluation.statistics import Estimate, difference
from r1repro.reports.files import unreadable
from r1repro.reports.report import RIGHT
from r1repro.reports.sums import check_sums

PATHS = (
    "reasoning/pass@1", "arithmetic/pass@1", "countdown/pass@1", "general/score", "format_valid",
    "language_share", "readability", "reflection_per_response", "repetition", "length",
)  # fmt: skip


@dataclass(frozen=True)
class Version:
    """The files read from a version's or a run's folder.

    right: counts of right answers, see r1repro.evaluation.problems.counts; None if it has none, as
        of several seeds.
    """

    name: str
    manifest: Mapping[str, Any]
    results: Results
    claims: Mapping[str, Mapping[str, Any]]
    right: pd.DataFrame | None = None


def read(folder: Path) -> Version:
    """Read a version. Raises R1ReproError if the folder has no report."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        results = read_results(folder / "results.json")
        ledger = folder / "claims.json"  # versions from before the ledger have none
        found = json.loads(ledger.read_text(encoding="utf-8")) if ledger.is_file() else []
        right = pd.read_parquet(folder / RIGHT) if (folder / RIGHT).is_file() else None
    except (OSError, ValueError) as error:
        wanted = "two folders of reports/, or of finished runs under runs/"
        raise unreadable(folder, error, wanted) from error
    check_sums(folder)
    return Version(
        folder.resolve().name,
        manifest,
        results,
        {claim["id"]: claim for claim in found if not claim.get("control")},
        right,
    )


def compare(first: Version, second: Version, read_by: Mapping[str, Sequence[str]]) -> str:
    """Markdown with differing inputs, results, explanations and verdicts.

    read_by: the settings that each stage depends on, as dotted paths.
    """
    parts = [
        f"# First: {first.name}; second: {second.name}",
        _inputs(first, second),
        _results(first, second),
        _explained(first, second, read_by),
        _verdicts(first, second),
    ]
    return "\n\n".join(parts) + "\n"


def inputs(first: Version, second: Version) -> dict[str, tuple[Any, Any]]:
    """The inputs that differ, by name: configuration, seeds, versions, code, hardware."""
    one, other = _all_inputs(first, second), _all_inputs(second, first)
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys(), key=_place)
        if one.get(key) != other.get(key)
    }


def _place(key: str) -> tuple[bool, str]:
    """Sorts what is asked of the results, the claims, after what they were made from."""
    return key.startswith("claims."), key


def _all_inputs(version: Version, other: Version) -> dict[str, Any]:
    """A version's inputs by name; of the claims those that both have, and how many are its own."""
    manifest, alone = version.manifest, version.claims.keys() - other.claims.keys()
    git = manifest["git"]
    config = {k: v for k, v in manifest["config"].items() if k not in manifest["seeds"]}
    return {
        **flat(config, "config."),
        **{f"seeds.{name}": _one(seed) for name, seed in manifest["seeds"].items()},
        **flat(manifest.get("data", {}), "data."),
        **flat(manifest["versions"], "versions."),
        **flat(manifest["hardware"], "hardware."),
        **{
            f"claims.{name}.{key}": claim[key]
            for name, claim in version.claims.items()
            if name not in alone
            for key in ("measure", "expected", "smallest")
            if key in claim
        },
        "claims.of this alone": len(alone),
        "code": manifest["code"],
        "commit": (git["commit"] or "none") + (" + uncommitted changes" if git["dirty"] else ""),
    }


def _one(seeds: Any) -> Any:
    """A seed or a list of seeds; a list of equal seeds becomes one."""
    return seeds[0] if isinstance(seeds, list) and len(set(seeds)) == 1 else seeds


def _inputs(first: Version, second: Version) -> str:
    found = inputs(first, second)
    if not found:
        return "## Inputs\n\nThe same configuration, seeds, code, versions and hardware."
    rows = [f"| {key} | {a} | {b} |" for key, (a, b) in found.items()]
    return "\n".join(
        ["## Inputs that differ", "", "| input | first | second |", "|---|---|---|", *rows]
    )


def _results(first: Version, second: Version) -> str:
    rows, same = [], 0
    for name in names(n for n in first.results if n in second.results):
        paired = pairing(first, second, name)
        for path in PATHS:
            a, b = first.results[name].get(path), second.results[name].get(path)
            if a is None or b is None or math.isnan(a.value) or math.isnan(b.value):
                continue
            if a == b:
                same += 1
                continue
            changed = paired.get(path, difference(a, b))
            if not math.isclose(changed.value, b.value - a.value, abs_tol=1e-6):
                changed = difference(a, b)  # the counts are not of these results
            mark = "" if math.isnan(changed.low) or changed.low <= 0 <= changed.high else " *"
            cells = (metrics.shown(a, path), metrics.shown(b, path))
            told = metrics.shown(changed, path, signed=True)
            rows.append(
                f"| {label_of(name)} | {metrics.label(path)} | {' | '.join(cells)} | {told}{mark} |"
            )
    gone = sorted(first.results.keys() ^ second.results.keys())
    note = f"\n\nThe same in both: {same} of {len(rows) + same} figures." if same else ""
    note += f"\n\nIn one of them only: {', '.join(gone)}." if gone else ""
    if not rows:
        return f"## Results{note}"
    return (
        "\n".join(
            [
                "## Results",
                "",
                "Differences have 95 % intervals; * if 0 is outside. Accuracy is paired over the "
                "problems where both were asked the same, except of several seeds; all else counts "
                "as independent.",
                "",
                "| checkpoint | measure | first | second | difference |",
                "|---|---|---|---|---|",
                *rows,
            ]
        )
        + note
    )


def pairing(first: Version, second: Version, name: str) -> dict[str, Estimate]:
    """Paired changes of a checkpoint's accuracy between two versions; {} unless asked the same."""
    if first.right is None or second.right is None:
        return {}
    one, other = (problems.of_counts(version.right, name) for version in (first, second))
    if one.empty or not one.index.equals(other.index):
        return {}
    only = ["task", "level", "pass@1", "pass@1:of"]
    return metrics.paired(one[only], other[only], draws=2_000)


def _explained(first: Version, second: Version, read_by: Mapping[str, Sequence[str]]) -> str:
    """The differing inputs of each stage, its own or through the stages it depends on."""
    one, other = (_stages(version) for version in (first, second))
    given = [_all_inputs(first, second), _all_inputs(second, first)]
    changed = [k for k in given[0] if k in given[1] and given[0][k] != given[1][k]]
    origins: dict[str, list[str]] = {}  # of each stage that differs: where that begins
    rows: dict[str, list[str]] = {}
    for name in (name for name in other if name in one):
        inputs_of = {k: None for entry in other[name] for k in entry["inputs"] or ()}
        through = {k: None for made_from in inputs_of for k in origins.get(made_from, ())}
        own = _own(one[name], other[name], [k for k in changed if _reads(read_by.get(name, ()), k)])
        if not own and not through:
            continue
        origins[name] = [name] if own else list(through)
        because = ", ".join(own) or f"nothing of its own: follows from {', '.join(through)}"
        if own and through:
            because += "; also what it is made from"
        rows.setdefault(because, []).append(name)
    if not rows:
        return "## Which input explains which result\n\nNothing that went into a stage differs."
    table = [f"| {', '.join(names)} | {because} |" for because, names in rows.items()]
    return "\n".join(
        [
            "## Which input explains which result",
            "",
            "A stage's result may differ if its settings, code, versions or hardware differ, or if "
            "one of its inputs does.",
            "",
            "| stage | differs of it |",
            "|---|---|",
            *table,
        ]
    )


def _stages(version: Version) -> dict[str, list[Mapping[str, Any]]]:
    """The manifest entries of each stage, one per run of the report.

    Hardware and versions are the run's where the entry of a joint report has none of its own.
    """
    runs = version.manifest.get("runs") or [version.manifest]
    same = [{key: run[key] for key in ("hardware", "versions") if key in run} for run in runs]
    return {
        name: [
            usual | run["stages"][name]
            for usual, run in zip(same, runs, strict=True)
            if name in run["stages"]
        ]
        for name in runs[0]["stages"]
    }


def _own(
    one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], settings: Sequence[str]
) -> list[str]:
    """What differs in a stage itself; equal keys imply equal settings."""
    sides = [[flat(entry) for entry in entries] for entries in (one, other)]

    def differs(key: str) -> bool:
        return len({frozenset(str(entry.get(key)) for entry in side) for side in sides}) > 1

    first, second = ({k for k in side[0] if k.startswith("inputs.")} for side in sides)
    found: list[str] = []
    if differs("key"):
        found += [*settings, *sorted(first ^ second)]
        found += ["the stage's version"] if differs("version") else []
        if not found and not any(map(differs, first)):
            found = ["settings that one of the manifests does not list"]
    kinds = ("code", "versions.", "hardware.")
    keys = {key for side in sides for entry in side for key in entry if key.startswith(kinds)}
    return found + [key for key in sorted(keys) if differs(key)]


def _reads(paths: Sequence[str], key: str) -> bool:
    """Whether a stage that depends on these settings depends on an input by `inputs`' name."""
    if key.startswith("data."):
        return "task" in paths
    path = key.removeprefix("config.").removeprefix("seeds.")
    return any(path == read or path.startswith(f"{read}.") for read in paths)


def _verdicts(first: Version, second: Version) -> str:
    if not (first.claims and second.claims):
        return "## Verdicts\n\nOne of the versions has no ledger of claims."
    rows = [
        f"| {claim['statement']} | {first.claims[name]['verdict']} | {claim['verdict']} |"
        for name, claim in second.claims.items()
        if name in first.claims and first.claims[name]["verdict"] != claim["verdict"]
    ]
    if not rows:
        return "## Verdicts\n\nNo verdict differs."
    return "\n".join(
        ["## Verdicts that flipped", "", "| claim | first | second |", "|---|---|---|", *rows]
    )
