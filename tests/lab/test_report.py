"""The lab's report of made-up arms: of one run, joined over seeds, and published."""

import copy
import json
import shutil
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from r1repro import artifacts
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, compose, lab, save
from r1repro.errors import R1ReproError
from r1repro.evaluation import arms, claim_definitions, claims, metrics, per_problem
from r1repro.evaluation.claim_definitions import Change
from r1repro.evaluation.results import read_results
from r1repro.lab import report as of_lab
from r1repro.reports import report, seeds
from r1repro.reports.files import SUMS
from r1repro.reports.publish import publish
from r1repro.runner.sequence import run_folder
from r1repro.runner.workspace import Workspace
from r1repro.stages import iterative
from tests.hygiene import faults
from tests.reports import in_process
from tests.reports.conftest import repository
from tests.reports.made_up import evaluation, rl_metrics

PASS, SMALL = arms.PASS, 0.005
CLEAN = {"commit": "c" * 40, "dirty": False}
SKILLS = {
    "ppo_95_1": 0.2,
    "ppo_95_3": 0.3,
    "ppo_95_double": 0.1,
    "process": 0.9,
    "grpo_half": 0.9,
    "grpo_double": 0.8,
    "refreshed": 0.8,
}
"""Of made-up arms and rounds; the others have 0.6."""
ROUNDS = {f"{lab.ITERATIVE}/{name}" for name in iterative.ROUNDS}


@pytest.fixture(scope="module", autouse=True)
def quick():
    """Few draws of the bootstrap, and a checkout without changes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("r1repro.evaluation.metrics.compare", partial(metrics.compare, draws=200))
        patch.setattr("r1repro.code_marks.git_state", lambda checkout: CLEAN)
        yield


def made(config, without: str = "") -> dict[str, StageResult]:
    """Results of every stage of a run of the lab but one, where the run would have them."""
    space, found = Workspace(config), {}
    evaluated = {lab.START: "start"} | {lab.evaluation(arm): arm for arm in lab.arms()}
    for i, name in enumerate(space.stages):
        folder, tables = space.place(name), {}
        arm = lab.trained().get(name)
        if name == without:
            continue
        if arm and lab.arms()[arm].offline:
            tables["metrics"] = pd.DataFrame({"step": [1], "loss": [0.5]})
        elif arm:
            steps = lab.settings(config.stage.r1_zero, lab.arms()[arm]).steps
            rows = rl_metrics(steps, seed=i)
            tables["metrics"] = rows.assign(step=rows["step"] + 1)
        elif name in evaluated:
            rows = evaluation(SKILLS.get(evaluated[name], 0.6), 80, 4, 100 * config.seed + i)
            tables["evaluation"] = rows
        if name == lab.ITERATIVE:
            for file, rows in (
                ("validation", lambda n: evaluation(SKILLS.get(n, 0.6), 80, 4, 77 + config.seed)),
                ("rounds", lambda n: rl_metrics(20, seed=len(n))),
            ):
                tables[file] = pd.concat([rows(n).assign(arm=n) for n in iterative.ROUNDS])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "moved.json").write_text('{"weights": 0.1}')
        for file, rows in tables.items():
            rows.to_parquet(folder / f"{file}.parquet")
        manifest = {
            "key": space.keys[name], "stage": name, "version": 1, "inputs": {}, "files": {},
            "code": "c0de", "versions": {}, "hardware": {"processor": "made up"}, "seconds": 60.0,
        }  # fmt: skip
        artifacts.write_manifest(folder, manifest)
        found[name] = StageResult(name, space.keys[name], folder, manifest)
    return found


def built(runs: Path, *words: str, without: str = "") -> Path:
    """The folder of a run of the lab with made-up arms and its report."""
    config = compose([f"runs={runs}", *words])
    folder = run_folder(Workspace(config))
    (folder / "notebooks").mkdir(parents=True)
    (folder / "notebooks" / "why_rl.ipynb").write_text(
        '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    )
    save(config, folder / "resolved.yaml")
    results = made(config, without)
    wall = dict.fromkeys(results, 60.0)
    return report.build(folder, results, config, wall, in_process.execute).parent


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    place = tmp_path_factory.mktemp("runs")
    return [built(place, "lab=all", f"seed={seed}") for seed in range(3)]


@pytest.fixture(scope="module")
def joined(runs) -> Path:
    target = runs[0].parent / "laptop-mini-3seeds-0123abcd-lab-all"
    return seeds.join(runs, target, in_process.execute).parent


def verdicts(folder: Path) -> dict[str, str]:
    return {c["id"]: c["verdict"] for c in json.loads((folder / "claims.json").read_text())}


def test_its_notebook_is_kept_without_results():
    assert not list(faults([ROOT / "notebooks" / "lab.ipynb"]))


def test_the_report_of_a_run_has_every_arm(runs):
    found = read_results(runs[0] / "results.json")
    assert set(found) == {*lab.trained()} | ROUNDS
    for each in found.values():
        assert {PASS, "reasoning/pass@4", "reasoning/cons@4", "length"} <= each.keys()
        assert each[PASS].low < each[PASS].value < each[PASS].high and each[PASS].n == 80
    page = (runs[0] / "report.html").read_text()
    for name in lab.arms():
        assert lab.arms()[name].method in page
    assert "PPO, λ = 0.95 is below GRPO (−" in page and "made up" in page
    assert ">length_and_cap<" in page and ">failures<" not in page, "broken arms are no rivals"
    assert "policy × 1; policy × 0.5; policy × 2" in page, "the rates tried"
    assert (runs[0] / "notebooks" / "why_rl.html").is_file()
    manifest = json.loads((runs[0] / "manifest.json").read_text())
    assert manifest["finished"] and manifest["hash"] == runs[0].name.split("-")[3]
    samples = {name: arm["samples"] for name, arm in manifest["config"]["arms"].items()}
    assert samples["passes_4"] == samples["rft"] == samples["dpo"] == 40 * 16 * 16
    assert samples["sft"] == 0, "it reads worked answers"
    assert manifest["stages"]["lab_grpo"]["key"] and manifest["hardware"]["processor"] == "made up"


def test_what_the_papers_say_of_the_methods_is_judged_by_the_best_arms(runs):
    found = verdicts(runs[0])
    assert set(found) == {claim.id for claim in claim_definitions.load(claim_definitions.LAB)}
    assert found["grpo-beats-ppo-95"] == found["process-supervision"] == "reproduced"
    assert found["iterative-rl"] == found["refreshed-reward"] == "reproduced"
    assert "not testable" not in found.values()
    ledger = {c["id"]: c for c in json.loads((runs[0] / "claims.json").read_text())}
    one = ledger["grpo-beats-ppo-95"]
    assert one["measure"]["after"] == "lab_ppo_95_3" and "best of 3 trials" in one["tuned"]
    before = {
        ledger[f"grpo-{name}"]["measure"]["before"] for name in ("beats-ppo-95", "matches-ppo")
    }
    assert before == {"lab_grpo_double"}, "the best at a policy's rate that PPO was tried with"
    assert ledger["process-supervision"]["measure"]["before"] == "lab_grpo", "the one shown there"


def test_every_claim_on_the_lab_has_arms_that_sampled_as_much():
    start = compose().stage.r1_zero
    for claim in claim_definitions.load(claim_definitions.LAB):
        shown = lab.shown_in(claim.lab).values()
        assert isinstance(claim.measure, Change)
        for side in {claim.measure.before, claim.measure.after} - ROUNDS:
            of = [lab.settings(start, arm) for arm in shown if arm.method == side]
            assert of, f"{claim.id}: {claim.lab} shows no {side}"
            assert {(s.batches, s.questions, s.generations) for s in of} == {(40, 16, 16)}
    with pytest.raises(R1ReproError, match="lab must be one of why_rl"):
        claim_definitions._claim(
            {"id": "a", "statement": "s", "source": "v1", "paper": "", "lab": "zen", "measure": {},
             "expected": "up", "smallest": 1},
            claim_definitions.LAB,
        )  # fmt: skip


def test_seeds_are_joined_with_the_spread_over_them(runs, joined):
    each = [read_results(run / "results.json") for run in runs]
    found = read_results(joined / "results.json")
    values = [one["lab_grpo"][PASS].value for one in each]
    assert found["lab_grpo"][PASS].value == pytest.approx(sum(values) / 3)
    assert found["lab_grpo of seed 1, base seed 0"] == each[1]["lab_grpo"]
    change = read_results(joined / "differences.json")["lab_process - lab_grpo"]
    halves = [
        read_results(run / "differences.json")["lab_process - lab_grpo"][PASS] for run in runs
    ]
    assert change[PASS].value == pytest.approx(sum(one.value for one in halves) / 3)
    assert change[PASS].high - change[PASS].low > min(one.high - one.low for one in halves)
    page = (joined / "report.html").read_text()
    assert "at rates of both: at × 1, × 2 PPO, λ = 0.95 is below GRPO" in page
    assert "pass@1, seed 2" in page and "over 3 seeds and the problems" in page
    told = seeds.read(runs)
    table = of_lab.table(told, "on_and_off_policy")
    assert table.columns[-2:] == ("detectable", "Completions sampled")
    rows = {row.label: row.cells for row in table.rows}
    open_ = [cells for cells in rows.values() if cells[-2] != "–"]
    assert open_ and all("points" in cells[-2] for cells in open_)
    effects = [told.changes[f"lab_parts_4 - lab_grpo of {run}"][PASS] for run in told.by_seed]
    size = f"{100 * claims.detectable(effects):.1f}"
    label = lab.arms()["parts_4"].method
    assert rows[label][-2].startswith(size) or rows[label][-2] == "–"
    best = [read_results(run / "results.json")["lab_process"][PASS].value for run in runs]
    process = {r.label: r.cells for r in of_lab.table(told, "advantages").rows}
    assert process["process supervision"][0] == f"{100 * best[0]:.1f}\u00a0%"
    assert process["process supervision"][-2] == "–", "what is told apart needs no such size"
    assert verdicts(joined)["process-supervision"] == "reproduced"


def test_right_answers_of_every_seed_are_kept(runs, joined):
    found = pd.read_parquet(joined / "right.parquet")
    for seed, run in enumerate(runs):
        name = f"lab_process of seed {seed}, base seed 0"
        one = per_problem.of_counts(pd.read_parquet(run / "right.parquet"), "lab_process")
        pd.testing.assert_frame_equal(per_problem.of_counts(found, name), one)
        value = read_results(run / "results.json")["lab_process"][PASS].value
        assert found[name].sum() / found[f"{name}:of"].sum() == pytest.approx(value, abs=SMALL)


def test_versions_of_the_lab_are_published_listed_and_joined_again(runs, joined, tmp_path):
    checkout = repository(tmp_path / "checkout")
    first, second, whole = (
        publish(run, checkout / "reports", checkout) for run in (*runs[:2], joined)
    )
    assert first.name.endswith("-lab-all") and whole.name.endswith("-0123abcd-lab-all")
    kept = {str(file.relative_to(whole)) for file in whole.rglob("*") if file.is_file()}
    assert kept == {
        "report.html", "results.json.gz", "differences.json.gz", "claims.json", "manifest.json",
        "resolved.yaml", "notebooks/why_rl.html", "right.parquet", "SHA256SUMS",
    }  # fmt: skip
    page = (whole / "report.html").read_text()
    assert "<script" not in page and "<details" in page, "folded code, nothing that runs"
    index = (checkout / "reports" / "README.md").read_text()
    assert f"{len(lab.arms())} arms of the lab (`lab=all`)" in index and whole.name in index
    again = seeds.join([first, second], tmp_path / "2seeds-0123abcd-lab-all", in_process.execute)
    assert read_results(again.parent / "results.json")["lab_grpo of seed 1, base seed 0"]


def test_a_run_that_lacks_an_arm_is_neither_published_nor_taken_for_whole(tmp_path):
    run = built(tmp_path, "lab=on_and_off_policy", without="evaluate_lab_passes_4")
    found = verdicts(run)
    assert found.pop("large-clip") == "not testable" and len(found) == 3
    assert "not testable" not in found.values()
    assert "lab_passes_4" not in read_results(run / "results.json")
    page = (run / "report.html").read_text()
    assert ">on_and_off_policy<" in page and ">advantages<" not in page, "GRPO alone is no notebook"
    with pytest.raises(R1ReproError, match="is not finished"):
        publish(run, tmp_path / "reports", tmp_path)


def test_runs_of_other_arms_are_not_joined(runs, tmp_path):
    other = shutil.copytree(runs[1], tmp_path / "other")
    (other / SUMS).unlink()
    manifest = json.loads((other / "manifest.json").read_text())
    del manifest["config"]["arms"]["process"]
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(R1ReproError, match=r"differ in arms\.process"):
        seeds.read([runs[0], other])


def test_arms_that_sampled_less_are_named(runs):
    told = seeds.read(runs)
    manifest = copy.deepcopy(told.manifest)
    manifest["config"]["arms"]["centred"]["samples"] = 512
    said = of_lab.notebooks(report.replace(told, manifest=manifest))._repr_html_()
    assert said.count("Another number of completions than GRPO’s") == 2
    more = "no comparison at equal cost: process supervision, learned; without the deviation."
    assert more in said and ">512<" in said
    sft = "SFT, rate × 1; SFT, rate × 0.5; SFT, rate × 2; cold start, SFT on a tenth."
    assert f"no comparison at equal cost: {sft}" in said
    cold = "GRPO from the cold start, paid for the answer alone."
    assert f"Has read worked answers besides, which no completion counts: {cold}" in said
    assert said.count("Has read worked answers") == 1


def test_the_report_of_the_stages_shows_arms_of_its_base(runs):
    config = compose([f"runs={runs[0].parent}"])
    said = of_lab.section(config)._repr_html_()
    assert "process supervision" in said and "notebooks/lab/advantages.ipynb" in said
    assert "an eighth of the cap" in said and "groups of 2" not in said
    assert of_lab.section(compose([f"runs={runs[0].parent}", "seed=77"])) is None
