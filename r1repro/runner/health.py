"""Runs the doctor (r1repro.evaluation.doctor) on the finished and running stages of a run.

Unfinished stages are read from their newest checkpoint, so that training can be checked early.
"""

import json
import textwrap
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

import pandas as pd

from r1repro import artifacts
from r1repro.artifacts import Damaged
from r1repro.config import BaseConfig, Config, RLConfig, SFTConfig, lab, load, runs_folder
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import EVALUATIONS
from r1repro.evaluation.doctor import (
    LOOKED_FOR,
    STEPS,
    TOO_LITTLE,
    Finding,
    Settings,
    examine,
    grouped,
)
from r1repro.runner.graph import find
from r1repro.runner.sequence import recorded, wanted_stages
from r1repro.runner.workspace import Workspace

NAMED = 6
"""Up to this many stages are listed by name; of more, only the number is shown."""
WIDTH = 100
"""Line width in characters."""


@dataclass(frozen=True)
class Health:
    """Findings in some stages.

    rows: number of rows read, by stage; making: the last step read of unfinished stages; unread:
    stages without rows; damaged: what is wrong with results that cannot be used.
    """

    scale: str
    findings: tuple[Finding, ...]
    rows: Mapping[str, int]
    making: Mapping[str, int]
    unread: tuple[str, ...]
    damaged: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Each finding with its stages and remedy; then the stages read and the checks made."""
        said = [TOO_LITTLE] if self.findings and self.scale == "smoke" else []
        for what, places, remedy in grouped(self.findings):
            said += _wrapped(f"{what}: {places}") + _wrapped(f"    {remedy}")
        if self.rows:
            count = len(self.findings)
            said += [f"{count or 'no'} finding{'' if count == 1 else 's'} in {_named(self.rows)}"]
        said += [f"{name} is not finished: read up to step {n}" for name, n in self.making.items()]
        short = [name for name, rows in self.rows.items() if rows < STEPS]
        if short:
            said += [f"too few rows to judge a mean: {_named(short)}"]
        if self.unread:
            said += [f"nothing to read yet: {_named(self.unread)}"]
        said += self.damaged
        return [*said, *_wrapped(f"looked for: {', '.join(LOOKED_FOR)}")]


def _wrapped(line: str) -> list[str]:
    whole = line.replace(" %", "\u00a0%")  # a figure and its unit stay on one line
    lines = textwrap.wrap(whole, WIDTH, subsequent_indent="    ", break_on_hyphens=False)
    return [part.replace("\u00a0", " ") for part in lines]


def _named(stages: Collection[str]) -> str:
    return ", ".join(stages) if len(stages) <= NAMED else f"{len(stages)} stages"


def of_run(folder: Path) -> Health:
    """Health of every stage of a run, given its folder under runs/ or its published version.

    Raises R1ReproError if the folder is not a run, joins several, or has no readable stage.
    """
    if not (folder / "resolved.yaml").is_file():
        raise R1ReproError(
            f"{folder} is not a run folder: give a folder under runs/ with a resolved.yaml"
        )
    file = folder / "manifest.json"
    joined = json.loads(file.read_text(encoding="utf-8")).get("runs") if file.is_file() else None
    if joined:
        names = ", ".join(run["run"] for run in joined)
        raise R1ReproError(f"{folder} joins several runs: give the folder of one of {names}")
    config = load(folder / "resolved.yaml")
    if (folder.parent / "cache").is_dir():  # the run may be from another checkout
        config = replace(config, runs=str(folder.resolve().parent))
    # The keys that its executed notebooks record, whatever has changed since.
    marks = filter(None, map(recorded, (folder / "notebooks").glob("*.ipynb")))
    keys = {name: key for mark in marks for name, key in mark.get("keys", {}).items()}
    space = Workspace(config, keys)
    until = folder.name.partition("-until-")[2]
    wanted = wanted_stages(space, until=until if until in space.stages else None)
    found = of_stages(config, wanted, keys)
    if not found.rows and not found.damaged and not any(map(space.is_done, space.stages)):
        raise R1ReproError(
            f"no stage of {folder} has results in {runs_folder(config)}: give a run whose results "
            "are there, and use the code version that built it, since published versions hold no "
            "metrics and other code versions may have other keys"
        )
    return found


def of_stages(
    config: Config, names: Sequence[str], keys: Mapping[str, str] | None = None
) -> Health:
    """Health of the stages among these that train or evaluate; keys: `recorded` of Workspace."""
    space = Workspace(config, keys or {})
    findings: list[Finding] = []
    count: dict[str, int] = {}
    making: dict[str, int] = {}
    unread: list[str] = []
    damaged: list[str] = []
    for name in names:
        settings = _settings(config, name)
        if settings is None:
            continue
        try:
            rows, finished = _rows(space, name)
        except Damaged as error:
            damaged.append(f"{name}: {error}")
            continue
        if rows is not None and len(rows):
            findings += examine(name, rows, settings)
            count[name] = len(rows)
            if not finished:
                making[name] = int(rows["step"].iloc[-1])
        elif rows is not None or not finished:
            unread.append(name)
    return Health(config.scale, tuple(findings), count, making, tuple(unread), tuple(damaged))


def _settings(config: Config, name: str) -> Settings | None:
    if name in EVALUATIONS:
        return config.evaluation
    paths = [path for path in find(name, config).config if path.startswith("stage.")]
    found = attrgetter(paths[0])(config) if paths else None
    if name in lab.trained() and isinstance(found, RLConfig):
        return lab.settings(found, lab.arms()[lab.trained()[name]])
    return found if isinstance(found, BaseConfig | RLConfig | SFTConfig) else None


def _rows(space: Workspace, name: str) -> tuple[pd.DataFrame | None, bool]:
    """The stage's metrics or evaluation rows, if it has any, and whether it is finished."""
    result = space.load(name)
    if result is not None:
        table = "evaluation" if name in EVALUATIONS else "metrics"
        file = result.folder / f"{table}.parquet"
        return artifacts.renamed(pd.read_parquet(file)) if file.is_file() else None, True
    for newest in [*artifacts.checkpoints(space.work(name)).values()][:1]:
        # A newer one may have replaced it, or another program wrote it.
        with suppress(FileNotFoundError):
            if (newest / "rows.parquet").is_file():
                rows = pd.read_parquet(newest / "rows.parquet")
            else:
                rows = pd.DataFrame(json.loads((newest / "rows.json").read_text(encoding="utf-8")))
            return artifacts.renamed(rows), False
    return None, False
