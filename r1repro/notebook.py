"""The notebooks' interface: open a run, build or load stages, show their progress."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from IPython.core.error import StdinNotImplementedError
from IPython.display import HTML, DisplayHandle, display

from r1repro import artifacts, notebook_parameters
from r1repro.artifacts import StageResult
from r1repro.config import Config, changed, compose, load
from r1repro.config.validate import validate
from r1repro.duration import duration
from r1repro.errors import R1ReproError, offered
from r1repro.evaluation import checkpoints
from r1repro.planning import preflight
from r1repro.runner import progress
from r1repro.runner.build import build, failure
from r1repro.runner.health import of_stages
from r1repro.runner.sequence import wanted_stages
from r1repro.runner.workspace import Workspace

REFRESH_SECONDS = 2.0
# Otherwise every model that a cell loads leaves a progress bar in the page.
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@dataclass(frozen=True)
class Run:
    """A configuration and the results that belong to it."""

    config: Config
    build_missing: bool | Literal["ask"] = "ask"

    @cached_property
    def space(self) -> Workspace:
        return Workspace(self.config)

    def stage(self, name: str) -> StageResult:
        """The stage's result, from the cache or built with live progress; see `stages`."""
        return self.stages(name)[name]

    def stages(self, *names: str) -> dict[str, StageResult]:
        """The results of these stages; missing ones are built, in parallel if the cores allow it.

        Missing inputs are built first, after a prompt if `build_missing` is "ask" and the session
        is interactive. Raises R1ReproError if building is declined or not allowed, and StageFailed
        if a stage fails.
        """
        for name in names:
            self.space.find(name)
        missing = [n for n in self.space.with_inputs(*names) if not self.space.is_done(n)]
        if self.build_missing is False and missing:
            raise R1ReproError(
                f"{missing[0]} is not built{failure(self.space, missing[0])}: run `r1repro run`, "
                "or this notebook with build_missing=True"
            )
        inputs = [name for name in missing if name not in names]
        if inputs and self.build_missing == "ask":
            self._ask(names, inputs)
        if missing:
            preflight.check(self.config, missing)
        built = build(self.space, [*inputs, *names], Live(self.space))
        return {name: built[name] for name in names}

    def evaluations(self, *checkpoints: str) -> dict[str, Any]:
        """Rows of the evaluations of these checkpoints, by name; see `stages`."""
        named = {name: f"evaluate_{name}" for name in checkpoints}
        made = self.stages(*named.values())
        return {name: made[stage].evaluation() for name, stage in named.items()}

    def built(self, until: str | None = None) -> dict[str, StageResult]:
        """Every stage that is built, of a run that ends with the notebook of `until` if given."""
        names = wanted_stages(self.space, until=until)
        found = {name: self.space.load(name) for name in names}
        return {name: result for name, result in found.items() if result is not None}

    def of_lab(self, notebook: str) -> "Run":
        """The same run, with the stages that a notebook of the lab trains."""
        return replace(self, config=replace(self.config, lab=notebook))

    def ask(
        self, checkpoint: str, question: str, n: int = 16, answer: str | None = None, seed: int = 0
    ) -> pd.DataFrame:
        """`n` answers of a policy; see `r1repro.answers`."""
        # Imported here, since the other cells of a notebook need no torch.
        from r1repro.answers import answers
        from r1repro.stages.models import load_model, load_tokenizer

        policies = [name for name, one in checkpoints.CHECKPOINTS.items() if not one.trained]
        if checkpoint not in policies:
            named = offered(checkpoint, policies, "r1repro/evaluation/checkpoints.py has")
            raise R1ReproError(f"{checkpoint} is not a policy that answers questions: give {named}")
        place = self.stage(checkpoint).folder / "model"
        return answers(
            load_model(place, self.config.engine).eval(), load_tokenizer(place),
            checkpoints.form(self.config, checkpoint), question, self.config.stage.r1_zero,
            n, answer, seed,
        )  # fmt: skip

    def trial(self, steps: int = 40, **settings: Any) -> pd.DataFrame:
        """The training metrics of a short R1-Zero with other settings, such as `beta=0.0`.

        It is a stage of its own beside this run's, from the same base, and is kept like any other.
        Raises R1ReproError for a setting of `stage.r1_zero` that does not exist or a wrong value.
        """
        known, config = sorted(vars(self.config.stage.r1_zero)), self.config
        for name, value in {"steps": steps, **settings}.items():
            if name not in known:
                named = offered(name, known, "r1repro/config/schema.py has")
                raise R1ReproError(f"stage.r1_zero has no setting {name!r}: give {named}")
            config = changed(config, f"stage.r1_zero.{name}", value)
        validate(config)
        return Run(config, True).stage("r1_zero").metrics()

    def doctor(self, *names: str) -> None:
        """Print the doctor's findings on these stages, each with its remedy."""
        print("\n".join(of_stages(self.config, names).lines()))

    def _ask(self, names: Sequence[str], inputs: Sequence[str]) -> None:
        cost = sum(progress.seconds_left(self.space, name, time.time()) for name in inputs)
        what = (
            f"{', '.join(names)} needs {' and '.join(inputs)}, not built yet at "
            f"scale={self.config.scale}: about {duration(cost)} on two CPU cores (an estimate)"
        )
        print(what)
        try:
            agreed = input("Build it now? [y/n] ").strip().lower() in ("y", "yes")
        except (StdinNotImplementedError, EOFError):
            print("Not interactive: building it.")
            return
        if not agreed:
            raise R1ReproError(
                f"{what}: run the notebook before this one, `r1repro run`, or this one with "
                "build_missing=True"
            )


def open_run(
    config_path: str | Path | None = None,
    overrides: Sequence[str] | str = (),
    build_missing: bool | str = "ask",
) -> Run:
    """Open the run of a notebook.

    config_path: the resolved.yaml of a run; without it the configuration is composed from conf/
    and `overrides`. Raises R1ReproError for a parameter or a setting that is not accepted.
    """
    notebook_parameters.check_names()
    place, settings = notebook_parameters.file(config_path), notebook_parameters.settings(overrides)
    build_or_not = notebook_parameters.build_or_not(build_missing)
    if place and settings:
        raise R1ReproError("config_path and overrides were both given: give only one of them")
    config = load(place) if place else compose(settings)
    # A run's models were checked by its command; those of other stages, before they are built.
    preflight.check(config, () if place or build_or_not is False else None)
    return Run(config, build_or_not)


class Live:
    """Progress bar and curves per stage below a cell, refreshed at most every REFRESH_SECONDS."""

    def __init__(self, space: Workspace) -> None:
        self._space = space
        self._shown = 0.0
        self._handles: dict[str, DisplayHandle | None] = {}

    def say(self, sentence: str) -> None:
        print(sentence)

    def running(self, names: Sequence[str]) -> None:
        if time.monotonic() - self._shown < REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        for name in names:
            lines = artifacts.read_progress(self._space.work(name))
            self._show(name, progress.page(name, lines, progress.pace(lines, time.time())))

    def done(self, result: StageResult, built: bool) -> None:
        lines, page = artifacts.read_progress(result.folder), ""
        if lines and (pace := progress.pace(lines, lines[-1]["time"])):
            # The last steps may not have been logged.
            page = progress.page(result.name, lines, replace(pace, step=pace.total, left=None))
        seconds = duration(result.manifest["seconds"])
        how = "built" if built else "loaded"
        machine = result.manifest["hardware"].get("processor", "")
        line = f"<p>{result.name}: {how} {result.folder.name}, {seconds} on {machine}</p>"
        self._show(result.name, page + line)

    def _show(self, name: str, page: str) -> None:
        handle = self._handles.get(name)
        if handle is None:  # the first time, and always outside of IPython
            self._handles[name] = display(HTML(page), display_id=True)
        else:
            handle.update(HTML(page))
