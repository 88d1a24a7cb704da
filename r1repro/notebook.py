"""The notebooks' interface: open a run, build or load a stage, show its progress."""

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal

from IPython.core.error import StdinNotImplementedError
from IPython.display import HTML, DisplayHandle, display

from r1repro import artifacts, preflight
from r1repro.artifacts import StageResult
from r1repro.config import Config, compose, load
from r1repro.duration import duration
from r1repro.errors import R1ReproError
from r1repro.stages import cores, find, graph, state
from r1repro.stages.display import page
from r1repro.stages.health import of_stages
from r1repro.stages.process import POLL_SECONDS, build

REFRESH_SECONDS = 2.0
# Without ipywidgets tqdm says so under the first cell that imports transformers.
warnings.filterwarnings("ignore", message="IProgress not found")


@dataclass(frozen=True)
class Run:
    """A configuration and the results that belong to it."""

    config: Config
    build_missing: bool | Literal["ask"] = "ask"

    def stage(self, name: str) -> StageResult:
        """The stage's result: loaded from the cache, or built now with live progress.

        Missing inputs are built first, after a prompt if `build_missing` is "ask" and the session
        is interactive. Raises R1ReproError if building is declined, and StageFailed if a stage
        fails.
        """
        self._build_inputs([name], f"{name} is")
        return self._build(name)

    def side_by_side(self, *chains: Sequence[str]) -> dict[str, StageResult]:
        """Build chains of stages in parallel; returns the results of all stages by name.

        With too few cores for two (r1repro.stages.cores) the chains run one after the other. No
        chain may need a stage of another; missing inputs are built first, as by `stage`. When one
        chain fails or the cell is interrupted, the others stop too, and resume from their
        checkpoints the next time.
        """
        names = [name for chain in chains for name in chain]
        self._build_inputs(names, "what this cell builds is")
        if cores.at_once() < 2:
            return {name: self._build(name) for name in names}
        # Only this thread displays: IPython attributes output to its cell.
        waiting: SimpleQueue[Callable[[], Any]] = SimpleQueue()
        stop = threading.Event()

        def later(action: Callable[[], Any]) -> None:
            if stop.is_set():
                raise R1ReproError("a stage beside this one failed, or the cell was interrupted")
            waiting.put(action)

        def built(chain: Sequence[str]) -> dict[str, StageResult]:
            return {name: self._build(name, later) for name in chain}

        found: dict[str, StageResult] = {}
        with ThreadPoolExecutor(len(chains)) as pool:
            try:
                running = {pool.submit(built, chain) for chain in chains}
                while running:
                    ended, running = wait(running, POLL_SECONDS, FIRST_EXCEPTION)
                    while not waiting.empty():
                        waiting.get()()
                    for chain in ended:
                        found |= chain.result()
            finally:
                stop.set()
        return {name: found[name] for name in names}

    def doctor(self, *names: str) -> None:
        """Print the doctor's findings on these stages, each with its remedy."""
        print("\n".join(of_stages(self.config, names).lines()))

    def _build_inputs(self, names: Sequence[str], who: str) -> None:
        """Build missing inputs of these stages, if confirmed; `who` begins the prompt."""
        needed: set[str] = set()
        for name in names:
            find(name, self.config)
            needed.update(state.with_inputs(self.config, name))
        missing = [
            other
            for other in graph(self.config)
            if other in needed.difference(names) and not state.is_done(self.config, other)
        ]
        if missing:
            self._agree(who, missing)
        for other in missing:
            self._build(other)

    def _agree(self, who: str, missing: list[str]) -> None:
        cost = sum(state.seconds_left(self.config, other, time.time()) for other in missing)
        what = (
            f"{who} made from {' and '.join(missing)}, not built yet at "
            f"scale={self.config.scale}: about {duration(cost)} on two CPU cores (an estimate)"
        )
        if self.build_missing == "ask":
            print(what)
            try:
                agreed = input("Build it now? [y/n] ").strip().lower() in ("y", "yes")
            except (StdinNotImplementedError, EOFError):
                print("Not interactive: building it.")
                agreed = True
        else:
            agreed = bool(self.build_missing)
        if not agreed:
            raise R1ReproError(
                f"{what}: run the notebook before this one, `r1repro run`, "
                "or this one with build_missing=True"
            )

    def _build(
        self, name: str, do: Callable[[Callable[[], Any]], None] = lambda action: action()
    ) -> StageResult:
        """Build or load the stage; `do` runs every action that displays something."""
        show = _Live(name)
        result = build(
            self.config,
            name,
            follow=lambda folder: do(partial(show.refresh, folder)),
            announce=lambda line: do(partial(print, line)),
        )
        do(partial(show.end, result))
        return result


def open_run(
    config_path: str | Path | None = None,
    overrides: Sequence[str] = (),
    build_missing: bool | Literal["ask"] = "ask",
) -> Run:
    """Open the run of a notebook.

    config_path: the resolved.yaml of a run; without it the configuration is composed from conf/
    and `overrides`. Raises R1ReproError for a setting that is not accepted.
    """
    if config_path and overrides:
        raise R1ReproError("config_path and overrides were both given: give only one of them")
    config = load(config_path) if config_path else compose(overrides)
    preflight.check(config)
    return Run(config, build_missing)


class _Live:
    """Progress bar and curves below a cell, refreshed at most every REFRESH_SECONDS."""

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

    def end(self, result: StageResult) -> None:
        """Print a line for a result that was loaded from the cache."""
        if not self.used:
            seconds = duration(result.manifest["seconds"])
            print(f"{self._name}: loaded {result.folder.name} (took {seconds} to build)")
