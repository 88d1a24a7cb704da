"""Reads rows of JSON lines, a JSON list or Parquet; its errors name the row."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from r1repro.errors import R1ReproError, offered

SUFFIXES = (".jsonl", ".json", ".parquet")
_LINES = (".jsonl", ".ndjson", ".jsonlines")
_BOM = "\ufeff"
_POINTER = b"version https://git-lfs"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yields (number, row) in order, counted from 1; of JSON lines the number of the line.

    A .json file may hold lines and a .jsonl file a list. Raises R1ReproError for another suffix, a
    missing or empty file or a malformed row.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise R1ReproError(f"there is no file {path}: give a {', '.join(SUFFIXES)} file")
    if suffix not in (*SUFFIXES, *_LINES):
        packed = suffix in (".gz", ".zst", ".xz", ".zip")
        remedy = "unpack it first" if packed else "convert it to one"
        raise R1ReproError(f"{path} is not a {', '.join(SUFFIXES)} file: {remedy}")
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise R1ReproError(
                f"{path} is a Git LFS pointer and holds no data: fetch it with `git lfs pull`"
            )
    empty = True
    for number, row in _parquet(path) if suffix == ".parquet" else _json(path):
        if not isinstance(row, dict):
            raise R1ReproError(
                f"{path}, row {number} is not a JSON object: give every row named fields"
            )
        empty = False
        yield number, row
    if empty:
        raise R1ReproError(f"{path} holds no rows: give a file with at least one")


def field(row: dict[str, Any], name: str, place: str) -> Any:
    """A field of a row, also a nested one such as reward_model.ground_truth; else R1ReproError."""
    value: Any = row
    for part in [name] if name in row else name.split("."):
        if not isinstance(value, dict) or part not in value:
            known = offered(name, row, "the row has") or "none"
            raise R1ReproError(f"{place} has no field {name}: its fields are {known}")
        value = value[part]
    return value


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        batches = parquet.ParquetFile(path).iter_batches()
        yield from enumerate((row for batch in batches for row in batch.to_pylist()), 1)
    except ArrowException as error:
        raise R1ReproError(f"{path} is not a Parquet file: {error}") from error


def _json(path: Path) -> Iterator[tuple[int, Any]]:
    text = _decoded(path)
    begins, listed = text.lstrip()[:1], path.suffix.lower() == ".json"
    whole = None
    if begins == "[" or (begins == "{" and listed):
        try:
            whole = json.loads(text)
        except ValueError as error:
            # JSON lines end after the first row; anything else is an error of a list.
            if not str(error).startswith("Extra data"):
                raise _malformed(path, text, error) from error
    if isinstance(whole, list) and (listed or all(isinstance(row, dict) for row in whole)):
        yield from enumerate(whole, 1)
    elif isinstance(whole, dict) and "\n{" not in text.strip():
        # One object holds no rows that can be told apart safely.
        lists = [name for name, value in whole.items() if isinstance(value, list)]
        what = f"the list in its field {lists[0]} alone" if len(lists) == 1 else "a list of objects"
        raise R1ReproError(f"{path} is not a JSON list but one object: give {what}")
    else:
        yield from _lines(path, text)


def _lines(path: Path, text: str) -> Iterator[tuple[int, Any]]:
    # Not splitlines(), which also splits at characters that JSON strings may contain.
    if "\n" not in text.strip():
        text = text.replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if line := line.strip().lstrip(_BOM):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise _malformed(path, text, error, number) from error
            yield number, row


def _malformed(path: Path, text: str, error: ValueError, number: int = 0) -> R1ReproError:
    """What is wrong with a file that holds no valid JSON; number: of the row, if it has lines."""
    text = text.strip()
    if text[:20].lower().startswith(("<!doctype", "<html")):
        return R1ReproError(f"{path} is a web page and holds no data: download the file again")
    if number == 1 and text.startswith("{") and "\n" in text:
        with suppress(ValueError):
            json.JSONDecoder().raw_decode(text)
            return R1ReproError(
                f"{path} holds JSON objects over several lines: write one object a line"
            )
    place = f"{path}, row {number}" if number else str(path)
    return R1ReproError(f"{place} is not valid JSON: {error}")


def _decoded(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(_UTF16) and len(data) % 2 == 0 and b"\x00" in data:
        raise R1ReproError(f"{path} is not encoded in UTF-8 but in UTF-16: convert it to UTF-8")
    try:
        return data.decode("utf-8").lstrip(_BOM)
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise R1ReproError(
            f"{path} is not encoded in UTF-8, from row {row} on: convert it ({error.reason})"
        ) from error
