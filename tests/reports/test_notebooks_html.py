import base64
import io
import json
import re

import numpy as np
from PIL import Image

from r1repro.config import ROOT
from r1repro.reports import notebooks
from r1repro.reports.notebooks import PNG
from r1repro.reports.versions import lighter
from tests.reports.test_report import Page


def picture() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format="png")
    return buffer.getvalue()


def notebook(*outputs: dict, markdown: str = "# Title") -> dict:
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": markdown},
        {
            "cell_type": "code", "id": "b", "metadata": {}, "source": "print('x < y')",
            "execution_count": 1,
            "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}
                        for data in outputs],
        },
    ]  # fmt: skip
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_pictures_of_a_page_become_lighter_and_the_rest_stays():
    drawn = base64.b64encode(picture()).decode()
    before = notebooks.page(notebook({"image/png": drawn}, markdown="# $x < y$"), "nb")
    after = lighter(before)
    assert len(after) < len(before) - len(drawn) / 2
    split = re.compile(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=\n]+")
    assert split.split(after) == split.split(before) and before.count(PNG) == 2
    pictures = re.findall(r"data:image/webp;base64,([A-Za-z0-9+/=]+)", after)
    sizes = [Image.open(io.BytesIO(base64.b64decode(each))).size for each in pictures]
    assert len(sizes) == 2 and (80, 60) in sizes


def test_the_page_is_whole_and_asks_for_nothing():
    shown = {"text/html": "<b>bold</b>", "text/plain": "bold"}
    drawn = {"image/png": base64.b64encode(picture()).decode()}
    html = notebooks.page(
        notebook(shown, drawn, markdown="# A title\n\nwith $\\Big(x\\Big)$ in it"), "nb"
    )
    page = Page(html)
    assert "script" not in page.tags and page.tags.count("img") == 2
    assert all(a.startswith(("data:", "#")) for a in page.addresses)
    assert (
        page.addresses.count("data:,") == 1 and sum(a.startswith(PNG) for a in page.addresses) == 2
    )
    text = "".join(page.text)
    assert "A title" in text and "bold" in text and "x < y" in text
    assert 'alt="\\Big(x\\Big)"' in html and "$" not in text.split("print")[0]


def test_every_formula_of_ours_can_be_drawn():
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        Page(notebooks.page(json.loads(file.read_text(encoding="utf-8")), file.stem))


def test_a_script_in_an_output_does_not_run():
    html = notebooks.page(notebook({"text/html": "<script>alert(1)</script>"}), "nb")
    assert "Content-Security-Policy" in html and "default-src 'none'" in html
