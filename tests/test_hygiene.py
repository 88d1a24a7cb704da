import json

import pytest

from r1repro.config import ROOT
from tests import hygiene


@pytest.mark.parametrize(
    ("outputs", "count", "clean"), [([], None, True), ([{}], None, False), ([], 1, False)]
)
def test_a_notebook_is_kept_without_its_results(tmp_path, outputs, count, clean):
    cells = [
        {"cell_type": "markdown", "source": ""},
        {"cell_type": "code", "source": "", "outputs": outputs, "execution_count": count},
    ]
    file = tmp_path / "a.ipynb"
    file.write_text(json.dumps({"cells": cells}))
    found = list(hygiene.faults([file]))
    assert found == [] if clean else "a.ipynb has outputs or execution counts" in found[0]


def test_a_file_that_is_too_large_is_named_and_one_that_is_gone_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(hygiene, "LARGEST", 2**20)
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(bytes(2**20))
    large.write_bytes(bytes(2**20 + 2**19))
    (said,) = hygiene.faults([small, large, tmp_path / "gone"])
    assert said.startswith(f"{large} has 1.5 MB, and a file at most 1: ")


def test_no_file_of_the_library_is_longer_than_a_reader_wants():
    lengths = {
        str(file.relative_to(ROOT)): len(file.read_text(encoding="utf-8").splitlines())
        for file in (ROOT / "r1repro").rglob("*.py")
    }
    assert len(lengths) > 100
    assert [name for name, lines in lengths.items() if lines > 400] == []
