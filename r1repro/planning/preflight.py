"""Checks before a run: engine, models, data, memory and disk; and downloads from the hub."""

import shutil
from collections.abc import Iterator, Sequence

from r1repro import gguf, hub
from r1repro.config import (
    Config,
    OriginConfig,
    check_model_folder,
    check_places,
    from_elsewhere,
    lab,
    models,
    runs_folder,
)
from r1repro.errors import R1ReproError
from r1repro.evaluation.checkpoints import EVALUATIONS
from r1repro.runner.graph import find, model_of_stage
from r1repro.runner.workspace import Workspace
from r1repro.stages.engines import check_engine
from r1repro.stages.student_data import stored_parameters
from r1repro.tasks import templates, traces, worlds

WITHOUT_WEIGHTS = (
    "cold_start_data", "rejection_sampling", "teacher_sampling", "comparison", *EVALUATIONS,
)  # fmt: skip
"""Stages that store no model."""
WORKING = 3
"""Approximate size of a running stage's checkpoints, in models: weights and optimizer."""


def check(config: Config, wanted: Sequence[str] | None = None) -> None:
    """Raise R1ReproError if the run would fail later.

    Downloads what is missing, as `fetch` does; without a network that fails at once.
    wanted: the stages of the run, whose models alone are checked; None for all models.
    """
    check_engine(config)
    check_places(config)
    list(fetch(config, wanted))
    origins = _origins(config, wanted)
    for key, shape in origins.items():
        if shape.path is None or gguf.is_file(shape):
            check_model_folder(key, str(gguf.model_folder(config, shape)))
    forms, chat = templates.names(), config.student.teacher_chat
    if config.student.teacher is not None and chat not in forms:
        raise R1ReproError(
            f"student.teacher_chat={chat} is not accepted: student.teacher_chat takes one of "
            f"{', '.join(forms)}"
        )
    worlds.of(config.task)  # raises for too few problems or an empty answer
    if origins:
        from r1repro.planning import folders  # imports torch

        folders.check(config, origins)


def check_room(config: Config, wanted: Sequence[str]) -> None:
    """Raise R1ReproError if memory or disk is too small for the stages still to be built."""
    left = [name for name in wanted if not Workspace(config).is_done(name)]
    _check_memory(config, left)
    _check_disk(config, left)


def fetch(config: Config, wanted: Sequence[str] | None = None) -> Iterator[str]:
    """Download the models and data sets, and convert GGUF files; yields a line for each.

    wanted: as of `check`.
    """
    origins = _origins(config, wanted).values()
    data = worlds.hub_sources(config.task)
    if config.student.traces is not None:
        data.append(traces.source(config.student))
    sources = [("model", origin.hub) for origin in origins if origin.path is None]
    sources += [("dataset", source.hub) for source in data]
    named = [(kind, name) for kind, name in sources if name is not None]
    for kind, name in named:
        hub.folder(name, kind)  # raises for what is no name, before anything is downloaded
    for origin in filter(gguf.is_file, origins):
        yield f"model {origin.path}: converted, {gguf.model_folder(config, origin)}"
    for kind, name in named:
        there = hub.folder(name, kind)
        commit = (there or hub.fetch(name, kind)).name
        how = "already here" if there else "fetched"
        yield f"{kind} {hub.parts(name)[0]}, commit {commit}: {how}"


def _origins(config: Config, wanted: Sequence[str] | None) -> dict[str, OriginConfig]:
    """The pretrained models that these stages use, by the setting that names each."""
    origins = from_elsewhere(config)
    if wanted is None:
        return origins
    used = {model_of_stage(find(name, config)) for name in wanted}
    used |= {f"{key}.{place}" for key in used for place in ("path", "hub")}
    return {key: origin for key, origin in origins.items() if key in used}


def _check_memory(config: Config, left: Sequence[str]) -> None:
    """Refuse a stage whose computed peak exceeds all memory; `plan` also counts overheads."""
    if config.model.made_here:
        return
    from r1repro.planning.stage_memory import here, needs

    there, what = here()
    for name in left:
        needed = needs(config, find(name, config))
        if needed is not None and needed.peak > there:
            raise R1ReproError(
                f"stage {name} needs about {needed.peak / 2**30:,.1f} GiB and {what} has "
                f"{there / 2**30:,.1f}: `r1repro plan` with the same settings shows what to change"
            )


def _check_disk(config: Config, left: Sequence[str]) -> None:
    without = {*WITHOUT_WEIGHTS, *map(lab.evaluation, lab.shown_in(config.lab))}
    made = [name for name in left if name not in without]
    used = {model_of_stage(find(name, config)) for name in made}
    shapes = (shape for key, shape in models(config).items() if key in used)
    each = max((_bytes(config, shape) for shape in shapes), default=0)
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
