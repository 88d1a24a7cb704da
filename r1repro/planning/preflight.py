"""What is looked at before anything runs: engine, models, data, memory and disk.

`r1repro fetch` brings what a configuration takes from the hub.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from r1repro import hub
from r1repro.config import (
    Config,
    ModelConfig,
    check_model_folder,
    from_elsewhere,
    models,
    runs_folder,
)
from r1repro.errors import R1ReproError
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.stages.engines import check_engine
from r1repro.tasks import templates, traces, worlds
from r1repro.tasks.sources import Source

WITHOUT_WEIGHTS = (
    "evaluate_", "cold_start_data", "rejection_sampling", "teacher_sampling", "comparison",
)  # fmt: skip
"""How the names of stages begin that keep no model."""
WORKING = 3
"""Models' worth of disk that the checkpoints of one stage take, roughly: weights and optimizer."""


def check(config: Config) -> None:
    """Refuse a run that would break later (R1ReproError): nothing of it has run yet.

    What is missing is fetched; where there is no network that fails at once.
    """
    check_engine(config)
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
    worlds.of(config.task)  # refuses what has not so many problems, or an answer that holds nothing


def check_room(config: Config, wanted: Sequence[str]) -> None:
    """Refuse a run whose stages still to be built have no room in memory or on the disk."""
    left = [name for name in wanted if not Workspace(config).is_done(name)]
    _check_memory(config, left)
    _check_disk(config, left)


def fetch(config: Config) -> Iterator[str]:
    """Bring every model and data set of the configuration; a line for each."""
    for shape in from_elsewhere(config).values():
        if shape.path is None:
            assert shape.hub is not None
            yield _line(shape.hub, "model")
    for data in _hub_data(config):
        assert data.hub is not None
        yield _line(data.hub, "dataset")


def _line(named: str, kind: str) -> str:
    found = hub.folder(named, kind)
    how = "is there"
    if found is None:
        found, how = hub.fetch(named, kind), "fetched"
    return f"{kind} {hub.parts(named)[0]}, commit {found.name}: {how}"


def _hub_data(config: Config) -> list[Source]:
    found = worlds.hub_sources(config.task)
    if config.student.traces is not None:
        found.append(traces.source(config.student))
    return [data for data in found if data.hub is not None]


def _check_memory(config: Config, left: Sequence[str]) -> None:
    """Refuse a stage whose computed peak is more than there is at all; `plan` reckons closer."""
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
                f"stage {name} takes about {needed.peak / 2**30:,.1f} GiB, as computed, and {what} "
                f"has {there / 2**30:,.1f}: `r1repro plan` with the same settings says what to turn"
            )


def _check_disk(config: Config, left: Sequence[str]) -> None:
    made = [name for name in left if not name.startswith(WITHOUT_WEIGHTS)]
    wanted = (len(made) + WORKING) * max(map(_bytes, models(config).values())) if made else 0
    place = runs_folder(config)
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < wanted:
        raise R1ReproError(
            f"about {wanted / 1e9:,.0f} GB are wanted under {place} for what is still to be built, "
            f"and {free / 1e9:,.0f} GB are free: give runs=FOLDER on a larger disk, or "
            "a smaller model"
        )


def _place(shape: ModelConfig) -> Path:
    return hub.model_folder(shape.path, shape.hub)


def _bytes(shape: ModelConfig) -> int:
    """Of a model in float32, from its files, which mostly hold two bytes a parameter."""
    if shape.made_here:
        return 0
    files = _place(shape).glob("*.safetensors")
    return 2 * sum(file.stat().st_size for file in files)
