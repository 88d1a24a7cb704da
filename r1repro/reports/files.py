"""What results look like on disk: estimates as JSON, figures as pictures."""

import base64
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from r1repro.artifacts import write_atomically
from r1repro.evaluation.statistics import Estimate

Results = Mapping[str, Mapping[str, Estimate]]
"""Estimates by checkpoint (or by difference of two) and path."""


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A tree of settings by dotted keys."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


ADDS = "adds"
"""The key of results.json that is no checkpoint: what RL adds, by family."""


def write_results(
    path: Path, results: Results, adds: Mapping[str, Mapping[str, Any]] | None = None
) -> None:
    """{name: {path: {value, low, high, n}}}, a line an estimate, to seven digits; NaN is null.

    adds: written under ADDS, {family: {value, low, high, n, way, temperature}}.
    """
    parts = []
    if adds:
        lines = [f"  {json.dumps(name)}: {json.dumps(adds[name])}" for name in adds]
        parts.append(f" {json.dumps(ADDS)}: {{\n" + ",\n".join(lines) + "\n }")
    for name, estimates in results.items():
        lines = [f"  {json.dumps(m)}: {_line(estimate)}" for m, estimate in estimates.items()]
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    write_atomically(path, "{\n" + ",\n".join(parts) + "\n}\n")


def _line(estimate: Estimate) -> str:
    # Seven digits are more than any estimate has, and a version stays light.
    stored = estimate.as_dict().items()
    plain = {k: None if math.isnan(v) else float(f"{v:.7g}") for k, v in stored} | {"n": estimate.n}
    return json.dumps(plain, allow_nan=False)


def read_results(path: Path) -> dict[str, dict[str, Estimate]]:
    """The estimates that `write_results` wrote."""
    plain = json.loads(path.read_text(encoding="utf-8"))
    plain.pop(ADDS, None)

    def number(stored: float | None) -> float:
        return math.nan if stored is None else stored

    return {
        name: {
            measure: Estimate(number(e["value"]), number(e["low"]), number(e["high"]), e["n"])
            for measure, e in estimates.items()
        }
        for name, estimates in plain.items()
    }


def read_adds(path: Path) -> dict[str, dict[str, Any]]:
    """What `write_results` wrote under ADDS; nothing where it wrote none."""
    found: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")).get(ADDS, {})
    return found


def write_json(path: Path, content: Any) -> None:
    """JSON as every reader takes it (no NaN), whole or not at all."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(path, text + "\n")


def write_figure(figure: Figure, path: Path) -> None:
    """Save as <path>.png, twice the size of a page's column, and as <path>.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "r1repro"}):  # the same data, the same file
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


FORMULA = 200
"""Pixels of width up to which a picture is a formula within a line, and keeps its size."""


def lighter(page: str) -> str:
    """A page with its embedded PNG pictures as WebP, a quarter smaller: a third of the bytes."""

    def smaller(found: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
        if picture.width > FORMULA:
            size = (round(0.75 * picture.width), round(0.75 * picture.height))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, format="webp", quality=40, method=6)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\n]+)", smaller, page)
