"""Estimates on disk: results.json, differences.json and costs.json."""

import gzip
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from r1repro.artifacts import write_atomically
from r1repro.evaluation.statistics import Estimate

Results = Mapping[str, Mapping[str, Estimate]]
"""Estimates by checkpoint (or by difference of two) and path."""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


ADDS = "adds"
"""The key of results.json that is not a checkpoint: the gain of RL by family."""


def write_results(
    path: Path, results: Results, adds: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """Write {name: {path: {value, low, high, n}}}, one line per estimate; NaN becomes null.

    An estimate with `each` has these values too.
    adds: written under ADDS, {family: {value, low, high, n, way, temperature}}.
    """
    blocks = {ADDS: {name: json.dumps(each) for name, each in adds.items()}} if adds else {}
    for name, estimates in results.items():
        blocks[name] = {measure: _line(estimate) for measure, estimate in estimates.items()}
    parts = []
    for name, block in blocks.items():
        lines = ",\n".join(f"  {json.dumps(key)}: {line}" for key, line in block.items())
        parts.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    write_atomically(path, "{\n" + ",\n".join(parts) + "\n}\n")


def _line(estimate: Estimate) -> str:
    # Seven digits exceed the precision of any estimate and keep the file small.
    def rounded(value: float) -> float | None:
        return None if math.isnan(value) else float(f"{value:.7g}")

    plain = {name: rounded(getattr(estimate, name)) for name in ("value", "low", "high")}
    each = {"each": [rounded(value) for value in estimate.each]} if estimate.each else {}
    return json.dumps(plain | {"n": estimate.n} | each, allow_nan=False)


def number(stored: float | None) -> float:
    """A number of a JSON file, where null stands for NaN."""
    return math.nan if stored is None else stored


def packed(path: Path) -> Path:
    """The compressed file of a version that stands for a large file of a run."""
    return path.with_name(f"{path.name}.gz")


def read_results(path: Path) -> dict[str, dict[str, Estimate]]:
    """Read the estimates written by `write_results`, or a file of them that `packed` made."""
    return {
        name: {
            measure: Estimate(
                number(e["value"]), number(e["low"]), number(e["high"]), e["n"],
                tuple(e.get("each", ())),
            )
            for measure, e in estimates.items()
        }
        for name, estimates in read_plain(path).items()
        if name != ADDS
    }  # fmt: skip


def read_adds(path: Path) -> dict[str, dict[str, Any]]:
    """Read the entry ADDS written by `write_results`; empty if there is none."""
    found: dict[str, dict[str, Any]] = read_plain(path).get(ADDS, {})
    return found


def read_plain(path: Path) -> Any:
    """The JSON of a file of a run, or of the one in a version that `packed` made of it."""
    if not path.is_file() and packed(path).is_file():
        return json.loads(gzip.decompress(packed(path).read_bytes()))
    return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, content: Any) -> None:
    """Write standard JSON (no NaN), atomically."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


Costs = Mapping[str, Mapping[str, float]]
"""{checkpoint: {"flops", "seconds"}} of COSTS."""
COSTS = "costs.json"


def read_costs(folder: Path) -> dict[str, dict[str, float]]:
    """The students' costs stored by the comparison stage; see r1repro.stages.comparison."""
    found: dict[str, dict[str, float]] = json.loads((folder / COSTS).read_text("utf-8"))
    return found
