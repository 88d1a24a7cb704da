"""The differences between two reports, and the inputs that explain them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.evaluation import metrics, per_problem
from r1repro.evaluation.checkpoints import label_of, names
from r1repro.evaluation.results import Results, flat, read_plain, read_results
from r1repro.evaluation.statistics import Estimate, difference
from r1repro.reports.files import reading
from r1repro.reports.report import RIGHT, commit

PATHS = (
    "reasoning/pass@1", "arithmetic/pass@1", "countdown/pass@1", "general/score", "format_valid",
    "language_share", "readability", "reflection_per_response", "repetition", "length",
)  # fmt: skip


@dataclass(frozen=True)
class Version:
    """What is compared of a report; right: `per_problem.counts`, None for several seeds."""

    name: str
    manifest: Mapping[str, Any]
    results: Results
    claims: Mapping[str, Mapping[str, Any]]
    right: pd.DataFrame | None = None


def read(folder: Path) -> Version:
    """Read a version. Raises R1ReproError if the folder has no report or was modified."""
    with reading(folder, "two folders of reports/, or of finished runs under runs/"):
        ledger = folder / "claims.json"  # old versions have none
        found = read_plain(ledger) if ledger.is_file() else []
        return Version(
            folder.resolve().name,
            read_plain(folder / "manifest.json"),
            read_results(folder / "results.json"),
            {claim["id"]: claim for claim in found if not claim.get("control")},
            pd.read_parquet(folder / RIGHT) if (folder / RIGHT).is_file() else None,
        )


def compare(first: Version, second: Version, read_by: Mapping[str, Sequence[str]]) -> str:
    """Markdown on the inputs, results and verdicts that differ, and what explains each stage.

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


def _table(columns: str, rows: Sequence[str]) -> str:
    """A table in Markdown; columns, rows: cells joined by " | "."""
    rule = "|".join("---" for _ in columns.split(" | "))
    return "\n".join([f"| {columns} |", f"|{rule}|", *(f"| {row} |" for row in rows)])


def inputs(first: Version, second: Version) -> dict[str, tuple[Any, Any]]:
    """The inputs that differ, by name: configuration, seeds, versions, code, hardware."""
    one, other = _all_inputs(first, second), _all_inputs(second, first)
    return {
        key: (one.get(key), other.get(key))
        # claims, which judge the results, come last
        for key in sorted(one.keys() | other.keys(), key=lambda k: (k.startswith("claims."), k))
        if one.get(key) != other.get(key)
    }


def _all_inputs(version: Version, other: Version) -> dict[str, Any]:
    """A version's inputs by name; of claims those that both have, and the number of the rest."""
    manifest, alone = version.manifest, version.claims.keys() - other.claims.keys()
    config = {k: v for k, v in manifest["config"].items() if k not in manifest["seeds"]}
    return {
        **flat(config, "config."),
        **{f"seeds.{name}": _one(seed) for name, seed in manifest["seeds"].items()},
        **flat({name: manifest.get(name, {}) for name in ("data", "versions", "hardware")}),
        **{
            f"claims.{name}.{key}": claim[key]
            for name, claim in version.claims.items()
            if name not in alone
            for key in ("measure", "expected", "smallest")
            if key in claim
        },
        "claims.of this alone": len(alone),
        "code": manifest["code"],
        "commit": commit(manifest["git"]),
    }


def _one(seeds: Any) -> Any:
    """A seed or a list of seeds; a list of equal seeds becomes one."""
    return seeds[0] if isinstance(seeds, list) and len(set(seeds)) == 1 else seeds


def _inputs(first: Version, second: Version) -> str:
    found = inputs(first, second)
    if not found:
        return "## Inputs\n\nThe same configuration, seeds, code, versions and hardware."
    rows = [f"{key} | {a} | {b}" for key, (a, b) in found.items()]
    return f"## Inputs that differ\n\n{_table('input | first | second', rows)}"


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
            cells = (label_of(name), metrics.label(path), *(metrics.shown(n, path) for n in (a, b)))
            told = metrics.shown(changed, path, signed=True)
            rows.append(f"{' | '.join(cells)} | {told}{mark}")
    parts = ["## Results"]
    if rows:
        parts += [
            "Differences have 95 % intervals; * marks those that exclude 0. Accuracy is paired "
            "over the problems if both asked the same ones, but not for several seeds; all other "
            "measures are treated as independent.",
            _table("checkpoint | measure | first | second | difference", rows),
        ]
    if same:
        parts.append(f"The same in both: {same} of {len(rows) + same} figures.")
    if gone := sorted(first.results.keys() ^ second.results.keys()):
        parts.append(f"In one of them only: {', '.join(gone)}.")
    return "\n\n".join(parts)


def pairing(first: Version, second: Version, name: str) -> dict[str, Estimate]:
    """Paired changes of a checkpoint's accuracy; {} unless both versions asked the same."""
    if first.right is None or second.right is None:
        return {}
    one, other = (per_problem.of_counts(version.right, name) for version in (first, second))
    if one.empty or not one.index.equals(other.index):
        return {}
    only = ["task", "level", "pass@1", "pass@1:of"]
    return metrics.paired(one[only], other[only], draws=2_000)


def _explained(first: Version, second: Version, read_by: Mapping[str, Sequence[str]]) -> str:
    """The inputs that differ of each stage, its own or those of stages that it depends on."""
    one, other = _stages(first), _stages(second)
    before, after = _all_inputs(first, second), _all_inputs(second, first)
    changed = [k for k in before if k in after and before[k] != after[k]]
    origins: dict[str, list[str]] = {}  # of each stage that differs: the stages where that begins
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
    title = "## Which input explains which result"
    if not rows:
        return f"{title}\n\nNothing that went into a stage differs."
    table = [f"{', '.join(names)} | {because}" for because, names in rows.items()]
    return (
        f"{title}\n\nA stage's result may differ if its settings, code, versions or hardware "
        f"differ, or if one of its inputs does.\n\n{_table('stage | what differs', table)}"
    )


def _stages(version: Version) -> dict[str, list[Mapping[str, Any]]]:
    """The manifest entries of each stage, one per run of the report.

    In a joint report an entry has hardware and versions only if they are not the run's.
    """
    runs = version.manifest.get("runs") or [version.manifest]
    return {
        name: [
            {key: run[key] for key in ("hardware", "versions") if key in run} | run["stages"][name]
            for run in runs
            if name in run["stages"]
        ]
        for name in runs[0]["stages"]
    }


def _own(
    one: Sequence[Mapping[str, Any]], other: Sequence[Mapping[str, Any]], settings: Sequence[str]
) -> list[str]:
    """What differs in a stage itself; with equal keys its settings are equal."""
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
    """Whether a stage that depends on the settings `paths` depends on an input of `inputs`."""
    if key.startswith("data."):
        return "task" in paths
    path = key.removeprefix("config.").removeprefix("seeds.")
    return any(path == read or path.startswith(f"{read}.") for read in paths)


def _verdicts(first: Version, second: Version) -> str:
    if not (first.claims and second.claims):
        return "## Verdicts\n\nOne of the versions has no ledger of claims."
    rows = [
        f"{claim['statement']} | {first.claims[name]['verdict']} | {claim['verdict']}"
        for name, claim in second.claims.items()
        if name in first.claims and first.claims[name]["verdict"] != claim["verdict"]
    ]
    if not rows:
        return "## Verdicts\n\nNo verdict differs."
    return f"## Verdicts that flipped\n\n{_table('claim | first | second', rows)}"
