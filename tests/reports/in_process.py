"""Executes a notebook in this process: no kernel has to start, and what is patched here holds."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import select_figure_formats
from IPython.utils.capture import capture_output

from r1repro.config import ROOT


def execute(name: str, folder: Path, parameters: Mapping[str, Any]) -> None:
    """An `r1repro.reports.report.Execute`."""
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    before = sys.modules["__main__"]
    shell = InteractiveShell.instance()
    sys.modules["__main__"] = before  # which a shell replaces, and processes of other tests ask for
    shell.reset(new_session=True)
    select_figure_formats(shell, {"png"})
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            continue
        with shell.display_trap, capture_output() as captured:
            shell.run_cell("".join(cell["source"])).raise_error()
        if "parameters" in cell["metadata"].get("tags", []):
            shell.push(dict(parameters))
        cell["outputs"] = [
            nbformat.v4.new_output("display_data", each.data, metadata=each.metadata)
            for each in captured.outputs
        ]
        if captured.stdout:
            cell["outputs"].insert(0, nbformat.v4.new_output("stream", text=captured.stdout))
    executed = folder / "notebooks" / f"{name}.ipynb"
    executed.parent.mkdir(parents=True, exist_ok=True)
    executed.write_text(json.dumps(notebook), encoding="utf-8")
