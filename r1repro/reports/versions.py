"""The files of a published version, and the page that lists all versions."""

import base64
import gzip
import io
import json
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from r1repro.artifacts import write_atomically
from r1repro.config import load, save
from r1repro.evaluation import held_out, metrics
from r1repro.evaluation.checkpoints import MAIN, label_of
from r1repro.evaluation.claims import VERDICTS
from r1repro.evaluation.results import packed, read_plain, read_results
from r1repro.reports import RESOLVED, notebooks
from r1repro.reports.report import JOINED, RIGHT, listed, without_places

INTERVALS = (
    "Newest first. Values with 95 % intervals: of one run over problems, of several seeds over "
    "these as well."
)
INDEXED = ("reasoning/pass@1", "general/score", "format_valid")
_PACKED = (held_out.RESULTS, held_out.DIFFERENCES)
"""Large, repetitive files, which a version has compressed."""


def copy(run_folder: Path, part: Path, checkout: Path, manifest: Mapping[str, Any]) -> None:
    """Copy a run's report to `part`, compressed and without the paths of this machine.

    A version of one run keeps what joining it with others and pairing its checkpoints need.
    """
    (part / "notebooks").mkdir(parents=True)
    for name in _PACKED:
        content = (run_folder / name).read_bytes()
        packed(part / name).write_bytes(gzip.compress(content, mtime=0))
    for name in ("claims.json", "manifest.json"):
        data = read_plain(run_folder / name)
        compact = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        (part / name).write_text(compact + "\n", encoding="utf-8")
    for name in (RIGHT,) if "runs" in manifest else (*JOINED, RIGHT):
        if (run_folder / name).is_file() and name not in _PACKED:
            shutil.copyfile(run_folder / name, part / name)
    save(without_places(load(run_folder / RESOLVED)), part / RESOLVED)
    found = notebooks.executed(run_folder)
    folders = {run_folder.resolve(), *_named_folders(found)}
    written = _without_places(json.dumps(found, ensure_ascii=False), run_folder, folders, checkout)
    for name, page in notebooks.pages(json.loads(written)).items():
        (part / name).write_text(lighter(page), encoding="utf-8")


FORMULA = 200
"""Largest width in pixels of an inline formula, whose size is kept."""


def lighter(page: str) -> str:
    """A page with its PNG images as WebP, at seven tenths of their size: a ninth of the bytes."""

    def smaller(found: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
        if picture.width > FORMULA:
            size = (round(0.7 * picture.width), round(0.7 * picture.height))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, format="webp", quality=30, method=6)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\n]+)", smaller, page)


def write_index(reports_folder: Path) -> None:
    """Write README.md, which lists the versions of a folder, newest first."""
    manifests = [
        (read_plain(folder / "manifest.json"), folder)
        for folder in reports_folder.iterdir()
        if (folder / "manifest.json").is_file() and not folder.name.startswith(".")
    ]
    manifests.sort(key=lambda pair: (pair[0]["created"], pair[1].name), reverse=True)
    lines = ["# Published reports", "", INTERVALS, ""]
    for manifest, folder in manifests:
        seeds, commit = manifest["seeds"], manifest["git"]["commit"]
        lines += [f"## [{folder.name}]({folder.name}/report.html)", ""]
        if arms := manifest["config"].get("arms"):
            several = "arms" if len(arms) > 1 else "arm"
            lines += [f"* {len(arms)} {several} of the lab (`lab={manifest['config']['lab']}`)"]
        lines += [f"* {line}" for line in _figures(folder)]
        lines += [f"* seed {listed(seeds['seed'])}, base seed {listed(seeds['base_seed'])}"]
        lines += [f"* commit {commit[:10]}, {manifest['created']}", ""]
    write_atomically(reports_folder / "README.md", "\n".join(lines))


def _figures(folder: Path) -> list[str]:
    """A version's headline and verdicts, in lines."""
    results = read_results(folder / "results.json")
    figures = []
    for path in INDEXED:
        values = [
            f"{label_of(name)} {metrics.shown(summary[path], path)}"
            for name, summary in results.items()
            if name in MAIN and path in summary
        ]
        if values:
            figures.append(f"{metrics.label(path)}: {', '.join(values)}")
    file = folder / "claims.json"  # old versions have none
    ledger = read_plain(file) if file.is_file() else []
    theirs = [c["verdict"] for c in ledger if not c["ours"] and not c["control"]]
    if theirs:
        told = ", ".join(f"{theirs.count(verdict)} {verdict}" for verdict in VERDICTS)
        figures.append(f"Claims of the papers: {told}")
    return figures


def _named_folders(executed: Mapping[str, notebooks.Notebook]) -> Iterator[Path]:
    """The run folders that notebooks were executed with, which may lie anywhere."""
    for cell in (cell for notebook in executed.values() for cell in notebook["cells"]):
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            for text in re.findall(r'"(/[^"]+)"', "".join(cell["source"])):
                yield Path(text).parent if Path(text).name == RESOLVED else Path(text)


def _without_places(
    notebook: str, run_folder: Path, folders: Collection[Path], checkout: Path
) -> str:
    """An executed notebook without the paths of this machine; folders: those of the runs."""
    places = {folder.parent: "runs" for folder in folders} | {
        run_folder.resolve(): "RUN",
        checkout.resolve(): ".",
        Path(sys.prefix).resolve(): "venv",
        Path.home(): "~",
    }
    for place in sorted(places, key=lambda path: -len(str(path))):
        if place != Path(place.anchor):
            for written in (json.dumps(str(place)), json.dumps(str(place), ensure_ascii=False)):
                notebook = notebook.replace(written[1:-1], places[place])
    return notebook
