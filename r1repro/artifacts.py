"""Stage outputs on disk: content-addressed results, work folders and progress.

    runs/cache/<stage>-<key>/      a finished result, never written again
    runs/work/<stage>-<key>/       an unfinished stage with its checkpoints; survives a kill
    runs/replaced/                 results that were damaged or rebuilt

A work folder becomes a result by one rename, after all its files are synced to disk.
"""

import fcntl
import hashlib
import json
import os
import platform
import resource
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from r1repro.errors import R1ReproError

PACKAGES = (
    "r1repro torch transformers trl datasets accelerate peft tokenizers numpy pandas pyarrow "
    "hydra-core vllm unsloth bitsandbytes"
).split()
HASHED_BYTES = 8 * 2**20
"""Files up to this size are hashed on every load, which takes a few milliseconds."""


@dataclass(frozen=True)
class StageResult:
    """A finished stage: its folder and its manifest."""

    name: str
    key: str
    folder: Path
    manifest: Mapping[str, Any]

    def metrics(self):  # type: ignore[no-untyped-def]
        """metrics.parquet as a DataFrame, one row per step."""
        return renamed(self.table("metrics"))

    def completions(self):  # type: ignore[no-untyped-def]
        """The first completion to each question; the rest are in table("completions")."""
        rows = self.table("completions")
        return rows if "rest_of_group" not in rows else rows[~rows["rest_of_group"].eq(True)]

    def evaluation(self):  # type: ignore[no-untyped-def]
        """evaluation.parquet as a DataFrame, one row per problem and sample."""
        return self.table("evaluation")

    def table(self, name: str):  # type: ignore[no-untyped-def]
        """NAME.parquet as a DataFrame. Raises R1ReproError if the stage has none."""
        import pandas as pd

        file = self.folder / f"{name}.parquet"
        if not file.is_file():
            held = ", ".join(self.manifest["files"])
            raise R1ReproError(f"stage {self.name} has no {file.name}; its files are {held}")
        return pd.read_parquet(file)


def renamed(rows):  # type: ignore[no-untyped-def]
    """Training rows, of earlier versions too, with the names that evaluations use."""
    return rows.rename(
        columns={
            "clipped_completions": "clipped",
            "general_correct": "general/score",
            "reflection": "reflection_per_response",
        }
    )


Inputs = dict[str, StageResult]
"""The results of a stage's inputs, by their names."""
COMPLETE = "complete"
"""File of a checkpoint that `write_sums` writes last; without it the checkpoint is incomplete."""
FACTS = "facts.json"
"""File of a stage whose content enters its manifest."""


class Progress:
    """Appends a line per call to `folder`/progress.jsonl.

    With folder=None it writes nothing: only the first process of a stage gets a folder.
    """

    def __init__(self, folder: Path | None) -> None:
        self._path = None if folder is None else folder / "progress.jsonl"
        self._started = time.time()
        if self._path is not None:
            drop_torn_line(self._path)

    @property
    def writes(self) -> bool:
        """Whether this process writes the stage's files."""
        return self._path is not None

    def update(self, step: int, total: int, **figures: float) -> None:
        """Record that `step` of `total` are done; `figures` are displayed in the given order."""
        if self._path is None:
            return
        line = {
            "started": self._started,
            "time": time.time(),
            "step": step,
            "total": total,
            "memory": _peak_memory(),
            "figures": {name: float(value) for name, value in figures.items()},
        }
        # A single append, so that a reader never sees interleaved lines.
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def drop_torn_line(path: Path) -> None:
    """Drop what a kill left of a file's last line."""
    with suppress(FileNotFoundError), path.open("rb+") as file:
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)


def _peak_memory() -> int:
    """The most bytes that this process has held: of GPU memory if it has used a GPU."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        return int(torch.cuda.max_memory_allocated())
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib if sys.platform == "darwin" else kib * 1024


def read_progress(folder: Path, ends: bool = False) -> list[dict[str, Any]]:
    """The lines of progress.jsonl in order, without truncated ones.

    ends: only the first and the last line of each session, which give its pace. The runner asks for
    them twice a second, and parses no other line.
    """
    try:
        lines = (folder / "progress.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    except FileNotFoundError:
        return []
    if ends:
        sessions = [[*of_one] for _, of_one in groupby(lines, lambda line: line.partition(",")[0])]
        lines = [line for session in sessions for line in (session[0], *session[1:][-1:])]
    found = []
    for line in lines:
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


def digest(value: Any) -> str:
    """sha256 of plain data as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def result_folder(runs: Path, name: str, key: str) -> Path:
    """Folder of the finished result with this key."""
    return runs / "cache" / f"{name}-{key[:12]}"


def work_folder(runs: Path, name: str, key: str) -> Path:
    """Folder in which the result with this key is built."""
    return runs / "work" / f"{name}-{key[:12]}"


def load(runs: Path, name: str, key: str, whole: bool = False) -> StageResult | None:
    """The finished result, or None if there is none.

    Raises Damaged if the folder does not match its manifest: files up to HASHED_BYTES are compared
    by sha256, larger ones, such as a large model's weights, by size.
    whole: compare all by sha256, about a second per gigabyte.
    """
    folder = result_folder(runs, name, key)
    if not folder.exists():
        return None
    return StageResult(name, key, folder, _verified(folder, key, whole))


class Damaged(R1ReproError):
    """A result is incomplete or modified, or its inputs have been replaced."""


def _verified(folder: Path, key: str, whole: bool = False) -> dict[str, Any]:
    advice = "it is not used: rebuild it, or delete the folder"
    what = f"the result {folder}"
    try:
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        manifest = json.loads(text)
        files: dict[str, dict[str, Any]] = manifest["files"]
        rest = {name: value for name, value in manifest.items() if name != "sum"}
        if text != _written(manifest) or manifest["sum"] != _sum(rest):
            raise Damaged(f"manifest.json of {what} was modified after it was written; {advice}")
        if manifest["key"] != key:
            raise Damaged(f"{what} belongs to another key; {advice}")
        for name, entry in files.items():
            size, wanted = (folder / name).stat().st_size, entry["bytes"]
            if size != wanted:
                raise Damaged(f"{name} in {what} has {size} bytes instead of {wanted}; {advice}")
            hashed = whole or size <= HASHED_BYTES
            if hashed and sha256(folder / name) != entry["sha256"]:
                raise Damaged(f"{name} in {what} was modified after it was written; {advice}")
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).relative_to(folder)
        raise Damaged(f"{what} has no {missing}; {advice}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{what} has an unreadable manifest.json; {advice}") from error
    return manifest


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write a result's manifest.json, with its own checksum as `sum`."""
    write_atomically(folder / "manifest.json", _written({**manifest, "sum": _sum(manifest)}))


def _sum(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_written(manifest).encode()).hexdigest()


def _written(manifest: Mapping[str, Any]) -> str:
    return json.dumps(manifest, indent=1) + "\n"


def sha256(file: Path) -> str:
    """sha256 of a file's content."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_sums(file: Path, names: Iterable[str]) -> None:
    """Write the sha256 of files beside `file`, as `sha256sum` writes and checks them."""
    others = sorted(name for name in names if name != file.name)
    lines = [f"{sha256(file.parent / name)}  {name}\n" for name in others]
    write_atomically(file, "".join(lines))


def damage(file: Path) -> str | None:
    """What differs from a file of `write_sums`; None if nothing does."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        sums = {name: sha for sha, name in (line.split("  ", 1) for line in lines)}
    except (OSError, ValueError):
        return f"{file} is unreadable"
    if not sums:
        return f"{file} lists nothing"
    for name, sha in sums.items():
        listed = file.parent / name
        if not listed.is_file() or sha256(listed) != sha:
            return f"{listed} is missing or was modified"
    return None


def files_in(folder: Path) -> list[str]:
    """The files of a folder and those below it, relative to it."""
    return sorted(f.relative_to(folder).as_posix() for f in folder.rglob("*") if f.is_file())


def set_aside(folder: Path, runs: Path) -> Path:
    """Move a result or work folder to runs/replaced/; returns its new path."""
    moved = runs / "replaced" / f"{folder.parent.name}-{folder.name}-{time.time_ns()}"
    moved.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(moved)
    return moved


def is_complete(folder: Path, key: str) -> bool:
    """Whether a work folder is finished and only has to be renamed."""
    with suppress(Damaged):
        return bool(_verified(folder, key))
    return False


def checkpoints(folder: Path) -> dict[int, Path]:
    """The complete checkpoints in a work folder, by step, the newest first."""
    found = (folder / "checkpoints").glob(f"checkpoint-*/{COMPLETE}")
    steps = {int(file.parent.name.split("-")[1]): file.parent for file in found}
    return dict(sorted(steps.items(), reverse=True))


def publish(folder: Path, runs: Path, name: str, key: str, facts: Mapping[str, Any]) -> None:
    """Turn a finished work folder into the result: write the manifest, drop checkpoints, rename.

    A kill at any point leaves either a resumable work folder or the complete result.
    """
    if not is_complete(folder, key):
        files = {}
        for part in files_in(folder):
            # The log is still open, and checkpoints are deleted below.
            if part.startswith("checkpoints/") or part in ("log.txt", "manifest.json"):
                continue
            sync(folder / part)
            size = (folder / part).stat().st_size
            files[part] = {"bytes": size, "sha256": sha256(folder / part)}
        write_manifest(folder, {"key": key, "stage": name, **facts, "files": files})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    final = result_folder(runs, name, key)
    final.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(final)
    sync(final.parent)


def write_atomically(path: Path, text: str) -> None:
    """Write a file so that it has either its old or its new content, even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """Write a file or a folder's list of names to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path) -> Iterator[TextIO | None]:
    """Hold the lock file, or yield None if another process does; the file contains its pid.

    The operating system releases the lock when every process that has the file open has ended.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield file


def versions() -> dict[str, str]:
    """Versions of Python and of PACKAGES, for a manifest."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def hardware() -> dict[str, Any]:
    """This process's hardware, for a manifest; GPUs and instructions only if torch is imported."""
    linux = hasattr(os, "sched_getaffinity")
    found: dict[str, Any] = {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if linux else os.cpu_count(),
    }
    torch = sys.modules.get("torch")
    if torch is not None:
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        found["gpus"] = [torch.cuda.get_device_name(i) for i in range(count)]
        found["threads"] = torch.get_num_threads()
        # Processors of the same name may differ in these, and sums then round differently.
        found["instructions"] = torch.backends.cpu.get_cpu_capability()
    return found


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()
