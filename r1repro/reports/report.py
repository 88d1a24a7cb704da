"""The report of one run: its data, from the stored results, and its executed notebook."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from pyarrow import parquet

from r1repro import artifacts, marks
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, Config, ModelConfig, lab, values
from r1repro.evaluation import arms, claims, declared, held_out, moved, problems
from r1repro.evaluation.checkpoints import CHECKPOINTS, EVALUATIONS, evaluated, main
from r1repro.evaluation.claims import Judged
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.moved import Moved
from r1repro.evaluation.results import (
    COSTS,
    Costs,
    Results,
    read_costs,
    write_json,
    write_results,
)
from r1repro.reports import FILES, aha, drawing, figures, held_out_curve
from r1repro.reports.claims import as_data
from r1repro.reports.files import write_figure
from r1repro.reports.sums import SUMS
from r1repro.runner.graph import graph
from r1repro.runner.sequence import ARTICLE, LAB_ARTICLE
from r1repro.tasks import asking, worlds

CURVES = "curves.parquet"
"""Metrics of every RL stage of a run that figures and claims read, by column `stage`."""
RIGHT = "right.parquet"
"""Right answers of every problem and checkpoint, see r1repro.evaluation.problems.counts."""
TAKEN_BACK = "taken_back.parquet"
"""Rows of aha.firsts, without their texts."""
JOINED = (
    held_out.RESULTS, held_out.DIFFERENCES, held_out.REFLECTION, held_out.ANSWERS, CURVES,
    TAKEN_BACK, COSTS, moved.FILE, held_out_curve.FILE,
)  # fmt: skip
"""Files, besides manifest and configuration, that reports of several seeds read of each run."""
STAGES = (
    "base",
    "r1_zero",
    "dev2",
    "r1",
    *(stage for stage, name in EVALUATIONS.items() if not CHECKPOINTS[name].switch),
    "comparison",
)
"""Stages that a finished report needs, besides the ablations that are switched on."""


Execute: TypeAlias = Callable[[str, Path, Mapping[str, Any]], object]
"""Executes the notebook of a name into a run's folder, with parameters."""


@dataclass(frozen=True)
class Report:
    """What a report is made of, for one run or several seeds.

    config: None for several seeds; curves: metrics by stage, averaged over seeds; judged, control:
    the verdicts on the claims, and those on the control; sizes: examples in each data set, by
    stage; taken_back: rows of `aha.firsts` (with a column `seed`); moved: whether each trained
    stage moved; over_training: R1-Zero on held-out problems by step, if it was measured; by_seed,
    r1_zero: measures and R1-Zero's metrics of every seed. For several seeds `held_out` is the mean,
    with the first seed's answers, and `costs` has an entry a seed.
    """

    manifest: Mapping[str, Any]
    config: Config | None
    held_out: HeldOut
    curves: Mapping[str, pd.DataFrame]
    judged: Sequence[Judged] = ()
    control: Sequence[Judged] = ()
    costs: Sequence[Costs] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    taken_back: pd.DataFrame = field(default_factory=pd.DataFrame)
    moved: Mapping[str, Moved] = field(default_factory=dict)
    over_training: Results = field(default_factory=dict)
    by_seed: Mapping[str, Results] = field(default_factory=dict)
    r1_zero: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def summaries(self) -> Results:
        return self.held_out.summaries

    @property
    def changes(self) -> Results:
        return self.held_out.changes

    @property
    def over(self) -> str:
        """What the intervals are over, in words."""
        several = len(self.by_seed)
        return f"over {several} seeds and the problems" if several else "over problems"


def read(results: Mapping[str, StageResult], config: Config, until: str | None = None) -> Report:
    """The report of one run from its finished stages; until: as in `build`."""
    held, costs = measured(results, results.get("comparison"))
    curves = {name: result.metrics() for name, result in results.items() if _has(result, "metrics")}
    taken_back = pd.DataFrame()
    if "r1_zero" in results:
        taken_back = aha.firsts(results["r1_zero"].completions())
    stages_moved = {
        name: moved.facts(rows, moved.weights_of(results[name].folder))
        for name, rows in curves.items()
    }
    if lab.ITERATIVE in results:
        rounds = arms.rounds(results[lab.ITERATIVE].folder, "rounds")
        stages_moved |= {name: moved.facts(rows) for name, rows in rounds.items()}
    light = claims.Light(held.summaries, held.changes, curves, costs, stages_moved)
    return Report(
        _manifest(results, config, until),
        config,
        held,
        curves,
        *claims.ledger([light], config.scale, arms.claims_on(config.lab, [light])),
        costs=[costs],
        sizes={
            name: parquet.read_metadata(result.folder / "dataset.parquet").num_rows
            for name, result in results.items()
            if _has(result, "dataset")
        },
        taken_back=taken_back,
        moved=stages_moved,
        over_training=(
            held_out_curve.by_step(results["r1_zero_curve"].table("curve"))
            if "r1_zero_curve" in results
            else {}
        ),
    )


def _has(result: StageResult, table: str) -> bool:
    return (result.folder / f"{table}.parquet").is_file()


def build(
    run_folder: Path,
    results: Mapping[str, StageResult],
    config: Config,
    wall: Mapping[str, float],
    execute: Execute,
    until: str | None = None,
) -> Path:
    """Write the data of a run's report, execute its notebook and write its pages.

    results: finished stages by name; wall: seconds by name; until: the stage that the run was to
    end with, None for a whole one. If stages are missing, the report covers the others and its
    manifest says that it is unfinished. Returns report.html.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    told = read(results, config, until)
    _write_joined(run_folder, told)
    if evaluations := evaluated(results):
        rows = {
            name: pd.read_parquet(one.folder / "evaluation.parquet", columns=problems.COUNTED)
            for name, one in evaluations.items()
        }
        problems.write_counts(run_folder / RIGHT, problems.counts(rows))
    if "r1_zero" in told.curves and "r1_zero" in told.summaries:
        drawn = figures.headline(told.curves["r1_zero"], main(told.summaries))
        write_figure(drawn, run_folder / "figures" / "headline")
    given = {"config_path": str(run_folder / "resolved.yaml"), "until": until}
    article = ARTICLE if config.lab == "none" else LAB_ARTICLE
    run = partial(execute, article, run_folder, {**given, "build_missing": False})
    return write(run_folder, told, run, wall=dict(wall))


def _write_joined(folder: Path, told: Report) -> None:
    """Write those of JOINED that `write` does not; small, since published versions keep them."""
    curves = [
        rows[[name for name in _CURVES if name in rows]].astype("float32").assign(stage=stage)
        for stage, rows in told.curves.items()
        if "pass_at_1" in rows
    ]
    if curves:
        whole = pd.concat(curves).astype({"step": int})
        whole.to_parquet(folder / CURVES, index=False, compression="zstd", compression_level=19)
    firsts = told.taken_back.reindex(columns=[*aha.KIND, "step"])
    firsts.to_parquet(folder / TAKEN_BACK, index=False)
    write_json(folder / COSTS, told.costs[0])
    moved.write(folder / moved.FILE, told.moved)
    if told.over_training:
        write_results(folder / held_out_curve.FILE, told.over_training)


_CURVES = ["step", "length_wrong", *drawing.PANELS]


def write(folder: Path, told: Report, execute: Callable[[], object], **more: object) -> Path:
    """Write what reports of one and of several runs share; returns report.html.

    That is measures, claims, the executed notebook, the pages, and the manifest with their hashes
    and what `more` adds.
    """
    # Imported here, since stages import this package and nbconvert takes a second.
    from r1repro.reports import notebooks

    # It lists the other files' hashes, so it is deleted first and written last.
    (folder / "manifest.json").unlink(missing_ok=True)
    held_out.write(folder, told.held_out)
    write_json(folder / "claims.json", as_data(told.judged, told.control))
    execute()
    for old in (folder / "notebooks").glob("*.html"):
        old.unlink()
    for name, page in notebooks.pages(notebooks.executed(folder)).items():
        artifacts.write_atomically(folder / name, page)
    short = re.split("-lab-|-until-", folder.name)[0].rsplit("-", 1)[-1]
    named = {"run": folder.name, "hash": short}
    hashes = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    written = {
        **named,
        **told.manifest,
        **more,
        "claims": ledger_hash(lab_of(told.manifest)),
        "files": hashes,
    }
    write_json(folder / "manifest.json", written)
    listed = {*FILES, *JOINED, RIGHT, "manifest.json"} & {*artifacts.files_in(folder)}
    artifacts.write_sums(folder / SUMS, listed)
    return folder / "report.html"


def lab_of(manifest: Mapping[str, Any]) -> str:
    """Which arms of the lab a report is of; "none" for a report of the stages."""
    found: str = manifest["config"].get("lab", "none")
    return found


def ledger_hash(chosen: str = "none") -> str:
    """sha256 of the declared claims that lab=`chosen` is judged by."""
    file = declared.FILE if chosen == "none" else declared.LAB
    return hashlib.sha256(file.read_bytes()).hexdigest()


def measured(
    results: Mapping[str, StageResult], comparison: StageResult | None
) -> tuple[HeldOut, Costs]:
    """The comparison stage's summaries and costs; before it has run, summaries of evaluations."""
    if comparison is not None:
        return held_out.read(comparison.folder), read_costs(comparison.folder)
    evaluations = {name: result.evaluation() for name, result in evaluated(results).items()}
    if lab.ITERATIVE in results:
        evaluations |= arms.rounds(results[lab.ITERATIVE].folder, "validation")
    if any(name.startswith((lab.STAGE, lab.ITERATIVE)) for name in evaluations):
        return HeldOut(*arms.compared(evaluations), {}, pd.DataFrame()), {}
    searched = results.get("base_search")
    ways = {} if searched is None else asking.read_best(searched.folder)
    return held_out.measure(evaluations, ways), {}


def without_places(config: Config) -> Config:
    """The configuration with model folders reduced to their names, for publication."""

    def named(model: ModelConfig) -> ModelConfig:
        return replace(model, path=Path(model.path).name) if model.path else model

    student = config.student
    task = config.task
    own = None if task.path is None else Path(task.path).name
    test = None if task.test_path is None else Path(task.test_path).name

    def last(place: str | None) -> str | None:
        """The name of an absolute path; names on the hub are kept."""
        return Path(place).name if place is not None and Path(place).is_absolute() else place

    traces, teacher = last(config.student.traces), last(config.student.teacher)
    return replace(
        config,
        runs="runs",
        task=replace(task, path=own, test_path=test),
        model=named(config.model),
        student=replace(
            student,
            traces=traces,
            teacher=teacher,
            qwen=named(student.qwen),
            llama=named(student.llama),
        ),
        general=replace(
            config.general, sft=last(config.general.sft), pairs=last(config.general.pairs)
        ),
    )


def needed(config: Config) -> list[str]:
    """The stages that a finished report of this configuration needs."""
    if config.lab != "none":
        return list(graph(config))
    switched = ((stage, CHECKPOINTS[name].switch) for stage, name in EVALUATIONS.items())
    return [*STAGES, *(n for n, switch in switched if switch and getattr(config.ablation, switch))]


def stages_of(results: Mapping[str, StageResult], config: Config) -> dict[str, dict[str, Any]]:
    """What a manifest says of the stages; this_code: whether the code as it is now built them."""
    named = ("key", "version", "inputs", "code", "seconds", "hardware", "versions")
    found = {name: {n: result.manifest.get(n) for n in named} for name, result in results.items()}
    runs = {name: stage.run for name, stage in graph(config).items()}
    code = marks.of_functions(set(runs.values()))
    for name, stage in found.items():
        stage["this_code"] = stage["code"] == code[runs[name]]
    return found


def _arms(results: Mapping[str, StageResult], config: Config) -> dict[str, Any]:
    """Method, notebooks and changes of the lab's arms, and the completions that each sampled."""
    found = {}
    for name, arm in lab.shown_in(config.lab).items():
        if (stage := f"{lab.STAGE}{name}") in results:
            steps = None if arm.offline else int(results[stage].metrics()["step"].max())
            found[name] = {
                "method": arm.method,
                "shown_in": list(arm.shown_in),
                "changes": dict(arm.changes),
                "samples": arms.sampled(arm, config, steps),
            }
    return found


def _manifest(
    results: Mapping[str, StageResult], config: Config, until: str | None
) -> dict[str, Any]:
    data = worlds.of(config.task).facts
    stages = stages_of(results, config)
    of_lab = {} if config.lab == "none" else {"lab": config.lab, "arms": _arms(results, config)}
    from_base = {"r1_zero", *(f"{lab.STAGE}{arm}" for arm in lab.arms())}
    trained = next((name for name in stages if name in from_base), "")
    config = without_places(config)
    plain = {
        name: values(config, name)
        for name in (
            "seed", "base_seed", "model", "task", "stage", "student", "ablation", "evaluation",
            "engine", "launch", "general",
        )
    }  # fmt: skip
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "until": until,
        "finished": until is not None or all(name in results for name in needed(config)),
        "scale": config.scale,
        "task": config.task.name,
        "data": data,
        "seeds": {
            "seed": config.seed,
            "base_seed": config.base_seed,
            "world_seed": config.task.world_seed,
        },
        "git": marks.git_state(ROOT),
        "code": marks.everything(),
        "config": plain | of_lab,
        "versions": artifacts.versions(),
        # of the training process if known, since this one may not see the GPU
        "hardware": stages.get(trained, {}).get("hardware") or artifacts.hardware(),
        "stages": stages,
    }
