"""What a notebook's cells call: open a run, get a stage's result, watch it being made."""

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from IPython.core.error import StdinNotImplementedError
from IPython.display import HTML, DisplayHandle, display

from r1repro import artifacts, preflight
from r1repro.artifacts import StageResult
from r1repro.config import Config, compose, load
from r1repro.duration import duration
from r1repro.errors import R1ReproError
from r1repro.stages import find, state
from r1repro.stages.display import page
from r1repro.stages.process import build

REFRESH_SECONDS = 2.0
# Without ipywidgets tqdm says so under the first cell that imports transformers.
warnings.filterwarnings("ignore", message="IProgress not found")


@dataclass(frozen=True)
class Run:
    """A configuration and the results that belong to it."""

    config: Config
    build_missing: bool | Literal["ask"] = "ask"

    def stage(self, name: str) -> StageResult:
        """The stage's result: loaded where it is there, or else built now and shown live.

        What it is made from and is missing too is built first, after asking if `build_missing`
        is "ask" and somebody is there to answer. Raises R1ReproError if it may not be built, and
        StageFailed if a stage breaks.
        """
        find(name, self.config)
        missing = [
            other
            for other in state.with_inputs(self.config, name)[:-1]
            if not state.is_done(self.config, other)
        ]
        if missing:
            self._agree(name, missing)
        for other in missing:
            self._build(other)
        return self._build(name)

    def _agree(self, name: str, missing: list[str]) -> None:
        cost = sum(state.seconds_left(self.config, other, time.time()) for other in missing)
        what = (
            f"{name} is made from {' and '.join(missing)}, not built yet at "
            f"scale={self.config.scale}: about {duration(cost)} on two CPU cores (an estimate)"
        )
        if self.build_missing == "ask":
            print(what)
            try:
                agreed = input("Build it now? [y/n] ").strip().lower() in ("y", "yes")
            except (StdinNotImplementedError, EOFError):
                print("Nobody is here to ask: building it.")
                agreed = True
        else:
            agreed = bool(self.build_missing)
        if not agreed:
            raise R1ReproError(
                f"{what}: run the notebook before this one, `r1repro run`, "
                "or this one with build_missing=True"
            )

    def _build(self, name: str) -> StageResult:
        show = _Live(name)
        result = build(self.config, name, show.refresh)
        if not show.used:
            seconds = duration(result.manifest["seconds"])
            print(f"{name}: loaded {result.folder.name} (took {seconds} to build)")
        return result


def open_run(
    config_path: str | Path | None = None,
    overrides: Sequence[str] = (),
    build_missing: bool | Literal["ask"] = "ask",
) -> Run:
    """The run that a notebook belongs to.

    `config_path` is the resolved.yaml of a run; without one the configuration is composed from
    conf/ and `overrides`. Raises R1ReproError for a setting that is not accepted.
    """
    if config_path and overrides:
        raise R1ReproError(
            "config_path and overrides were both given: a resolved configuration takes no overrides"
        )
    config = load(config_path) if config_path else compose(overrides)
    preflight.check(config)
    return Run(config, build_missing)


class _Live:
    """The bar and curves under a cell, renewed every two seconds at most."""

    def __init__(self, name: str) -> None:
        self.used = False
        self._name = name
        self._shown = 0.0
        self._handle: DisplayHandle | None = None

    def refresh(self, folder: Path) -> None:
        finished = (folder / "manifest.json").exists()
        if time.monotonic() - self._shown < REFRESH_SECONDS and not finished:
            return
        self._shown, self.used = time.monotonic(), True
        lines = artifacts.read_progress(folder)
        now = lines[-1]["time"] if finished and lines else time.time()
        content = HTML(page(self._name, lines, state.pace(lines, now)))
        if self._handle is None:
            self._handle = display(content, display_id=True)
        else:
            self._handle.update(content)
