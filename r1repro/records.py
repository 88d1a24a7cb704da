"""Rows of anyone's file: JSON lines, a JSON list or Parquet, with errors that name the row."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from r1repro.errors import R1ReproError

SUFFIXES = (".jsonl", ".json", ".parquet")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows in order. Raises R1ReproError for another suffix, a missing file or a broken row."""
    if not path.is_file():
        raise R1ReproError(f"there is no file {path}: give a {', '.join(SUFFIXES)} file")
    if path.suffix not in SUFFIXES:
        raise R1ReproError(f"{path} is none of {', '.join(SUFFIXES)}: convert it to one of them")
    if path.suffix == ".parquet":
        from pyarrow import ArrowException, parquet

        try:
            for batch in parquet.ParquetFile(path).iter_batches():
                yield from batch.to_pylist()
        except ArrowException as error:
            raise R1ReproError(f"{path} is no Parquet file: {error}") from error
        return
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise R1ReproError(f"{path} is not written in UTF-8: {error}") from error
    if path.suffix == ".json":
        rows = _parsed(text, str(path))
        if not isinstance(rows, list):
            raise R1ReproError(f"{path} holds no list: a .json file is a list of objects")
        places = [(f"{path}, row {i}", row) for i, row in enumerate(rows)]
    else:
        # Not splitlines(): a completion may hold other characters that end a line.
        lines = enumerate(text.split("\n"), 1)
        places = [(f"{path}, line {i}", line) for i, line in lines if line.strip()]
    for place, row in places:
        row = _parsed(row, place) if path.suffix == ".jsonl" else row
        if not isinstance(row, dict):
            raise R1ReproError(f"{place} is no object: every row is one, with named fields")
        yield row


def field(row: dict[str, Any], name: str, place: str) -> Any:
    """A field of a row. Raises R1ReproError that lists those there are."""
    if name not in row:
        raise R1ReproError(f"{place} has no field {name}: it has {', '.join(row) or 'none'}")
    return row[name]


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise R1ReproError(f"{place} is no JSON: {error}") from error
