"""R1-Zero and R1 of the mini world as they come with a checkout, to ask without training.

`checkpoints/` has a zip of each, in Hugging Face format and bfloat16 with its origin, and
SHA256SUMS. These are the only weights in the repository.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pandas as pd
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from r1repro import artifacts, code_marks
from r1repro.answers import answers
from r1repro.config import ROOT, Config, compose
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.runner.workspace import Workspace
from r1repro.stages.models import load_model, load_tokenizer

# Otherwise every model that a cell loads leaves a progress bar in the page.
logging.disable_progress_bar()
FOLDER = ROOT / "checkpoints"
NAMES = ("r1_zero", "r1")
ORIGIN, SUMS = "origin.json", "SHA256SUMS"


@dataclass(frozen=True)
class Shipped:
    """A checkpoint with its tokenizer; origin: scale, seeds, commit, its template."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    origin: Mapping[str, Any]

    def ask(
        self, question: str, n: int = 16, answer: str | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """`n` answers with their rewards and advantages; see `r1repro.answers`."""
        settings, template = compose().stage.r1_zero, str(self.origin["template"])
        return answers(self.model, self.tokenizer, template, question, settings, n, answer, seed)


def load(name: str, folder: Path = FOLDER) -> Shipped:
    """The checkpoint of that name. Raises R1ReproError for another, or for a damaged folder."""
    if name not in NAMES:
        raise R1ReproError(f"no checkpoint {name} comes with r1repro: give {' or '.join(NAMES)}")
    if wrong := artifacts.damage(folder / SUMS):
        raise R1ReproError(f"{wrong}: restore the folder from the repository")
    with TemporaryDirectory() as place:
        shutil.unpack_archive(folder / f"{name}.zip", place)
        unpacked = Path(place)
        origin = json.loads((unpacked / ORIGIN).read_text(encoding="utf-8"))
        return Shipped(name, load_model(unpacked).eval(), load_tokenizer(unpacked), origin)


def write(config: Config, folder: Path = FOLDER) -> Sequence[Path]:
    """Write the checkpoints of a run; returns the zips. Raises R1ReproError if one is not built."""
    space, made = Workspace(config), []
    git = code_marks.git_state(ROOT)  # before the first zip changes it
    folder.mkdir(exist_ok=True)
    for name in NAMES:
        result = space.load(name, whole=True)
        if result is None:
            raise R1ReproError(f"{name} is not built: run `r1repro run` with the same settings")
        origin = {
            "checkpoint": name,
            "template": checkpoints.form(config, name),
            "scale": config.scale,
            "seed": config.seed,
            "base_seed": config.base_seed,
            "key": space.keys[name],
            "git": git,
        }
        with TemporaryDirectory() as place:
            unpacked = Path(place)
            model = load_model(result.folder / "model").to(torch.bfloat16)
            model.save_pretrained(unpacked)
            load_tokenizer(result.folder / "model").save_pretrained(unpacked)
            (unpacked / ORIGIN).write_text(json.dumps(origin, indent=1), encoding="utf-8")
            made.append(_packed(unpacked, folder / f"{name}.zip"))
    artifacts.write_sums(folder / SUMS, [file.name for file in made])
    return made


def _packed(unpacked: Path, target: Path) -> Path:
    """A zip whose bytes depend on the files alone."""
    with ZipFile(target, "w") as packed:
        for file in sorted(unpacked.iterdir()):
            packed.writestr(ZipInfo(file.name), file.read_bytes(), ZIP_DEFLATED, 9)
    return target
