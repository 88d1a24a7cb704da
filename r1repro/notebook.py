"""What a notebook's cells call: open a run, get a stage's result, watch it being made."""

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
        """The stage's result: loaded where it is there, or else built now and shown live.

        What it is made from and is missing too is built first, after asking if `build_missing`
        is "ask" and somebody is there to answer. Raises R1ReproError if it may not be built, and
        StageFailed if a stage breaks.
        """
        self._build_inputs([name], f"{name} is")
        return self._build(name)

    def side_by_side(self, *chains: Sequence[str]) -> dict[str, StageResult]:
        """The results of all stages by name: a chain's one after the other, the chains at once.

        Where there are no cores for two (r1repro.stages.cores) the chains too follow each other. No
        chain may need a stage of another; what else they are made from is built first, as by
        `stage`. When one chain fails, or the cell is interrupted, the others stop as well, and
        continue from their checkpoints the next time.
        """
        names = [name for chain in chains for name in chain]
        self._build_inputs(names, "what this cell builds is")
        if cores.at_once() < 2:
            return {name: self._build(name) for name in names}
        # What is shown is shown by this thread alone: IPython knows only its cell.
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
        """Print what is wrong with these stages, each with what helps, or that nothing is."""
        print("\n".join(of_stages(self.config, names).lines()))

    def _build_inputs(self, names: Sequence[str], who: str) -> None:
        """Build what these are made from and is missing, if somebody agrees; `who` asks for it."""
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
                print("Nobody is here to ask: building it.")
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
        """The stage's result; `do` is given each action that shows something."""
        show = _Live(name)
        result = build(
            self.config,
            name,
            follow=lambda folder: do(partial(show.refresh, folder)),
            announce=lambda said: do(partial(print, said)),
        )
        do(partial(show.end, result))
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

    def end(self, result: StageResult) -> None:
        """Say what a result is that nobody had to wait for."""
        if not self.used:
            seconds = duration(result.manifest["seconds"])
            print(f"{self._name}: loaded {result.folder.name} (took {seconds} to build)")
