"""Executed notebooks as HTML pages."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import nbformat
from markupsafe import Markup, escape
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from pygments.formatters import HtmlFormatter

from r1repro.artifacts import write_atomically
from r1repro.reports.html import PNG, environment

Notebook = dict[str, Any]
_SIZES = re.compile(r"\\[Bb]igg?(?![A-Za-z])")  # mathtext knows none
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)


def page(notebook: Notebook, name: str) -> str:
    """A notebook as one self-contained HTML page without scripts; formulas become images."""
    found = nbformat.reads(json.dumps(notebook), as_version=4)
    for cell in found.cells:
        if cell.cell_type == "markdown":
            cell.source = _FORMULA.sub(_drawn, cell.source)
    exporter = HTMLExporter(template_name="basic", exclude_input_prompt=True,
                            exclude_output_prompt=True)  # fmt: skip
    body, _ = exporter.from_notebook_node(found)
    style = HtmlFormatter(style="default").get_style_defs(".highlight")
    template = environment().get_template("notebook.html.j2")
    return template.render(title=name, body=Markup(body), style=Markup(style))


def write_pages(folder: Path) -> dict[str, str]:
    """Write a page for every executed notebook of a folder; returns {file name: title}."""
    titles = {}
    for file in sorted(folder.glob("*.ipynb")):
        if "." in file.stem:  # a failed or running copy
            continue
        notebook = json.loads(file.read_text(encoding="utf-8"))
        write_atomically(file.with_suffix(".html"), page(notebook, file.stem))
        titles[file.with_suffix(".html").name] = _title(notebook) or file.stem
    return titles


def _title(notebook: Notebook) -> str:
    """The first heading, up to a colon or comma; "" without one."""
    sources = ("".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "markdown")
    headings = (re.match(r"# ([^:,\n]+)", source) for source in sources)
    return next((found[1].strip() for found in headings if found), "")


def _drawn(found: re.Match[str]) -> str:
    """A formula as an image with its source as alternative text."""
    block, inline = found.groups()
    written = " ".join((block or inline).split())
    buffer = io.BytesIO()
    math_to_image(f"${_SIZES.sub('', written)}$", buffer, dpi=220, format="png")
    source = PNG + base64.b64encode(buffer.getvalue()).decode("ascii")
    return str(
        Markup('<img class="{}" alt="{}" src="{}">').format(
            "formula" if block else "inline", escape(written), source
        )
    )
