"""Checksums of a report's files, so that a modified one is found when it is read."""

from pathlib import Path

from r1repro import artifacts
from r1repro.errors import R1ReproError

SUMS = "SHA256SUMS"
"""In a report's folder: the sha256 of its files."""


def check_sums(folder: Path) -> None:
    """Raise R1ReproError if a file in the folder's SHA256SUMS is missing or modified.

    Folders from before there were any have none.
    """
    wrong = artifacts.damage(folder / SUMS) if (folder / SUMS).is_file() else None
    if wrong is not None:
        remedy = "take the folder from where it was made, or rewrite it with `r1repro run`"
        raise R1ReproError(f"{wrong}: {remedy}")
