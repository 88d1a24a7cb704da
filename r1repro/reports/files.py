"""Reads the folder of a report, and tells if a file is missing, damaged or modified."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from r1repro import artifacts
from r1repro.errors import R1ReproError

SUMS = "SHA256SUMS"
"""The file of a report's folder with the sha256 of the others."""


@contextmanager
def reading(folder: Path, wanted: str) -> Iterator[None]:
    """Reads a report's files within it, then checks their sums; wanted: the folders accepted.

    Raises R1ReproError for an OSError or a ValueError, and as `check_sums` does.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        if not folder.is_dir():
            wrong = f"there is no folder {folder}"
        elif isinstance(error, FileNotFoundError):
            # Of a Parquet file the name is the whole message.
            wrong = f"{folder} has no {Path(str(error.filename or error)).name}"
        elif isinstance(error, OSError):
            wrong = f"{error.filename or folder} cannot be read ({error.strerror})"
        else:
            wrong = f"a file of {folder} is damaged ({' '.join(str(error).split())[:100]})"
        raise R1ReproError(f"{wrong}: give {wanted}") from error
    check_sums(folder)


def check_sums(folder: Path) -> None:
    """Raise R1ReproError if a file in SHA256SUMS, which old folders lack, differs or is missing."""
    wrong = artifacts.damage(folder / SUMS) if (folder / SUMS).is_file() else None
    if wrong is not None:
        remedy = "take the folder from where it was made, or rewrite it with `r1repro run`"
        raise R1ReproError(f"{wrong}: {remedy}")
