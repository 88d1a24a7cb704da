"""The notebooks of the lab: short cells, words first, and results without a run."""

import json
import re

import papermill
import pytest

from r1repro.config import ROOT
from r1repro.reports import notebooks
from tests.hygiene import faults
from tests.reports import in_process
from tests.test_notebooks import code_cells, text

LAB = sorted((ROOT / "notebooks" / "lab").glob("*.ipynb"))
named = pytest.mark.parametrize("path", LAB, ids=lambda path: path.stem)


@named
def test_source_is_clean(path):
    assert not list(faults([path]))
    cells = json.loads(path.read_text())["cells"]
    assert all(text(cell).count("\n") < 15 for cell in code_cells(path))
    assert cells[0]["cell_type"] == "markdown" and text(cells[0]).startswith("# ")
    headings = re.findall(r"^## (.+)$", "\n".join(map(text, cells)), re.M)
    assert headings[-2:] == ["What this shows", "Exercises"]
    assert len(re.findall(r"^\d\. ", text(cells[-1]), re.M)) == 2


@named
def test_it_runs_alone_and_says_what_it_found(path, tmp_path):
    overrides = ["scale=smoke", f"runs={tmp_path / 'runs'}"]
    takes = "overrides = []" in "\n".join(map(text, code_cells(path)))
    parameters = {"overrides": overrides} if takes else {}
    copy = tmp_path / "notebooks" / "lab" / path.name
    if path.stem == "why_rl":  # it builds a stage: in a kernel, which takes seconds to start
        copy.parent.mkdir(parents=True)
        papermill.execute_notebook(
            path, copy, parameters, kernel_name="python3", cwd=path.parent, progress_bar=False
        )
    else:
        in_process.execute(f"lab/{path.stem}", tmp_path, parameters)
    executed = json.loads(copy.read_text())
    page = notebooks.page(executed, path.stem)
    shown = page.partition('id="What-this-shows"')[2].partition('id="Exercises"')[0]
    assert len(re.sub(r"<[^>]+>", " ", shown).split()) > 60
    assert "nan" not in re.sub(r"<[^>]+>", " ", shown)
    first = page.partition("<h2")[0]
    assert "data:image/png" in first, "a picture on the first screen"
