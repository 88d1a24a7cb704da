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


@lru_cache
def folder(repository: str, kind: str, revision: str) -> Path | None:
    """The repository's newest fetched copy of that revision, None if it is not whole.

    kind: "model" or "dataset". Its name is the commit.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
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
    return found if kind == "dataset" or not missing_weights(found) else None


def model_folder(path: str | None, repository: str | None, revision: str) -> Path:
    """The folder of a model: `path`, or its fetched copy; R1ReproError if it is not here."""
    if path is not None:
        return Path(path).expanduser()
    found = folder(str(repository), "model", revision)
    if found is None:
        raise R1ReproError(
            f"the model {repository} is not on this machine: `r1repro fetch` with the same "
            "settings brings it where there is a network, and model.path=FOLDER takes your own"
        )
    return found


def fetch(repository: str, kind: str, revision: str) -> Path:
    """Bring the repository into the hub's cache, or find it there.

    Raises R1ReproError that says what was wanted and why it failed.
    """
    from huggingface_hub import snapshot_download

    folder.cache_clear()
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


def cache() -> Path:
    """Where the hub keeps what was fetched."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(os.path.expanduser(HF_HUB_CACHE))
