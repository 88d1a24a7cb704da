"""The report of one run: its data, from stored results, and its executed notebook."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
from pyarrow import parquet

from r1repro import artifacts, code_marks
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, Config, changed, lab, values
from r1repro.evaluation import (
    arms,
    claim_definitions,
    claims,
    held_out,
    per_problem,
    training_moved,
)
from r1repro.evaluation.checkpoints import CHECKPOINTS, EVALUATIONS, evaluated, main
from r1repro.evaluation.claims import Judged
from r1repro.evaluation.held_out import HeldOut
from r1repro.evaluation.results import (
    COSTS,
    Costs,
    Results,
    read_costs,
    write_json,
    write_results,
)
from r1repro.evaluation.training_moved import Moved
from r1repro.reports import FILES, RESOLVED, aha, drawing, figures, held_out_curve
from r1repro.reports.claims_ledger import as_data
from r1repro.reports.files import SUMS
from r1repro.runner.graph import graph
from r1repro.runner.sequence import ARTICLE, LAB_ARTICLE
from r1repro.tasks import prompting, worlds

CURVES = "curves.parquet"
"""Metrics of every RL stage that figures and claims read, with a column `stage`."""
RIGHT = "right.parquet"
"""Right answers by problem and checkpoint; see r1repro.evaluation.per_problem.counts."""
TAKEN_BACK = "taken_back.parquet"
"""Rows of aha.firsts without their texts."""
JOINED = (
    held_out.RESULTS, held_out.DIFFERENCES, held_out.REFLECTION, held_out.ANSWERS, CURVES,
    TAKEN_BACK, COSTS, training_moved.FILE, held_out_curve.FILE,
)  # fmt: skip
"""Files that a report of several seeds reads of each run, besides manifest and configuration."""
STAGES = (
    "base",
    "r1_zero",
    "dev2",
    "r1",
    *(stage for stage, name in EVALUATIONS.items() if not CHECKPOINTS[name].switch),
    "comparison",
)
"""Stages that a finished report needs, besides the ablations that are switched on."""
PLACES = (
    "task.path", "task.test_path", "model.path", "student.qwen.path", "student.llama.path",
    "student.traces", "student.teacher", "general.sft", "general.pairs",
)  # fmt: skip
"""Settings that may be paths of this machine."""
_CURVES = ["step", "length_wrong", *drawing.PANELS]

Execute: TypeAlias = Callable[[str, Path, Mapping[str, Any]], object]
"""Executes a notebook, given its name, a run's folder and parameters, into the folder."""


@dataclass(frozen=True)
class Report:
    """What a report is made of, for one run or several seeds.

    Of several seeds config is None, held_out has means and the answers of the first, curves are
    means, and taken_back has a column `seed`. curves: metrics by stage. judged, control: verdicts
    on the claims, and on the control. costs: one entry per run. sizes: examples in each data set.
    taken_back: rows of `aha.firsts`. moved: whether each trained stage moved. over_training:
    R1-Zero on held-out problems by step. by_seed, r1_zero: measures and R1-Zero's metrics by seed.
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
        """What the intervals are taken over, in words."""
        several = len(self.by_seed)
        return f"over {several} seeds and the problems" if several else "over problems"

    @property
    def light(self) -> claims.Light:
        """What claims need of one run."""
        return claims.Light(self.summaries, self.changes, self.curves, self.costs[0], self.moved)

    @property
    def seed(self) -> str:
        """The seeds of one run, in words."""
        seeds = self.manifest["seeds"]
        return f"seed {seeds['seed']}, base seed {seeds['base_seed']}"


def read(results: Mapping[str, StageResult], config: Config, until: str | None = None) -> Report:
    """The report of one run from its finished stages; until: as in `build`."""
    held, costs = _measured(results)
    curves = {name: result.metrics() for name, result in results.items() if _has(result, "metrics")}
    stages_moved = {
        name: training_moved.facts(rows, training_moved.weights_of(results[name].folder))
        for name, rows in curves.items()
    }
    if lab.ITERATIVE in results:
        rounds = arms.rounds(results[lab.ITERATIVE].folder, "rounds")
        stages_moved |= {name: training_moved.facts(rows) for name, rows in rounds.items()}
    told = Report(
        _manifest(results, config, until),
        config,
        held,
        curves,
        costs=[costs],
        sizes={
            name: parquet.read_metadata(result.folder / "dataset.parquet").num_rows
            for name, result in results.items()
            if _has(result, "dataset")
        },
        moved=stages_moved,
    )
    on = arms.claims_on(config.lab, [told.light])
    judged, control = claims.ledger([told.light], config.scale, on)
    told = replace(told, judged=judged, control=control)
    if "r1_zero" in results:
        told = replace(told, taken_back=aha.firsts(results["r1_zero"].completions()))
    if "r1_zero_curve" in results:
        curve = results["r1_zero_curve"].table("curve")
        told = replace(told, over_training=held_out_curve.by_step(curve))
    return told


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

    results: finished stages by name; wall: seconds by name; until: the stage that the run ends
    with, None for a whole run. If stages are missing, the report covers the others and its manifest
    says that it is unfinished. Returns report.html.
    """
    run_folder.mkdir(parents=True, exist_ok=True)
    told = read(results, config, until)
    _write_joined(run_folder, told)
    if evaluations := evaluated(results):
        rows = {
            name: pd.read_parquet(one.folder / "evaluation.parquet", columns=per_problem.COUNTED)
            for name, one in evaluations.items()
        }
        per_problem.write_counts(run_folder / RIGHT, per_problem.counts(rows))
    if "r1_zero" in told.curves and "r1_zero" in told.summaries:
        drawn = figures.headline(told.curves["r1_zero"], main(told.summaries))
        drawing.save(drawn, run_folder / "figures" / "headline")
    given = {"config_path": str(run_folder / RESOLVED), "until": until, "build_missing": False}
    article = ARTICLE if config.lab == "none" else LAB_ARTICLE
    run = partial(execute, article, run_folder, given)
    return write(run_folder, told, run, wall=dict(wall))


def _write_joined(folder: Path, told: Report) -> None:
    """Write the files of JOINED that `write` does not, small, since versions keep them."""
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
    training_moved.write(folder / training_moved.FILE, told.moved)
    if told.over_training:
        write_results(folder / held_out_curve.FILE, told.over_training)


def write(folder: Path, told: Report, execute: Callable[[], object], **more: object) -> Path:
    """Write what reports of one and of several runs share; returns report.html.

    That is measures, claims, executed notebook, pages, and the manifest with `more` in it.
    """
    # Imported here, since nbconvert takes a second.
    from r1repro.reports import notebooks

    # It has the hashes of other files, so it is deleted first and written last.
    (folder / "manifest.json").unlink(missing_ok=True)
    held_out.write(folder, told.held_out)
    write_json(folder / "claims.json", as_data(told.judged, told.control))
    execute()
    for old in (folder / "notebooks").glob("*.html"):
        old.unlink()
    for name, page in notebooks.pages(notebooks.executed(folder)).items():
        artifacts.write_atomically(folder / name, page)
    written = {
        "run": folder.name,
        "hash": re.split("-lab-|-until-", folder.name)[0].rsplit("-", 1)[-1],
        **told.manifest,
        **more,
        "claims": ledger_hash(lab_of(told.manifest)),
        "files": {name: artifacts.sha256(folder / name) for name in FILES},
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
    return artifacts.sha256(claim_definitions.FILE if chosen == "none" else claim_definitions.LAB)


def _measured(results: Mapping[str, StageResult]) -> tuple[HeldOut, Costs]:
    """Summaries and costs of the comparison stage; until it has run, summaries of evaluations."""
    if "comparison" in results:
        folder = results["comparison"].folder
        return held_out.read(folder), read_costs(folder)
    evaluations = {name: result.evaluation() for name, result in evaluated(results).items()}
    if lab.ITERATIVE in results:
        evaluations |= arms.rounds(results[lab.ITERATIVE].folder, "validation")
    if lab.ITERATIVE in results or any(name in lab.trained() for name in evaluations):
        return HeldOut(*arms.compared(evaluations), {}, pd.DataFrame()), {}
    ways = prompting.read_best(results["base_search"].folder) if "base_search" in results else {}
    return held_out.measure(evaluations, ways), {}


def without_places(config: Config) -> Config:
    """The configuration with absolute paths reduced to their last names, for publication."""
    config = replace(config, runs="runs")
    for name in PLACES:
        place = Path(attrgetter(name)(config) or "")
        if place.is_absolute():  # others are names on the hub
            config = changed(config, name, place.name)
    return config


def listed(value: object) -> str:
    """A value, or the distinct ones of a list, as text."""
    if not isinstance(value, list | tuple):
        return str(value)
    return ", ".join(map(str, dict.fromkeys(value))) or "none"


def commit(git: Mapping[str, Any], length: int = 40) -> str:
    """A manifest's commit, and whether there were changes, as text."""
    return (git["commit"] or "none")[:length] + (" + uncommitted changes" if git["dirty"] else "")


def needed(config: Config) -> list[str]:
    """The stages that a finished report of this configuration needs."""
    if config.lab != "none":
        return list(graph(config))
    switched = ((stage, CHECKPOINTS[name].switch) for stage, name in EVALUATIONS.items())
    return [*STAGES, *(n for n, switch in switched if switch and getattr(config.ablation, switch))]


def stages_of(results: Mapping[str, StageResult], config: Config) -> dict[str, dict[str, Any]]:
    """What a manifest says of the stages; this_code: whether the present code built them."""
    kept = ("key", "version", "inputs", "code", "seconds", "hardware", "versions")
    runs = {name: stage.run for name, stage in graph(config).items()}
    code = code_marks.of_functions(set(runs.values()))
    return {
        name: {entry: result.manifest.get(entry) for entry in kept}
        | {"this_code": result.manifest.get("code") == code[runs[name]]}
        for name, result in results.items()
    }


def _arms(results: Mapping[str, StageResult], config: Config) -> dict[str, Any]:
    """The lab's arms: method, notebooks, changes, and the number of completions sampled."""
    found = {}
    for name, arm in lab.shown_in(config.lab).items():
        if (stage := lab.stage(name)) in results:
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
    from_base = {"r1_zero", *lab.trained()}
    trained = next((stage for name, stage in stages.items() if name in from_base), {})
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
        "git": code_marks.git_state(ROOT),
        "code": code_marks.everything(),
        "config": plain | of_lab,
        "versions": artifacts.versions(),
        # of the training process if known, since this one may not see the GPU
        "hardware": trained.get("hardware") or artifacts.hardware(),
        "stages": stages,
    }
