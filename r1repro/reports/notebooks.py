"""Executed notebooks as HTML pages, the last of which is the report."""

import base64
import io
import json
import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import nbformat
from markupsafe import Markup
from matplotlib.mathtext import math_to_image
from nbconvert.exporters import HTMLExporter
from pygments.formatters import HtmlFormatter

from r1repro.runner.sequence import LAB_ARTICLE

Notebook = dict[str, Any]
PNG = "data:image/png;base64,"
TEMPLATES = Path(__file__).parent / "templates"
_SIZES = re.compile(r"\\[Bb]igg?(?![A-Za-z])")  # mathtext knows none
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)


def executed(folder: Path) -> dict[str, Notebook]:
    """The executed notebooks of a run's folder by name, in order; the report is the last."""
    found = (folder / "notebooks").glob("*.ipynb")
    return {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(found, key=lambda file: (file.stem == LAB_ARTICLE, file))
        if "." not in file.stem  # not a failed or running copy
    }


def pages(found: Mapping[str, Notebook]) -> dict[str, str]:
    """The pages of a run's notebooks by file: notebooks/NAME.html, and report.html of the last."""
    files = dict.fromkeys(found, "report.html")
    files |= {name: f"notebooks/{name}.html" for name in list(found)[:-1]}
    titles = {name: _title(notebook) or name for name, notebook in found.items()}
    names, written = list(found), {}
    for i, (name, notebook) in enumerate(found.items()):
        folder = posixpath.dirname(files[name]) or "."
        links = {other: posixpath.relpath(file, folder) for other, file in files.items()}
        near = {names[i - 1]: "Before"} if i else {}
        near |= dict.fromkeys(names[i + 1 : i + 2], "Next") | {names[-1]: "The report"}
        others = [(near.get(o, ""), links[o], titles[o]) for o in names if o != name]
        written[files[name]] = _linked(page(notebook, titles[name], others), links)
    return written


def page(notebook: Notebook, title: str, pages: Sequence[tuple[str, str, str]] = ()) -> str:
    """A notebook as a self-contained HTML page without scripts; formulas become images.

    pages: words (or ""), link and title of the other pages.
    """
    found = nbformat.reads(json.dumps(notebook), as_version=4)
    found.cells = _shown(found.cells)
    contents = []
    for cell in found.cells:
        if cell.cell_type == "markdown":
            cell.source = _FORMULA.sub(_drawn, cell.source)
            contents += re.findall(r"^## (.+)$", cell.source, re.MULTILINE)
    exporter = HTMLExporter(
        template_name="article", extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True, exclude_output_prompt=True,
    )  # fmt: skip
    # whether the outputs of a cell are folded with its source
    exporter.register_filter("setup", lambda cell: _tagged(cell, "parameters", "setup"))
    asked = {
        "title": title,
        "contents": [(heading.replace(" ", "-"), heading) for heading in contents],
        "pages": pages,
        "style": HtmlFormatter(style="default").get_style_defs(".highlight"),
    }
    body: str = exporter.from_notebook_node(found, {"page": asked})[0]
    return body


def _shown(cells: Sequence[Any]) -> list[Any]:
    """The cells of a page.

    A section whose heading has the tag "optional" is left out if none of its cells shows anything.
    A cell with the tag "caption" is the caption of the figure before it.
    """
    sections: list[list[Any]] = [[]]
    for cell in cells:
        if cell.cell_type == "markdown" and cell.source.startswith("#"):
            sections.append([])
        sections[-1].append(cell)
    kept: list[Any] = []
    for section in sections:
        empty = not any(cell.get("outputs") for cell in section)
        if empty and section and _tagged(section[0], "optional"):
            continue
        for cell in section:
            if not _tagged(cell, "caption"):
                kept.append(cell)
            elif kept[-1].get("outputs"):
                kept[-1].metadata["caption"] = cell.source
    return kept


def _tagged(cell: Any, *tags: str) -> bool:
    return not {*tags}.isdisjoint(cell.metadata.get("tags", ()))


def _linked(text: str, links: Mapping[str, str]) -> str:
    """Links to notebooks as links to their pages, or as text if there is no page."""

    def link(found: re.Match[str]) -> str:
        name, words = found.groups()
        return f'<a href="{links[name]}">{words}</a>' if name in links else words

    return re.sub(r'<a href="(\w+)\.ipynb">(.*?)</a>', link, text)


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
    image = Markup('<img class="{}" alt="{}" src="{}">')
    return str(image.format("formula" if block else "inline", written, source))
