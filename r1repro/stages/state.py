"""State of a run: each stage's key, its result if finished, and the estimated time left."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1repro import artifacts, hub
from r1repro.artifacts import Damaged, StageResult
from r1repro.config import Config, runs_folder, values, with_teacher
from r1repro.stages import Stage, cores, find, graph
from r1repro.tasks import traces, worlds


def keys(config: Config) -> dict[str, str]:
    """The key of every stage: sha256 of its settings, its inputs' keys and its version."""
    found: dict[str, str] = {}
    for stage in graph(config).values():
        found[stage.name] = artifacts.digest(
            {
                "stage": stage.name,
                "version": stage.version,
                "config": settings(config, stage),
                "inputs": {name: found[name] for name in stage.inputs},
            }
        )
    return found


def settings(config: Config, stage: Stage) -> dict[str, Any]:
    """The values that enter the stage's key, by dotted path."""
    found = {path: values(config, path) for path in stage.config}
    if config.task.path is not None and "task" in found:
        for key in ("path", "test_path"):
            path = getattr(config.task, key)
            found[f"task.{key}"] = path and [
                Path(path).stat().st_size,
                Path(path).stat().st_mtime_ns,
            ]
    for source in worlds.hub_sources(config.task) if "task" in found else ():
        found[f"task.{source.hub}"] = _commit(str(source.hub), "dataset")
    if config.student.traces is not None and "student.traces" in found:
        source = traces.source(config.student)
        if source.path is not None:
            told = Path(source.path).stat()
            found["student.traces"] = [told.st_size, told.st_mtime_ns]
        else:
            found["student.traces"] = _commit(str(source.hub), "dataset")
    for key, model in with_teacher(config).items():
        if model.path is None and model.hub and (key in found or f"{key}.hub" in found):
            found[f"{key}.hub"] = _commit(model.hub, "model")
        if model.path is not None and (key in found or f"{key}.path" in found):
            # Other weights in the same folder make another base.
            files = sorted(Path(model.path).glob("*.*"))
            found[f"{key}.path"] = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in files]
            found.pop(key, None)  # the location does not matter
    return found


def _commit(named: str, kind: str) -> str | None:
    """The cached commit of a name on the hub, so that other weights give another key."""
    place = hub.folder(named, kind)
    return None if place is None else place.name


def with_inputs(config: Config, name: str) -> list[str]:
    """The stage and all its transitive inputs, in topological order."""
    needed = {name}
    for stage in reversed(graph(config).values()):
        if stage.name in needed:
            needed.update(stage.inputs)
    return [other for other in graph(config) if other in needed]


def work_folder(config: Config, name: str) -> Path:
    """Folder in which the stage's result is built."""
    return artifacts.work_folder(runs_folder(config), name, keys(config)[name])


def result_folder(config: Config, name: str) -> Path:
    """Folder of the stage's finished result."""
    return artifacts.result_folder(runs_folder(config), name, keys(config)[name])


def load(config: Config, name: str) -> StageResult | None:
    """The finished result, or None.

    Raises Damaged if it does not match its manifest or one of its inputs has been rebuilt since.
    """
    runs, all_keys = runs_folder(config), keys(config)
    result = artifacts.load(runs, name, all_keys[name])
    made_from = {} if result is None else result.manifest.get("built_from", {})
    for other, before in made_from.items():
        place = artifacts.result_folder(runs, other, all_keys[other])
        if (place / "manifest.json").is_file() and artifacts.fingerprint(place) != before:
            raise Damaged(
                f"the result {result.folder if result else ''} was built from another {other} than "
                "the current one; it is not used: rebuild it"
            )
    return result


def is_done(config: Config, name: str) -> bool:
    """Whether there is a usable result."""
    try:
        return load(config, name) is not None
    except Damaged:
        return False


@dataclass(frozen=True)
class Pace:
    """A running stage's steps, elapsed seconds and estimated seconds left (None if unknown)."""

    step: int
    total: int
    elapsed: float
    left: float | None


def pace(lines: list[dict[str, Any]], now: float) -> Pace | None:
    """The pace from progress lines; the speed is that of the last session."""
    if not lines:
        return None
    last = lines[-1]
    session = [line for line in lines if line["started"] == last["started"]]
    steps = last["step"] - session[0]["step"]
    left = None
    if steps > 0:
        rate = (last["time"] - session[0]["time"]) / steps
        left = max(0.0, rate * (last["total"] - last["step"]) - (now - last["time"]))
    return Pace(last["step"], last["total"], worked(lines) + now - last["time"], left)


def worked(lines: list[dict[str, Any]]) -> float:
    """Total seconds of work over all sessions in the progress lines."""
    ends = {line["started"]: line["time"] for line in lines}
    return float(sum(end - start for start, end in ends.items()))


def seconds_left(config: Config, name: str, now: float) -> float:
    """Estimated seconds left for the stage, from its pace, else from its size."""
    if is_done(config, name):
        return 0.0
    whole = find(name, config).seconds(config)
    found = pace(artifacts.read_progress(work_folder(config, name)), now)
    if found is None:
        return whole
    return whole * (1 - found.step / found.total) if found.left is None else found.left


def seconds_taken(config: Config, names: list[str]) -> dict[str, float]:
    """Build time in seconds of the finished stages."""
    found = {}
    for name in names:
        try:
            result = load(config, name)
        except Damaged:
            continue
        if result is not None:
            found[name] = float(result.manifest["seconds"])
    return found


def run_left(config: Config, names: list[str], taken: dict[str, float], now: float) -> float:
    """Estimated seconds left for these stages; `taken`: seconds of the finished ones.

    Estimates by size are scaled to this machine by the time that the finished stages took.
    """
    expected = sum(find(name, config).seconds(config) for name in taken)
    scale = sum(taken.values()) / expected if expected > TELLING else 1.0
    left = 0.0
    for name in names:
        if name in taken:
            continue
        stage = find(name, config)
        begun = bool(artifacts.read_progress(work_folder(config, name)))
        alone = seconds_left(config, name, now) if begun else scale * stage.seconds(config)
        left += alone / (cores.at_once() if stage.half else 1)
    return left


TELLING = 60.0
"""Estimated seconds of finished stages above which they calibrate this machine's speed."""
