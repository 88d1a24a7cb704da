"""Figures as files, and pages with smaller images."""

import base64
import io
import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image


def write_figure(figure: Figure, path: Path) -> None:
    """Save as <path>.png, twice the size of a page's column, and as <path>.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "r1repro"}):  # the same data, the same file
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


FORMULA = 200
"""Largest width in pixels of an inline formula, whose size is kept."""


def lighter(page: str) -> str:
    """Convert a page's embedded PNG images to WebP at three quarters of their size.

    Together they then take a third of the bytes. Formulas keep their size.
    """

    def smaller(found: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
        if picture.width > FORMULA:
            size = (round(0.75 * picture.width), round(0.75 * picture.height))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, format="webp", quality=40, method=6)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\n]+)", smaller, page)
