"""The whole sequence: builds each notebook's stages, then papermill executes it while the next
one's stages are built.

A notebook is skipped if its executed copy is up to date (same stage keys, source and code); stages
are cached individually (r1repro.runner.build).
"""

import hashlib
import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from r1repro import artifacts, code_marks
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, Config, save
from r1repro.duration import duration
from r1repro.errors import R1ReproError, StageFailed
from r1repro.runner import progress
from r1repro.runner.build import build
from r1repro.runner.workspace import Workspace

ARTICLE = "08_r1_zero_vs_r1"
"""The notebook that is the report of a run; executed once all stages are built (r1repro.launch)."""
LAB_ARTICLE = "lab"
"""The report of a run of the lab, or of several seeds of it."""


@dataclass(frozen=True)
class Outcome:
    """A run's folder, its results by stage, and its seconds; None if all was up to date."""

    folder: Path
    results: dict[str, StageResult]
    seconds: float | None


def run_folder(space: Workspace, until: str | None = None) -> Path:
    """runs/<scale>-<task>-seed<seed>-<hash of every key>/."""
    config, short = space.config, artifacts.digest(space.keys)[:8]
    name = f"{config.scale}-{config.task.name}-seed{config.seed}-{short}"
    if config.lab != "none":
        name = f"{name}-lab-{config.lab}"
    # A partial run has its own folder, so that it does not overwrite the report of a whole run.
    return space.runs / (f"{name}-until-{until}" if until else name)


def run(
    config: Config,
    notebooks: Path = ROOT / "notebooks",
    from_stage: str | None = None,
    until: str | None = None,
) -> Outcome:
    """Execute the notebooks, up to that of `until`; rebuild `from_stage` and its dependents.

    Prints a line per stage and a final table. Raises R1ReproError before anything runs if a stage
    or notebook does not exist, and StageFailed with stage, notebook and reason if a stage fails.
    """
    space = Workspace(config)
    wanted = wanted_stages(space, from_stage, until)
    folder = run_folder(space, until)
    plan = _notebooks(space, folder, notebooks, wanted)
    with artifacts.lock(folder / "lock") as held:
        if held is None:
            owner = (folder / "lock").read_text().strip()
            raise R1ReproError(
                f"{folder} is in use by process {owner}: wait for it, or stop it and run again"
            )
        print(f"run: {folder}\nprecision: {config.engine.precision}", flush=True)
        if from_stage is not None:
            set_aside_from(space, from_stage)
        save(config, folder / "resolved.yaml")
        began = time.time()
        results, executed = _execute_all(plan, Terminal(space, wanted))
        _table(results)
        print(f"this run: {duration(time.time() - began)}")
        return Outcome(folder, results, time.time() - began if executed else None)


def _execute_all(
    plan: Sequence["_Notebook"], show: "Terminal"
) -> tuple[dict[str, StageResult], bool]:
    """Build the stages and execute the notebooks; the results, and whether any was executed."""
    results: dict[str, StageResult] = {}
    executing: list[Future[None]] = []
    # A notebook takes seconds, most of them on one core: the next stages need not wait for it.
    pool = ThreadPoolExecutor(1)
    interrupted = False
    try:
        for notebook in plan:
            for one in executing:
                if one.done():
                    one.result()  # raises if the notebook failed
            done = all(map(notebook.space.is_done, notebook.stages))
            results |= notebook.build(show)
            keys = {name: result.key for name, result in results.items()}
            mark = {**mark_of(notebook.source), "keys": keys}
            same = done and recorded(notebook.folder / "notebooks" / notebook.source.name) == mark
            if notebook.source.stem != ARTICLE and not same:
                executing.append(pool.submit(notebook.execute, mark))
        for one in executing:
            one.result()
        return results, bool(executing)
    except KeyboardInterrupt:
        interrupted = True
        raise
    finally:
        pool.shutdown(wait=not interrupted, cancel_futures=interrupted)


def wanted_stages(
    space: Workspace, from_stage: str | None = None, until: str | None = None
) -> list[str]:
    """The stages of this run: all, or those of the notebooks up to that of `until`.

    Raises R1ReproError if one of the two does not exist or `until` comes before `from_stage`.
    """
    names = list(space.stages)
    for name in filter(None, (from_stage, until)):
        space.find(name)
    if until is None:
        return names
    if from_stage and names.index(until) < names.index(from_stage):
        raise R1ReproError(
            f"--until {until} comes before --from {from_stage}: "
            "name a later stage (`r1repro plan` shows the order)"
        )
    last = space.find(until).notebook
    cut = max(i for i, stage in enumerate(space.stages.values()) if stage.notebook == last)
    return names[: cut + 1]


def _notebooks(
    space: Workspace, folder: Path, notebooks: Path, wanted: Sequence[str]
) -> list["_Notebook"]:
    """The notebooks of the wanted stages, in order. Raises R1ReproError if one is missing."""
    found: dict[str, _Notebook] = {}
    for name in wanted:
        notebook = space.find(name).notebook
        if notebook is None:
            raise R1ReproError(f"stage {name} has no notebook: give it one that runs it")
        source = notebooks / f"{notebook}.ipynb"
        if not source.is_file():
            raise R1ReproError(
                f"no notebook {source.name} in {notebooks}: restore it from the checkout"
            )
        found.setdefault(notebook, _Notebook(space, folder, source, [])).stages.append(name)
    return [*found.values()]


def set_aside_from(space: Workspace, from_stage: str) -> None:
    """Move a stage and all its dependents to runs/replaced; R1ReproError if one is being built."""
    space.find(from_stage)
    for name in space.stages:
        if from_stage not in space.with_inputs(name):
            continue
        with space.lock(name) as held:
            if held is None:
                raise R1ReproError(f"{name} is being built by another run: wait for it, or stop it")
            for old in filter(Path.exists, (space.work(name), space.place(name))):
                moved = artifacts.set_aside(old, space.runs)
                print(f"{name} is rebuilt; the old one is in {moved}")


class Terminal:
    """One line per stage, rewritten every second in a terminal, else printed every minute."""

    def __init__(self, space: Workspace, wanted: Sequence[str]) -> None:
        self.space, self.wanted = space, wanted
        self.taken = progress.seconds_taken(space, wanted)
        self.live = sys.stdout.isatty()
        self.every = 1.0 if self.live else 60.0
        self.began: dict[str, float] = {}
        self.shown, self.passing = time.monotonic(), 0
        left = progress.run_left(space, wanted, self.taken, time.time())
        if left:
            print(f"about {duration(left)} to go, estimated for two CPU cores", flush=True)

    def say(self, sentence: str) -> None:
        self._print(sentence)

    def running(self, names: Sequence[str]) -> None:
        now = time.time()
        self.began = {name: self.began.get(name, now) for name in names}
        if time.monotonic() - self.shown > self.every:
            self._print(passing=[self._line(name, self.began[name]) for name in names])
            self.shown = time.monotonic()

    def done(self, result: StageResult, built: bool) -> None:
        name = result.name
        if built:
            self.taken[name] = float(result.manifest["seconds"])
            self._print(self._line(name, self.began.pop(name, time.time())))
        else:
            self._print(f"{_column(name, self.wanted)} cached")

    def _line(self, name: str, began: float) -> str:
        now, last = time.time(), name in self.taken
        folder = self.space.place(name) if last else self.space.work(name)
        lines = artifacts.read_progress(folder, ends=True)
        # Lines of an earlier session say nothing about the pace of this one.
        found = progress.pace(lines, now) if lines and lines[-1]["time"] >= began else None
        if last:
            done = lines[-1]["total"] if lines else 1
            found = progress.Pace(done, done, self.taken[name], 0.0)
        left = progress.run_left(self.space, self.wanted, self.taken, now)
        figures = lines[-1]["figures"] if lines else {}
        return progress.line(_column(name, self.wanted), found, figures, left, now - began)

    def _print(self, *kept: str, passing: Sequence[str] = ()) -> None:
        """Print `kept` over the last passing lines, then `passing`, to be overwritten next time."""
        if not self.live:
            print(*kept, *passing, sep="\n", flush=True)
            return
        # A line that wraps could not be overwritten.
        cut = [line[: shutil.get_terminal_size().columns - 1] for line in passing]
        over = f"\x1b[{self.passing}F\x1b[J" if self.passing else ""
        print(over + "\n".join([*kept, *cut]), flush=True)
        self.passing = len(cut)


@dataclass(frozen=True)
class _Notebook:
    """A notebook of the run in `folder`, and its stages in order."""

    space: Workspace
    folder: Path
    source: Path
    stages: list[str]

    def build(self, show: Terminal) -> dict[str, StageResult]:
        """The results of the stages; if one fails, so does the copy of the notebook."""
        try:
            return build(self.space, self.stages, show)
        except StageFailed as error:
            with suppress(StageFailed):  # raised by the cell of the failed stage
                self._execute({})
            raise self._located(error) from error

    def execute(self, mark: dict[str, Any]) -> None:
        """Execute the notebook once its stages are built; mark: what its copy depends on."""
        try:
            self._execute(mark)
        except StageFailed as error:
            raise self._located(error) from error

    def _execute(self, mark: dict[str, Any]) -> None:
        given = {"config_path": str(self.folder / "resolved.yaml"), "build_missing": False}
        execute(self.source, self.folder, given, mark)

    def _located(self, error: StageFailed) -> StageFailed:
        """The failure with its stage, its notebook and what to do."""
        unfinished = [name for name in self.stages if not self.space.is_done(name)]
        named = [name for name in unfinished if f"stage {name} " in str(error)] or unfinished
        where = f"stage {named[0]}, " if named else ""
        copy = self.folder / "notebooks" / f"{self.source.stem}.failed.ipynb"
        return StageFailed(
            f"{where}notebook {self.source.name}: {error}; the executed cells are in {copy}, and "
            "the same command without --from resumes here"
        )


def execute(
    source: Path, folder: Path, parameters: Mapping[str, Any], mark: Mapping[str, Any]
) -> None:
    """Execute a notebook into `folder`/notebooks; a failed copy is kept as NAME.failed.ipynb.

    mark: stored in the copy's metadata.
    """
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    executed = folder / "notebooks" / source.name
    # The copy gets its final name only once it is complete.
    part = executed.with_name(f"{source.stem}.running.ipynb")
    failed = executed.with_name(f"{source.stem}.failed.ipynb")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            _unformatted(source), _unformatted(part), dict(parameters), kernel_name="python3",
            cwd=ROOT, progress_bar=False, log_output=False,
            start_timeout=300,  # seconds; kernels start slowly on a busy machine
            # Otherwise every kernel prints a warning that it listens on this machine.
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            # The outputs are saved by then, or the run was interrupted; a graceful shutdown would
            # print a traceback in the terminal.
            shutdown_kernel="immediate",
        )  # fmt: skip
    except PapermillExecutionError as error:
        part.replace(failed)
        message = " ".join(str(error.evalue).split())
        if error.ename not in (StageFailed.__name__, R1ReproError.__name__):
            message = f"{error.ename}: {message}"
        raise StageFailed(f"cell {error.exec_count} stopped: {message}") from error
    except DeadKernelError as error:
        raise StageFailed("its kernel died, perhaps because memory ran out") from error
    notebook = json.loads(part.read_text(encoding="utf-8"))
    notebook["metadata"]["r1repro"] = dict(mark)
    notebook["metadata"]["r1repro"]["whole"] = _hash(notebook)
    artifacts.write_atomically(executed, _written(notebook))
    part.unlink()
    failed.unlink(missing_ok=True)


def _unformatted(path: Path) -> str:
    """The path for papermill, which formats it as a template."""
    return str(path).replace("{", "{{").replace("}", "}}")


def mark_of(notebook: Path) -> dict[str, str]:
    """The part of a mark that is of a notebook's source and of the code that it imports."""
    source = hashlib.sha256(notebook.read_bytes()).hexdigest()
    return {"source": source, "code": code_marks.of_notebook(notebook)}


def recorded(executed: Path) -> dict[str, Any] | None:
    """The mark of an executed notebook; None if it has none, or was modified since."""
    try:
        text = executed.read_text(encoding="utf-8")
        notebook = json.loads(text)
        same = text == _written(notebook)
        found: dict[str, Any] = notebook["metadata"]["r1repro"]
        whole = found.pop("whole", None)  # older ones have none
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return found if whole is None or (same and whole == _hash(notebook)) else None


def _hash(notebook: Mapping[str, Any]) -> str:
    return hashlib.sha256(_written(notebook).encode()).hexdigest()


def _written(notebook: Mapping[str, Any]) -> str:
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def _table(results: dict[str, StageResult]) -> None:
    print(f"\n{_column('stage', results)} {'built in':>10}  result")
    seconds = {name: result.manifest["seconds"] for name, result in results.items()}
    for name, result in results.items():
        print(f"{_column(name, results)} {duration(seconds[name]):>10}  {result.folder.name}")
    print(f"{_column('total', results)} {duration(sum(seconds.values())):>10}")


def _column(name: str, names: Iterable[str]) -> str:
    """The name, padded to the longest of `names`."""
    return name.ljust(max(map(len, names)))
