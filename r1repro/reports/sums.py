"""Checksums of a report's files, so that a modified one is found when it is read."""

from collections.abc import Iterable
from pathlib import Path

from r1repro import artifacts
from r1repro.errors import R1ReproError

SUMS = "SHA256SUMS"
"""In a report's folder: the sha256 of its files, as `sha256sum` writes and checks them."""


def write_sums(folder: Path, names: Iterable[str]) -> None:
    """Write the SHA256SUMS of these files, as far as the folder has them."""
    lines = [
        f"{artifacts.sha256(folder / name)}  {name}\n"
        for name in sorted(names)
        if (folder / name).is_file()
    ]
    artifacts.write_atomically(folder / SUMS, "".join(lines))


def check_sums(folder: Path) -> None:
    """Raise R1ReproError if a file in the folder's SHA256SUMS is missing or modified."""
    if not (folder / SUMS).is_file():
        return  # from before there were any
    remedy = "take the folder from where it was made, or rewrite it with `r1repro run`"
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        sums = {name: sha for sha, name in (line.split("  ", 1) for line in lines)}
    except ValueError as error:
        raise R1ReproError(f"{folder / SUMS} is damaged: {remedy}") from error
    for name, sha in sums.items():
        file = folder / name
        if not file.is_file() or artifacts.sha256(file) != sha:
            raise R1ReproError(f"{file} is missing or was modified: {remedy}")
