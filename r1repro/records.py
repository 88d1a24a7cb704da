"""Reads rows of JSON lines, a JSON list or Parquet, with errors that name the row."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1repro.errors import R1ReproError, offered

SUFFIXES = (".jsonl", ".json", ".parquet")


def read(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number, row) in order, counted from 1; for JSON lines the line number.

    Raises R1ReproError for another suffix, a missing file or a malformed row.
    """
    if not path.is_file():
        raise R1ReproError(f"there is no file {path}: give a {', '.join(SUFFIXES)} file")
    if path.suffix not in SUFFIXES:
        raise R1ReproError(f"{path} is not a {', '.join(SUFFIXES)} file: convert it to one")
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        try:
            batches = parquet.ParquetFile(path).iter_batches()
            yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
        except ArrowException as error:
            raise R1ReproError(f"{path} is not a Parquet file: {error}") from error
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise R1ReproError(f"{path} is not encoded in UTF-8: {error}") from error
    if path.suffix == ".json":
        rows = _parsed(text, str(path))
        if not isinstance(rows, list):
            raise R1ReproError(f"{path} is not a JSON list: a .json file holds a list of objects")
        numbered = list(enumerate(rows, 1))
    else:
        # Not splitlines(), which also splits at characters that JSON strings may contain.
        lines = enumerate(text.split("\n"), 1)
        numbered = [(number, line) for number, line in lines if line.strip()]
    for number, row in numbered:
        place = f"{path}, row {number}"
        row = _parsed(row, place) if path.suffix == ".jsonl" else row
        if not isinstance(row, dict):
            raise R1ReproError(f"{place} is not a JSON object: give every row named fields")
        yield number, row


def field(row: dict[str, Any], name: str, place: str) -> Any:
    """A field of a row. Raises R1ReproError, which lists the row's fields, if it is missing."""
    if name not in row:
        known = offered(name, row, "the row has") or "none"
        raise R1ReproError(f"{place} has no field {name}: its fields are {known}")
    return row[name]


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise R1ReproError(f"{place} is not valid JSON: {error}") from error
