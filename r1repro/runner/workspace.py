"""Results of a run on disk: each stage's key, its folders, and its result if finished."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TextIO

from r1repro import artifacts, gguf, hub
from r1repro.artifacts import Damaged, StageResult
from r1repro.config import Config, runs_folder, unset, values, with_teacher
from r1repro.runner.graph import Stage, find, graph
from r1repro.tasks import traces, worlds

VERIFIER = 2
"""Enters the keys of tasks from data sets; raised when the verifier judges answers differently."""


@dataclass(frozen=True)
class Workspace:
    """The stages of one configuration and their folders.

    Results are in runs/cache/STAGE-KEY, stages that are being built in runs/work/STAGE-KEY.
    recorded: keys of an earlier run, made by other code or with files that are gone.
    """

    config: Config
    recorded: Mapping[str, str] = field(default_factory=dict, compare=False)

    @cached_property
    def stages(self) -> dict[str, Stage]:
        """All stages of the configuration by name, in topological order."""
        return graph(self.config)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Key of each stage: SHA-256 of its version, settings, inputs' keys and lab's changes."""
        found: dict[str, str] = {}
        task = self.config.task
        # A new verifier judges the mini world's answers as before.
        verifier = {"verifier": VERIFIER} if task.train or task.path else {}
        for stage in self.stages.values():
            found[stage.name] = self.recorded.get(stage.name) or artifacts.digest(
                {
                    "stage": stage.name,
                    "version": stage.version,
                    **verifier,
                    "config": self.settings(stage),
                    "inputs": {name: found[name] for name in stage.inputs},
                    **({"changes": dict(stage.changes)} if stage.changes else {}),
                }
            )
        return found

    @cached_property
    def runs(self) -> Path:
        return runs_folder(self.config)

    def find(self, name: str) -> Stage:
        """The stage of that name. Raises R1ReproError if it is unknown or its switch is off."""
        return self.stages.get(name) or find(name, self.config)

    def work(self, name: str) -> Path:
        """Folder in which the stage's result is built; it survives a kill, with its checkpoints."""
        return artifacts.work_folder(self.runs, name, self.keys[name])

    def place(self, name: str) -> Path:
        """Folder of the stage's finished result."""
        return artifacts.result_folder(self.runs, name, self.keys[name])

    def lock(self, name: str) -> AbstractContextManager[TextIO | None]:
        """`artifacts.lock` for building the stage."""
        work = self.work(name)
        return artifacts.lock(work.with_name(f"{work.name}.lock"))

    def load(self, name: str, whole: bool = False) -> StageResult | None:
        """The finished result, or None; whole: as of artifacts.load.

        Raises Damaged if it does not match its manifest or an input has been rebuilt since.
        """
        result = artifacts.load(self.runs, name, self.keys[name], whole)
        made_from = {} if result is None else result.manifest.get("built_from", {})
        for other, before in made_from.items():
            manifest = self.place(other) / "manifest.json"
            if manifest.is_file() and artifacts.sha256(manifest) != before:
                raise Damaged(
                    f"the result {self.place(name)} was built from another {other} than the "
                    "current one; it is not used: rebuild it"
                )
        return result

    def is_done(self, name: str) -> bool:
        """Whether there is a usable result."""
        try:
            return self.load(name) is not None
        except Damaged:
            return False

    def with_inputs(self, *names: str) -> list[str]:
        """The stages and all their transitive inputs, in topological order."""
        needed = set(names)
        for stage in reversed(self.stages.values()):
            if stage.name in needed:
                needed.update(stage.inputs)
        return [other for other in self.stages if other in needed]

    def processes(self, name: str) -> int:
        """Number of processes in which the stage runs."""
        return self.config.launch.processes if self.find(name).distributed else 1

    def settings(self, stage: Stage) -> dict[str, Any]:
        """The settings that enter the stage's key, by dotted path.

        Files stand there by size and modification time, names on the hub by their cached commit.
        """
        config = self.config
        found = {p: values(config, p) for p in stage.config if not unset(config, p)}
        if config.task.path is not None and "task" in found:
            for key in ("path", "test_path"):
                found[f"task.{key}"] = _state(getattr(config.task, key))
        if (own := found.pop("general", None)) and (config.general.sft or config.general.pairs):
            found["general"] = own | {key: _state(own[key]) for key in ("sft", "pairs")}
        for source in worlds.hub_sources(config.task) if "task" in found else ():
            found[f"task.{source.hub}"] = _commit(str(source.hub), "dataset")
        if config.student.traces is not None and "student.traces" in found:
            source = traces.source(config.student)
            by_hub = source.path is None
            found["student.traces"] = (
                _commit(str(source.hub), "dataset") if by_hub else _state(source.path)
            )
        for key, model in with_teacher(config).items():
            if model.path is None and model.hub and (key in found or f"{key}.hub" in found):
                found[f"{key}.hub"] = _commit(model.hub, "model")
            if model.path is not None and (key in found or f"{key}.path" in found):
                place = Path(model.path)
                files = [place] if gguf.is_file(model) else sorted(place.glob("*.*"))
                found[f"{key}.path"] = [[file.name, *(_state(file) or ())] for file in files]
                found.pop(key, None)  # the location does not matter
        return found


def _state(file: Path | str | None) -> list[int] | None:
    """Size and modification time; None without a file, or if it is gone since the run was made."""
    with suppress(FileNotFoundError):
        if file:
            stat = Path(file).stat()
            return [stat.st_size, stat.st_mtime_ns]
    return None


def _commit(named: str, kind: str) -> str | None:
    """The cached commit of a name on the hub, so that other weights give another key."""
    place = hub.folder(named, kind)
    return None if place is None else place.name
