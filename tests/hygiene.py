"""`python -m tests.hygiene FILE...`: what no commit may hold. Exit code 1, with a line a fault."""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGEST = 4 * 2**20
"""Bytes that a file may have: it stays in the history for ever."""


def faults(files: Iterable[Path]) -> Iterator[str]:
    """One sentence a fault: files that are too large, notebooks that were saved with results.

    What is no file is passed over: git lists what was deleted, too.
    """
    for file in filter(Path.is_file, files):
        size = file.stat().st_size
        if size > LARGEST:
            yield (
                f"{file} has {size / 2**20:.1f} MB, and a file at most {LARGEST / 2**20:.0f}: "
                "make it smaller, or leave it out"
            )
        elif file.suffix == ".ipynb":
            cells = json.loads(file.read_text(encoding="utf-8"))["cells"]
            if any(cell.get("outputs") or cell.get("execution_count") for cell in cells):
                yield f"{file} has outputs or execution counts: clear them, and save it again"


if __name__ == "__main__":
    found = list(faults(map(Path, sys.argv[1:])))
    for fault in found:
        print(fault, file=sys.stderr)
    sys.exit(bool(found))
