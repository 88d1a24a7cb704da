"""The Hugging Face hub as folders on this machine: what is there, and what has to be fetched.

A run reads from the hub's cache only; `fetch` is the one place that uses the network. So a node
without a network fails at once, and not after the hub's own retries.
"""

import json
import os
from functools import lru_cache
from pathlib import Path

from r1repro.errors import R1ReproError

PATTERNS = {
    "model": ["*.json", "*.safetensors", "*.txt", "*.model"],
    "dataset": ["*.json", "*.jsonl", "*.parquet", "*.csv", "*.md"],
}
"""What is taken of a repository: no code, and weights as safetensors only."""


def parts(named: str) -> tuple[str, str]:
    """(repository, revision) of NAME@REVISION, or of NAME alone, whose revision is main."""
    repository, _, revision = named.partition("@")
    return repository, revision or "main"


@lru_cache
def folder(named: str, kind: str) -> Path | None:
    """The fetched copy of a repository, named as in `parts`; None if it is not whole.

    kind: "model" or "dataset". The folder's name is the commit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    repository, revision = parts(named)
    try:  # it refuses what lacks a file of the listing that a download leaves beside it
        found = Path(
            snapshot_download(
                repository,
                repo_type=kind,
                revision=revision,
                allow_patterns=PATTERNS[kind],
                local_files_only=True,
            )
        )
    except LocalEntryNotFoundError:
        return None
    if kind == "model" and missing_weights(found):
        return None
    return None if damaged(found, repository, kind) else found


def model_folder(path: str | None, named: str | None) -> Path:
    """The folder of a model: `path`, or its fetched copy; R1ReproError if it is not here."""
    if path is not None:
        return Path(path).expanduser()
    found = folder(str(named), "model")
    if found is None:
        raise R1ReproError(
            f"the model {named} is not on this machine: `r1repro fetch` with the same "
            "settings brings it where there is a network, and a folder of your own may be named "
            "instead (model.path, student.qwen.path, student.llama.path, student.teacher)"
        )
    return found


def fetch(named: str, kind: str) -> Path:
    """Bring the repository into the hub's cache, or find it there.

    Raises R1ReproError that says what was wanted and why it failed.
    """
    from huggingface_hub import snapshot_download

    folder.cache_clear()
    repository, revision = parts(named)
    wanted = f"the {kind} {repository} at revision {revision}"
    try:
        found = Path(
            snapshot_download(
                repository, repo_type=kind, revision=revision, allow_patterns=PATTERNS[kind]
            )
        )
    except Exception as error:  # no network, no such repository, a licence not accepted: many kinds
        reason = " ".join(str(error).split())[:100]
        raise R1ReproError(
            f"{wanted} is not here and cannot be had ({reason}): r1repro fetch brings it where "
            f"there is a network, into {cache()}; model.path= and task.path= take your own, and "
            "scale=laptop with the default model and task needs none"
        ) from error
    if kind == "model" and (missing := missing_weights(found)):
        raise R1ReproError(f"{wanted} is of no use here: it has no {missing}")
    if bad := damaged(found, repository, kind):
        raise R1ReproError(
            f"{wanted} is not whole ({bad}): delete {found.parents[1]} and fetch it again, "
            "where there is a network"
        )
    return found


def missing_weights(place: Path) -> str:
    """The first file that a model folder lacks, "" if it has all; weights are safetensors."""
    for name in ("config.json", "tokenizer.json"):
        if not (place / name).is_file():
            return name
    index = place / "model.safetensors.index.json"
    if not index.is_file():
        return "" if (place / "model.safetensors").is_file() else "model.safetensors"
    parts = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    return next((part for part in parts if not (place / part).is_file()), "")


def damaged(place: Path, repository: str, kind: str) -> str:
    """The first file of a snapshot that is not as long as at the hub, "" if all are as long.

    What an older library fetched has no listing of its commit beside it: there no file may be empty
    or a link to nothing, and no download may have been broken off.
    """
    from huggingface_hub import get_cached_repo_tree
    from huggingface_hub.errors import CachedRepoTreeNotFoundError
    from huggingface_hub.utils import filter_repo_objects

    sizes: dict[str, int | None]
    try:
        listed = get_cached_repo_tree(repository, repo_type=kind, revision=place.name)
        sizes = {file.path: file.size for file in listed}
    except CachedRepoTreeNotFoundError:
        for begun in (place.parents[1] / "blobs").glob("*.incomplete"):
            return begun.name
        found = (path for path in place.rglob("*") if not path.is_dir())
        sizes = {path.relative_to(place).as_posix(): None for path in found}
    names = sorted(filter_repo_objects(sizes, allow_patterns=PATTERNS[kind]))
    for name in names:
        size = (place / name).stat().st_size if (place / name).is_file() else None
        if size is None or (size == 0 if sizes[name] is None else size != sizes[name]):
            return name
    return "" if names else "no file"


def cache() -> Path:
    """Where the hub keeps what was fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(os.path.expanduser(HF_HUB_CACHE))
