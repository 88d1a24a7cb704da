"""Files of reports: figures, pages with smaller images, and what is said if some are missing."""

import base64
import io
import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from PIL import Image

from r1repro.errors import R1ReproError


def write_figure(figure: Figure, path: Path) -> None:
    """Save as <path>.png, twice the size of a page's column, and as <path>.svg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path.with_suffix(".png"), dpi=200, metadata={"Software": None})
    with matplotlib.rc_context({"svg.hashsalt": "r1repro"}):  # the same data, the same file
        figure.savefig(path.with_suffix(".svg"), metadata={"Date": None})


FORMULA = 200
"""Largest width in pixels of an inline formula, whose size is kept."""


def lighter(page: str) -> str:
    """Convert a page's embedded PNG images to WebP at seven tenths of their size.

    Together they then take a ninth of the bytes. Formulas keep their size.
    """

    def smaller(found: re.Match[str]) -> str:
        picture = Image.open(io.BytesIO(base64.b64decode(found[1]))).convert("RGB")
        if picture.width > FORMULA:
            size = (round(0.7 * picture.width), round(0.7 * picture.height))
            picture = picture.resize(size, Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        picture.save(buffer, format="webp", quality=30, method=6)
        return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")

    return re.sub(r"data:image/png;base64,([A-Za-z0-9+/=\n]+)", smaller, page)


def unreadable(folder: Path, error: Exception, wanted: str) -> R1ReproError:
    """The error for a folder of runs/ or reports/ without the files of a report.

    error: what reading them raised, OSError or ValueError; wanted: the folders that are accepted.
    """
    if not folder.is_dir():
        wrong = f"there is no folder {folder}"
    elif isinstance(error, FileNotFoundError):
        # Of a Parquet file the name is the whole message.
        wrong = f"{folder} has no {Path(str(error.filename or error)).name}"
    elif isinstance(error, OSError):
        wrong = f"{error.filename or folder} cannot be read ({error.strerror})"
    else:
        wrong = f"a file of {folder} is damaged ({' '.join(str(error).split())[:100]})"
    return R1ReproError(f"{wrong}: give {wanted}")
