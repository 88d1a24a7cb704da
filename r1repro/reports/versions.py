"""The files of a published version, and the page that lists the versions of a folder."""

import gzip
import json
import re
import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from r1repro.artifacts import write_atomically
from r1repro.config import load, save
from r1repro.evaluation import held_out, metrics
from r1repro.evaluation.checkpoints import MAIN, label_of
from r1repro.evaluation.claims import VERDICTS
from r1repro.evaluation.results import packed, read_results
from r1repro.reports import RESOLVED, notebooks
from r1repro.reports.files import lighter
from r1repro.reports.report import JOINED, RIGHT, without_places

INTERVALS = (
    "Newest first. Values with 95 % intervals: of one run over problems, of several seeds over "
    "these as well."
)
INDEXED = ("reasoning/pass@1", "general/score", "format_valid")


def copy(run_folder: Path, part: Path, checkout: Path, manifest: Mapping[str, Any]) -> None:
    """Write what a version has of a run to `part`.

    A version of one run keeps what is needed to join it with others and to pair its checkpoints.
    """
    (part / "notebooks").mkdir(parents=True)
    for name in (held_out.RESULTS, held_out.DIFFERENCES):  # repetitive, and read by machines
        content = (run_folder / name).read_bytes()
        packed(part / name).write_bytes(gzip.compress(content, mtime=0))
    for name in ("claims.json", "manifest.json"):
        data = json.loads((run_folder / name).read_text(encoding="utf-8"))
        compact = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
        (part / name).write_text(compact + "\n", encoding="utf-8")
    for name in (RIGHT,) if "runs" in manifest else (*JOINED, RIGHT):
        there = (part / name).exists() or packed(part / name).exists()
        if (run_folder / name).is_file() and not there:
            shutil.copyfile(run_folder / name, part / name)
    save(without_places(load(run_folder / RESOLVED)), part / RESOLVED)
    found = notebooks.executed(run_folder)
    folders = {run_folder.resolve(), *_named_folders(found)}
    written = _without_places(json.dumps(found, ensure_ascii=False), run_folder, folders, checkout)
    executed = json.loads(written)
    for name, page in notebooks.pages(executed).items():
        (part / name).write_text(lighter(page), encoding="utf-8")


def write_index(reports_folder: Path) -> None:
    """Write README.md, which lists the versions of a folder, newest first."""
    manifests = [
        (json.loads((folder / "manifest.json").read_text(encoding="utf-8")), folder)
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
        lines += [f"* seed {_listed(seeds['seed'])}, base seed {_listed(seeds['base_seed'])}"]
        lines += [f"* commit {commit[:10]}, {manifest['created']}", ""]
    write_atomically(reports_folder / "README.md", "\n".join(lines))


def _listed(seed: int | list[int]) -> str:
    return ", ".join(map(str, dict.fromkeys(seed))) if isinstance(seed, list) else str(seed)


def _figures(folder: Path) -> list[str]:
    """The figures of a version in lines."""
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
    counts = _verdicts(folder)
    if any(counts.values()):
        told = ", ".join(f"{number} {verdict}" for verdict, number in counts.items())
        figures.append(f"Claims of the papers: {told}")
    return figures


def _verdicts(folder: Path) -> dict[str, int]:
    """Number of the papers' claims with each verdict; {} for versions without a ledger."""
    file = folder / "claims.json"
    if not file.is_file():
        return {}
    found = json.loads(file.read_text(encoding="utf-8"))
    theirs = [c["verdict"] for c in found if not c["ours"] and not c["control"]]
    return {verdict: theirs.count(verdict) for verdict in VERDICTS}


def _named_folders(executed: Mapping[str, notebooks.Notebook]) -> Iterator[Path]:
    """The run folders that executed notebooks were given: a joint report's may lie anywhere."""
    cells = [cell for notebook in executed.values() for cell in notebook["cells"]]
    for cell in cells:
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            for text in re.findall(r'"(/[^"]+)"', "".join(cell["source"])):
                yield Path(text).parent if Path(text).name == RESOLVED else Path(text)


def _without_places(
    notebook: str, run_folder: Path, folders: Collection[Path], checkout: Path
) -> str:
    """An executed notebook without the paths of the machine that it ran on; folders: of runs."""
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
