"""The whole sequence: every notebook in order by papermill, then the report.

A notebook whose executed copy is still true (same stage keys, same source, same code) is not
executed again; the stages themselves are cached one by one (r1repro.stages.process).
"""

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from r1repro import artifacts, preflight
from r1repro.artifacts import Damaged, StageResult
from r1repro.config import ROOT, Config, runs_folder, save
from r1repro.duration import duration
from r1repro.errors import R1ReproError, StageFailed
from r1repro.stages import Stage, display, find, graph, nursery, state


@dataclass(frozen=True)
class Outcome:
    """What a run left: its folder, the results by stage, and the report on them."""

    folder: Path
    results: dict[str, StageResult]
    report: Path


def run_folder(config: Config) -> Path:
    """runs/<scale>-<task>-seed<seed>-<hash of every key>/."""
    short = artifacts.digest(state.keys(config))[:8]
    name = f"{config.scale}-{config.task.name}-seed{config.seed}-{short}"
    # A part of the stages makes a report of its own, and leaves that of a whole run alone.
    return runs_folder(config) / (f"{name}-until-{config.until}" if config.until else name)


def run(config: Config, notebooks: Path = ROOT / "notebooks") -> Outcome:
    """Execute the notebooks up to `config.until`, building `config.from_stage` and later anew.

    Prints a line a stage and a table at the end. Raises R1ReproError before anything runs if the
    stages or notebooks named do not exist, and StageFailed naming stage, notebook and reason.
    """
    wanted = wanted_stages(config)
    plan = _notebooks(config, wanted)
    for name in plan:
        if not (notebooks / f"{name}.ipynb").is_file():
            raise R1ReproError(
                f"no notebook {name}.ipynb in {notebooks}: restore it from the checkout"
            )
    preflight.check(config)
    preflight.check_room(config, wanted)
    folder = run_folder(config)
    with artifacts.lock(folder / "lock") as held:
        if held is None:
            owner = (folder / "lock").read_text().strip()
            raise R1ReproError(
                f"{folder} is in use by process {owner}: wait for it, or end it and run again"
            )
        print(f"run: {folder}", flush=True)
        if config.from_stage is not None:
            _set_aside_from(config)
        # What a notebook and a stage see is the same whether or not the run was cut.
        save(replace(config, from_stage=None, until=None), folder / "resolved.yaml")
        began = time.time()
        _announce(config, wanted)
        with nursery.shared():
            executed = [
                _execute(config, folder, notebooks / f"{name}.ipynb", stages, wanted)
                for name, stages in plan.items()
            ]
        results = {name: _result(config, name) for name in wanted}
        _table(results)
        report = _report(config, folder, results, time.time() - began if any(executed) else None)
        return Outcome(folder, results, report)


def run_seeds(configs: Sequence[Config]) -> Path:
    """Run each configuration in turn, and write one report of all; returns its path."""
    from r1repro.reports import seeds

    if len(configs) < 2:
        raise R1ReproError("--multirun wants several seeds, such as seed=0,1,2")
    for config in configs:  # before any run, or a later one would set aside what an earlier built
        if config.from_stage is not None:
            wanted_stages(config)
            _set_aside_from(config)
    folders = [run(replace(config, from_stage=None)).folder for config in configs]
    first = configs[0]
    short = artifacts.digest([folder.name for folder in folders])[:8]
    name = f"{first.scale}-{first.task.name}-{len(folders)}seeds-{short}"
    if first.until is not None:
        name = f"{name}-until-{first.until}"
    return seeds.join(folders, runs_folder(first) / name)


def wanted_stages(config: Config) -> list[str]:
    """The stages of this run: all, or those of the notebooks up to the one of `until`."""
    names = list(graph(config))
    for name in filter(None, (config.from_stage, config.until)):
        find(name, config)
    if config.until is None:
        return names
    if config.from_stage and names.index(config.until) < names.index(config.from_stage):
        raise R1ReproError(
            f"until={config.until} comes before from={config.from_stage}: "
            "name a later stage (`r1repro plan` shows the order)"
        )
    last = graph(config)[config.until].notebook
    cut = max(i for i, stage in enumerate(graph(config).values()) if stage.notebook == last)
    return names[: cut + 1]


def _notebooks(config: Config, wanted: list[str]) -> dict[str, list[str]]:
    """Each notebook with the stages that its cells run, in order."""
    found: dict[str, list[str]] = {}
    for name in wanted:
        notebook = graph(config)[name].notebook
        if notebook is not None:
            found.setdefault(notebook, []).append(name)
    return found


def _set_aside_from(config: Config) -> None:
    """Take from_stage and all that is made from it out of the cache; nothing is deleted."""
    runs = runs_folder(config)
    for name in graph(config):
        if config.from_stage not in state.with_inputs(config, name):
            continue
        work, result = state.work_folder(config, name), state.result_folder(config, name)
        with artifacts.lock(work.with_name(work.name + ".lock")) as held:
            if held is None:
                raise R1ReproError(f"{name} is being built by another run: wait for it, or end it")
            for old in filter(Path.exists, (work, result)):
                print(f"{name} is built anew; the old one is {artifacts.set_aside(old, runs)}")


def _announce(config: Config, wanted: list[str]) -> None:
    now = time.time()
    left = state.run_left(config, wanted, state.seconds_taken(config, wanted), now)
    if left:
        print(f"about {duration(left)} to go, by figures from two CPU cores", flush=True)
    for name in wanted:
        try:
            result = state.load(config, name)
        except Damaged as error:
            print(error, flush=True)
            continue
        if result is not None and result.manifest.get("code") != artifacts.code_hash():
            print(f"{name}: built by other code than this, and used; from={name} builds it anew")


def _execute(
    config: Config, folder: Path, source: Path, stages: list[str], wanted: list[str]
) -> bool:
    """Execute one notebook, unless its executed copy is still true (then False)."""
    executed = folder / "notebooks" / source.name
    mark = _mark(config, source, wanted[: wanted.index(stages[-1]) + 1])
    done = all(state.is_done(config, name) for name in stages)
    if done and executed.is_file() and _recorded(executed) == mark:
        for name in stages:
            print(_column(name, wanted), "done before", flush=True)
        return False
    # The copy gets its name only when it is whole.
    part = executed.with_name(f"{source.stem}.running.ipynb")
    failed = executed.with_name(f"{source.stem}.failed.ipynb")
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        with _followed(config, stages, wanted):
            _papermill(source, part, folder / "resolved.yaml")
    except StageFailed as error:
        if part.is_file():
            part.replace(failed)
        unfinished = [name for name in stages if not state.is_done(config, name)]
        # Of stages side by side it need not be the first.
        named = [name for name in unfinished if f"stage {name} " in str(error)] or unfinished
        where = f"stage {named[0]}, " if named else ""
        raise StageFailed(
            f"{where}notebook {source.name}: {error}; the cells up to there are in {failed}, "
            "and the same command, without from=, continues from here"
        ) from error
    notebook = json.loads(part.read_text(encoding="utf-8"))
    notebook["metadata"]["r1repro"] = mark
    artifacts.write_atomically(executed, json.dumps(notebook, ensure_ascii=False, indent=1) + "\n")
    part.unlink()
    failed.unlink(missing_ok=True)
    return True


def _papermill(source: Path, target: Path, resolved: Path) -> None:
    import logging

    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    logging.getLogger("papermill").setLevel(logging.ERROR)
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
    parameters = {"config_path": str(resolved), "overrides": [], "build_missing": True}
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters,
            kernel_name="python3",
            cwd=ROOT,
            progress_bar=False,
            log_output=False,
            start_timeout=300,  # seconds; a busy machine takes its time to start a kernel
            # or every kernel warns in the terminal that it listens on this machine
            extra_arguments=["--IPKernelApp.log_level=ERROR"],
            # All that a kernel holds is in the notebook by then, or the run was interrupted; asked
            # to end by itself it would first write a traceback into the terminal.
            shutdown_kernel="immediate",
        )
    except PapermillExecutionError as error:
        said = " ".join(str(error.evalue).split())
        if error.ename not in (StageFailed.__name__, R1ReproError.__name__):
            said = f"{error.ename}: {said}"
        raise StageFailed(f"cell {error.exec_count} stopped: {said}") from error
    except DeadKernelError as error:
        raise StageFailed("its kernel died, perhaps for want of memory") from error


def _mark(config: Config, source: Path, stages: list[str]) -> dict[str, Any]:
    """What the executed copy of a notebook depends on."""
    all_keys = state.keys(config)
    return {
        "source": hashlib.sha256(source.read_bytes()).hexdigest(),
        "code": artifacts.code_hash(),
        "keys": {name: all_keys[name] for name in stages},
    }


def _recorded(executed: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(executed.read_text(encoding="utf-8"))["metadata"].get("r1repro")
    except (ValueError, KeyError):
        return None
    return found if isinstance(found, dict) else None


def _result(config: Config, name: str) -> StageResult:
    result = state.load(config, name)
    if result is None:
        notebook = graph(config)[name].notebook
        raise StageFailed(f"stage {name} was not built by notebook {notebook}: it has to run it")
    return result


@contextmanager
def _followed(config: Config, stages: list[str], wanted: list[str]) -> Iterator[None]:
    """Show the notebook's stages in the terminal while the body runs."""
    stop = threading.Event()
    follower = threading.Thread(target=_follow, args=(config, stages, wanted, stop), daemon=True)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()


def _follow(config: Config, stages: list[str], wanted: list[str], stop: threading.Event) -> None:
    live = sys.stdout.isatty()
    every = 1.0 if live else 60.0
    # A finished result is read and verified once, not once a second beside what is being trained.
    taken = state.seconds_taken(config, wanted)
    stages_here = graph(config)
    results = {name: state.result_folder(config, name) for name in stages}
    works = {name: state.work_folder(config, name) for name in stages}
    began: dict[str, float] = {}  # when this run came to a stage, in seconds since 1970
    open_stages, shown, passing = list(stages), time.monotonic(), 0
    while True:
        now, stopping = time.time(), stop.wait(0.5)
        ended = []
        for name in _possible(open_stages, stages_here):
            if not (results[name].exists() and state.is_done(config, name)):
                continue
            open_stages.remove(name)
            found = state.seconds_taken(config, [name])
            if found.items() <= taken.items():
                ended.append(f"{_column(name, wanted)} done before")
            else:
                taken |= found
                ended.append(_line(config, name, wanted, taken, began.get(name, now)))
        if stopping and not ended:
            break
        possible = _possible(open_stages, stages_here)
        beside = [name for name in possible if stages_here[name].half and works[name].exists()]
        running = beside or possible[:1]
        began = {name: began.get(name, now) for name in running}
        if ended or (running and not stopping and time.monotonic() - shown > every):
            seen = running if live or not ended else []
            lines = [_line(config, name, wanted, taken, began[name]) for name in seen]
            passing = _show(ended, lines, passing, live)
            shown = time.monotonic()


def _possible(names: list[str], stages: dict[str, Stage]) -> list[str]:
    """Those that need none of the others: the first, and what may be built beside it."""
    return [name for name in names if not set(stages[name].inputs) & set(names)]


def _show(ended: list[str], running: list[str], passing: int, live: bool) -> int:
    """Print the lines, over the last `passing` ones; returns how many may be written over next."""
    if not live:
        print(*ended, *running, sep="\n", flush=True)
        return 0
    # A line that wraps could not be written over.
    cut = [line[: shutil.get_terminal_size().columns - 1] for line in running]
    over = f"\x1b[{passing}F\x1b[J" if passing else ""
    print(over + "\n".join([*ended, *cut]), flush=True)
    return len(cut)


def _line(
    config: Config, name: str, wanted: list[str], taken: dict[str, float], began: float
) -> str:
    """One stage; `began`: when this run came to it, in seconds since 1970."""
    now = time.time()
    last = name in taken
    place = state.result_folder(config, name) if last else state.work_folder(config, name)
    lines = artifacts.read_progress(place)
    # Lines of an earlier session tell nothing of how this one gets on.
    found = state.pace(lines, now) if lines and lines[-1]["time"] >= began else None
    if last:
        done = lines[-1]["total"] if lines else 1
        found = state.Pace(done, done, taken[name], 0.0)
    left = state.run_left(config, wanted, taken, now)
    figures = lines[-1]["figures"] if lines else {}
    return display.line(_column(name, wanted), found, figures, left, now - began)


def _table(results: dict[str, StageResult]) -> None:
    print(f"\n{_column('stage', results)} {'time':>10}  result")
    for name, result in results.items():
        took = duration(result.manifest["seconds"])
        print(f"{_column(name, results)} {took:>10}  {result.folder.name}")
    total = duration(sum(result.manifest["seconds"] for result in results.values()))
    print(f"{_column('total', results)} {total:>10}")


def _column(name: str, names: Iterable[str]) -> str:
    """A name, filled up to the longest of these."""
    return name.ljust(max(map(len, names)))


def _report(
    config: Config, folder: Path, results: dict[str, StageResult], seconds: float | None
) -> Path:
    """Build the report, unless the one that stands there says all this already.

    `seconds` is the wall time of this run; None where nothing was executed, and then the report
    keeps the time of the run that did.
    """
    from r1repro import reports

    told = _told(folder)
    if seconds is None and told.get("finished") and _facts(told) == _current_facts(results):
        return folder / "report.html"
    wall = {name: result.manifest["seconds"] for name, result in results.items()}
    whole = seconds if seconds is not None else told.get("wall", {}).get("this run")
    if whole is not None:
        wall["this run"] = round(whole, 2)
    return reports.build(folder, results, config, wall)


def _told(folder: Path) -> dict[str, Any]:
    """The manifest of the report in a run's folder, empty unless its files are there unchanged."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name, sha in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != sha:
                return {}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _facts(manifest: dict[str, Any]) -> dict[str, Any]:
    keys = {name: entry["key"] for name, entry in manifest["stages"].items()}
    return {"keys": keys, **{name: manifest[name] for name in ("git", "code", "versions")}}


def _current_facts(results: dict[str, StageResult]) -> dict[str, Any]:
    from r1repro.reports.report import git_state

    return {
        "keys": {name: result.key for name, result in results.items()},
        "git": git_state(ROOT),
        "code": artifacts.code_hash(),
        "versions": artifacts.versions(),
    }
