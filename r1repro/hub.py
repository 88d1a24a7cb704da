"""Models and data sets of the Hugging Face hub as local folders.

A run reads only the hub's cache; `fetch` alone uses the network, so that a node without one fails
at once instead of after the hub's retries.
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from r1repro.errors import R1ReproError

PATTERNS = {
    "model": ["*.json", "*.safetensors", "*.txt", "*.model"],
    "dataset": ["*.json", "*.jsonl", "*.parquet", "*.csv", "*.md"],
}
"""Files downloaded from a repository: no code, and weights as safetensors only."""


def parts(named: str) -> tuple[str, str]:
    """Split NAME@REVISION into (repository, revision); NAME alone has revision main."""
    repository, _, revision = named.partition("@")
    return repository, revision or "main"


@lru_cache
def folder(named: str, kind: str) -> Path | None:
    """The cached snapshot of NAME or NAME@REVISION, a folder named by its commit.

    kind: "model" or "dataset". None if it is absent or incomplete. Raises R1ReproError for what
    cannot be a name on the hub.
    """
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        found = _snapshot(named, kind, local_files_only=True)
    except LocalEntryNotFoundError:  # or a file of the listing saved with the download is missing
        return None
    except HFValidationError as error:
        raise R1ReproError(
            f"{named} is neither a file or folder here nor a name on the hub: check the path, or "
            "give a name such as Qwen/Qwen2.5-0.5B"
        ) from error
    broken = (kind == "model" and missing_weights(found)) or damaged(found, parts(named)[0], kind)
    return None if broken else found


def _snapshot(named: str, kind: str, **options: Any) -> Path:
    from huggingface_hub import snapshot_download

    repository, revision = parts(named)
    patterns = PATTERNS[kind]
    return Path(
        snapshot_download(
            repository, repo_type=kind, revision=revision, allow_patterns=patterns, **options
        )
    )


def fetch(named: str, kind: str) -> Path:
    """The repository's folder, downloaded unless it is there; R1ReproError if that fails."""
    from huggingface_hub.constants import HF_HUB_CACHE

    folder.cache_clear()
    repository, revision = parts(named)
    wanted = f"the {kind} {repository} at revision {revision}"
    try:
        found = _snapshot(named, kind)
    except Exception as error:  # many types: no network, no such repository, licence not accepted
        reason = " ".join(str(error).split())[:100]
        raise R1ReproError(
            f"{wanted} could not be downloaded ({reason}): check its name and the network "
            f"(where there is one, `r1repro fetch` fills {HF_HUB_CACHE}), or give your own files "
            "with model.path= or task.path=; scale=laptop with the default model and task "
            "downloads nothing"
        ) from error
    if kind == "model" and (missing := missing_weights(found)):
        raise R1ReproError(
            f"{wanted} cannot be used: it has no {missing}; give one with config.json, "
            "tokenizer.json and safetensors, or a folder that you converted (model.path=FOLDER)"
        )
    if bad := damaged(found, repository, kind):
        raise R1ReproError(
            f"{wanted} is incomplete ({bad}): delete {found.parents[1]} and fetch it again"
        )
    return found


def missing_weights(place: Path) -> str:
    """What a model folder lacks first, as a noun, or ""; weights are safetensors."""
    for name in ("config.json", "tokenizer.json"):
        if not (place / name).is_file():
            return name
    index = place / "model.safetensors.index.json"
    if not index.is_file():
        return "" if (place / "model.safetensors").is_file() else "model.safetensors"
    try:
        listed = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        parts = {part: place / part for part in sorted(set(listed))}
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"readable {index.name}"
    return next((part for part, file in parts.items() if not file.is_file()), "")


def damaged(place: Path, repository: str, kind: str) -> str:
    """The first file of a snapshot whose size differs from the hub's listing, or "".

    Snapshots of older library versions have no listing: there it is the first empty file, dangling
    link or interrupted download.
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
