"""Checks before a run: engine, models, data, memory and disk; and downloads from the hub."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from r1repro import hub
from r1repro.config import (
    Config,
    OriginConfig,
    check_model_folder,
    check_places,
    from_elsewhere,
    models,
    runs_folder,
)
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import EVALUATIONS
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.stages.engines import check_engine
from r1repro.tasks import templates, traces, worlds
from r1repro.tasks.sources import Source

WITHOUT_WEIGHTS = (
    "cold_start_data", "rejection_sampling", "teacher_sampling", "comparison", *EVALUATIONS,
)  # fmt: skip
"""Stages that store no model."""
WORKING = 3
"""Approximate disk space of a running stage's checkpoints, in models: weights and optimizer."""


def check(config: Config) -> None:
    """Raise R1ReproError if the run would fail later.

    Missing models and data sets are downloaded; without a network that fails at once.
    """
    check_engine(config)
    check_places(config)
    for _ in fetch(config):
        pass
    for key, shape in from_elsewhere(config).items():
        if shape.path is None:
            check_model_folder(key, str(_place(shape)))
    forms, chat = templates.names(), config.student.teacher_chat
    if config.student.teacher is not None and chat not in forms:
        raise R1ReproError(
            f"student.teacher_chat={chat} is not accepted: student.teacher_chat takes one of "
            f"{', '.join(forms)}"
        )
    worlds.of(config.task)  # raises for too few problems or an empty answer
    if from_elsewhere(config):
        from r1repro.planning import folders  # imports torch

        folders.check(config)


def check_room(config: Config, wanted: Sequence[str]) -> None:
    """Raise R1ReproError if memory or disk is too small for the stages still to be built."""
    left = [name for name in wanted if not Workspace(config).is_done(name)]
    _check_memory(config, left)
    _check_disk(config, left)


def fetch(config: Config) -> Iterator[str]:
    """Download every model and data set of the configuration; yields a line for each."""
    pretrained = [model for model in from_elsewhere(config).values() if model.path is None]
    wanted = [(str(model.hub), "model") for model in pretrained]
    wanted += [(str(data.hub), "dataset") for data in _hub_data(config)]
    for named, kind in wanted:
        hub.folder(named, kind)  # raises for what is no name, before anything is downloaded
    for named, kind in wanted:
        yield _line(named, kind)


def _line(named: str, kind: str) -> str:
    found = hub.folder(named, kind)
    how = "already here"
    if found is None:
        found, how = hub.fetch(named, kind), "fetched"
    return f"{kind} {hub.parts(named)[0]}, commit {found.name}: {how}"


def _hub_data(config: Config) -> list[Source]:
    found = worlds.hub_sources(config.task)
    if config.student.traces is not None:
        found.append(traces.source(config.student))
    return [data for data in found if data.hub is not None]


def _check_memory(config: Config, left: Sequence[str]) -> None:
    """Refuse a stage whose computed peak exceeds all memory; `plan` also counts overheads."""
    if config.model.made_here:
        return
    import torch

    from r1repro.planning.work import needs

    there, what = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "this machine"
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        there, what = card.total_memory, card.name
    for name in left:
        needed = needs(config, find(name, config))
        if needed is not None and needed.peak > there:
            raise R1ReproError(
                f"stage {name} needs about {needed.peak / 2**30:,.1f} GiB and {what} has "
                f"{there / 2**30:,.1f}: `r1repro plan` with the same settings shows what to change"
            )


def _check_disk(config: Config, left: Sequence[str]) -> None:
    made = [name for name in left if name not in WITHOUT_WEIGHTS]
    wanted = (len(made) + WORKING) * max(map(_bytes, models(config).values())) if made else 0
    place = runs_folder(config)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < wanted:
        raise R1ReproError(
            f"the stages still to be built need about {wanted / 1e9:,.0f} GB under {place} and "
            f"{free / 1e9:,.0f} GB are free: set runs=FOLDER on a larger disk, or use a smaller "
            "model"
        )


def _place(shape: OriginConfig) -> Path:
    return hub.model_folder(shape.path, shape.hub)


def _bytes(shape: OriginConfig) -> int:
    """Bytes of a model in float32, assuming that its files hold two bytes per parameter."""
    if shape.made_here:
        return 0
    files = _place(shape).glob("*.safetensors")
    return 2 * sum(file.stat().st_size for file in files)
