"""Checks before a run: engine, models, data, memory and disk; and downloads from the hub."""

import os
import shutil
from collections.abc import Iterator, Sequence

from r1repro import gguf, hub
from r1repro.config import (
    Config,
    OriginConfig,
    check_model_folder,
    from_elsewhere,
    models,
    runs_folder,
)
from r1repro.errors import R1ReproError
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.stages.distillation import stored_parameters
from r1repro.stages.engines import check_engine
from r1repro.tasks import templates, traces, worlds
from r1repro.tasks.sources import Source

WITHOUT_WEIGHTS = (
    "evaluate_", "cold_start_data", "rejection_sampling", "teacher_sampling", "comparison",
)  # fmt: skip
"""Prefixes of the names of stages that store no model."""
WORKING = 3
"""Approximate disk space of a running stage's checkpoints, in models: weights and optimizer."""


def check(config: Config) -> None:
    """Raise R1ReproError if the run would fail later.

    Missing models and data sets are downloaded; without a network that fails at once. GGUF files
    are converted.
    """
    check_engine(config)
    for _ in fetch(config):
        pass
    for key, shape in from_elsewhere(config).items():
        if shape.path is None or gguf.is_file(shape):
            check_model_folder(key, str(gguf.model_folder(config, shape)))
    forms, chat = templates.names(), config.student.teacher_chat
    if config.student.teacher is not None and chat not in forms:
        raise R1ReproError(
            f"student.teacher_chat={chat} is not accepted: student.teacher_chat takes one of "
            f"{', '.join(forms)}"
        )
    worlds.of(config.task)  # raises for too few problems or an empty answer


def check_room(config: Config, wanted: Sequence[str]) -> None:
    """Raise R1ReproError if memory or disk is too small for the stages still to be built."""
    left = [name for name in wanted if not Workspace(config).is_done(name)]
    _check_memory(config, left)
    _check_disk(config, left)


def fetch(config: Config) -> Iterator[str]:
    """Download every model and data set of the configuration; yields a line for each.

    GGUF files are converted.
    """
    for shape in from_elsewhere(config).values():
        if gguf.is_file(shape):
            yield f"model {shape.path}: as a folder in {gguf.model_folder(config, shape)}"
        if shape.path is None:
            assert shape.hub is not None
            yield _line(shape.hub, "model")
    for data in _hub_data(config):
        assert data.hub is not None
        yield _line(data.hub, "dataset")


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
    made = [name for name in left if not name.startswith(WITHOUT_WEIGHTS)]
    each = max(_bytes(config, shape) for shape in models(config).values()) if made else 0
    wanted = (len(made) + WORKING) * each
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


def _bytes(config: Config, shape: OriginConfig) -> int:
    """Bytes of a model in float32."""
    return 0 if shape.made_here else 4 * stored_parameters(gguf.model_folder(config, shape))
