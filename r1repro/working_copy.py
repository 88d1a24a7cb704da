"""A folder to work in without a clone: the settings, the notebooks and what the quickstart reads.

`conf/working_copy.txt` lists its parts; a wheel has them in r1repro/packed/ (setup.py).
"""

import shutil
from pathlib import Path

from r1repro.config import ROOT
from r1repro.config.groups import OWN as LIST
from r1repro.errors import R1ReproError

PACKED = Path(__file__).with_name("packed")


def write(folder: Path) -> list[str]:
    """Write a working copy; returns the names in it.

    Raises R1ReproError unless `folder` is new or empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise R1ReproError(f"{folder} is not empty: give a folder that is new or empty")
    source = PACKED if PACKED.is_dir() else ROOT
    left_out = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__")
    for part in (source / LIST).read_text(encoding="utf-8").split():
        target = folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if (source / part).is_dir():
            shutil.copytree(source / part, target, ignore=left_out)
        else:
            shutil.copyfile(source / part, target)
    return sorted(path.name for path in folder.iterdir())
