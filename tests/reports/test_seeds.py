import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from r1repro import cli
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.evaluation import metrics, per_problem
from r1repro.evaluation.results import read_results, write_results
from r1repro.evaluation.statistics import Estimate, t_interval
from r1repro.reports import FILES, compare, held_out_curve, seeds
from r1repro.reports.publish import publish
from tests.reports.conftest import of_run, repository
from tests.reports.in_process import execute
from tests.reports.test_report import Page

PATH = "reasoning/pass@1"


def seed_of(built: Path, folder: Path, seed: int, shift: float = 0.0, **changed: object) -> Path:
    """A copy of the finished run with another seed, every change of R1-Zero shifted."""
    shutil.copytree(built.parent, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["seeds"]["seed"] = manifest["config"]["seed"] = seed
    manifest["config"]["stage"]["r1_zero"] |= changed
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for name, key in (
        ("results.json", "r1_zero"),
        ("differences.json", "r1_zero - base"),
        ("differences.json", "r1_zero - base_best"),
    ):
        stored = read_results(folder / name)
        e = stored[key][PATH]
        stored[key][PATH] = Estimate(e.value + shift, e.low + shift, e.high + shift, e.n)
        write_results(folder / name, stored)
    return folder


@pytest.fixture(scope="module")
def joined(built, tmp_path_factory) -> tuple[Path, list[Path]]:
    place = tmp_path_factory.mktemp("seeds")
    runs = [seed_of(built, place / f"run{s}", s, 0.02 * s) for s in (1, 0, 2)]
    for run, value in zip(runs, (0.4, 0.5, 0.6), strict=True):
        by_step = {
            "0": {PATH: Estimate(0.2, 0.1, 0.3, 40)},
            "20": {PATH: Estimate(value, 0, 1, 40)},
        }
        write_results(run / held_out_curve.FILE, by_step)
    return seeds.join(runs, place / "laptop-mini-3seeds-0123abcd", execute), runs


def test_intervals_hold_only_what_is_possible():
    wide = Estimate(0.5, -3.0, 4.0, 3, (0.0, 0.5, 1.0))
    every = {"a": {"format_valid": wide, "length": wide}}
    found = seeds._within(every)["a"]
    assert [(one.low, one.high) for one in found.values()] == [(0.0, 1.0), (0.0, 4.0)]
    change = seeds._within(every, -1.0)["a"]
    assert [(one.low, one.high) for one in change.values()] == [(-1.0, 1.0), (-3.0, 4.0)]
    assert [one.each == wide.each for one in change.values()] == [True, False]


def test_the_values_of_the_seeds_stand_for_an_interval_that_was_clipped(tmp_path):
    wide, narrow = Estimate(0.5, -0.1, 0.9, 30), Estimate(0.5, 0.4, 0.6, 30)
    runs = [{"a": {"format_valid": replace(wide, value=v), "sound": narrow}} for v in (0, 0.5, 1)]
    found = seeds._within(seeds.over_seeds(runs))
    write_results(tmp_path / "results.json", found)
    assert read_results(tmp_path / "results.json") == found
    assert (
        metrics.shown(found["a"]["format_valid"], "format_valid")
        == "50.0\u00a0% (0.0 / 50.0 / 100.0)"
    )
    assert metrics.shown(found["a"]["sound"], "sound") == "50.0\u00a0% [40.0, 60.0]"


def test_the_mean_over_seeds_has_an_interval_by_t(joined):
    report, runs = joined
    values = [read_results(run / "results.json")["r1_zero"][PATH].value for run in runs]
    found = read_results(report.parent / "results.json")["r1_zero"][PATH]
    assert found.value == pytest.approx(sum(values) / 3) and found.n == 120
    low, high = t_interval(values)
    assert found.low < low < high < found.high, "and the problems' spread on top"
    shares = [e for n, e in read_results(report.parent / "results.json")["dev1"].items()
              if n in ("format_valid", PATH, "general/greeting")]  # fmt: skip
    assert len(shares) == 3 and all(0 <= e.low <= e.high <= 1 for e in shares)
    (claim,) = (
        c for c in json.loads((report.parent / "claims.json").read_text())
        if c["id"] == "rl-raises-accuracy" and not c["control"]
    )  # fmt: skip
    first = claim["seeds"][0]
    assert claim["seeds"] == pytest.approx([first, first + 0.02, first + 0.04], abs=1e-6)
    assert claim["effect"]["n"] == 120


def test_the_held_out_curve_is_the_mean_over_seeds(joined, tmp_path):
    _, runs = joined
    found = seeds.read(runs).over_training
    assert [found[step][PATH].value for step in ("0", "20")] == pytest.approx([0.2, 0.5])
    low, high = t_interval([0.4, 0.5, 0.6])
    assert found["20"][PATH].low <= low < high <= found["20"][PATH].high
    without = shutil.copytree(runs[0], tmp_path / "without")
    (without / held_out_curve.FILE).unlink()
    assert seeds.read([*runs[1:], without]).over_training == {}, "a mean is over all seeds or none"


def test_the_page_of_seeds_says_what_it_speaks_of(joined):
    text = joined[0].read_text(encoding="utf-8")
    page = Page(text)
    said = " ".join("".join(page.text).split())
    for words in (
        "From the base to R1 over several seeds",
        "On 120 held-out reasoning problems, 3 seeds on one base, 8 samples each; changes are",
        "means over 3 seeds and the problems",
        "verdicts are expected to be false",
        "RL step of the first sound one kept",
        "Without the language-consistency reward",
        "p < 0.001 for all answers of seed 1, base seed 0",
        "seed 0, 1, 2 · base seed 0",
        "Student's t over the seeds. Every run answers the same held-out problems",
        "seed 2, base seed 0",
        "By the checkpoints of the first seed.",
    ):
        assert words in said, words
    answers = pd.read_parquet(joined[0].parent / "answers.parquet")
    assert {"base", "r1_zero", "r1"} <= {*answers["checkpoint"]}
    assert all(problem in said for problem in answers["problem_id"])
    assert "script" not in page.tags and page.tags.count("img") == 7
    links = {a for a in page.addresses if not a.startswith(("data:", "#"))}
    first = {f"notebooks/{name}.html" for name in ("00_base_model", "08_r1_zero_vs_r1")}
    assert first <= links and all((joined[0].parent / link).is_file() for link in first)
    assert (
        'href="../report.html"' in (joined[0].parent / "notebooks/00_base_model.html").read_text()
    )
    manifest = json.loads((joined[0].parent / "manifest.json").read_text())
    assert manifest["seeds"]["seed"] == [0, 1, 2] and len(manifest["runs"]) == 3
    assert (joined[0].parent / "notebooks" / "00_base_model.ipynb").is_file()
    own = json.loads((joined[1][1] / "manifest.json").read_text())
    for name, stage in manifest["runs"][0]["stages"].items():
        whole = {"hardware": own["hardware"], "versions": own["versions"]} | stage
        assert whole == own["stages"][name], "what is the run's is not repeated, and nothing lost"
        assert stage.get("hardware") != own["hardware"]


def test_runs_cut_at_one_stage_are_joined(built, results, config, tmp_path):
    folder = tmp_path / "run0-01234567-until-r1_zero"
    cut = of_run(folder, config, results, "r1_zero")
    other = seed_of(cut, tmp_path / "run1", 1, 0.1)
    target = tmp_path / "2seeds-89abcdef-until-r1_zero"
    page = seeds.join([cut.parent, other], target, execute)
    said = page.read_text(encoding="utf-8")
    assert "These runs end with the notebook of r1_zero" in said
    assert "Training of R1-Zero" in said and "Distillation" not in said
    manifest = json.loads((page.parent / "manifest.json").read_text())
    assert (manifest["hash"], manifest["until"]) == ("89abcdef", "r1_zero")
    found = read_results(page.parent / "results.json")
    assert "r1_zero" in found and "r1" not in found
    with pytest.raises(R1ReproError, match="end with different stages"):
        seeds.join([cut.parent, seed_of(built, tmp_path / "run2", 2)], tmp_path / "none", execute)


def test_runs_of_differing_configuration_are_not_joined(built, tmp_path):
    one, other = seed_of(built, tmp_path / "a", 0), seed_of(built, tmp_path / "b", 1, steps=7)
    with pytest.raises(R1ReproError, match=r"differ in stage\.r1_zero\.steps \(\d+ and 7\)"):
        seeds.join([one, other], tmp_path / "joined", execute)
    assert not (tmp_path / "joined").exists()


def test_what_cannot_be_joined_is_named(built, tmp_path):
    one, twin = seed_of(built, tmp_path / "a", 0), seed_of(built, tmp_path / "b", 0)
    with pytest.raises(R1ReproError, match="same seeds twice"):
        seeds.join([one, twin], tmp_path / "joined", execute)
    with pytest.raises(R1ReproError, match="at least two"):
        seeds.join([one], tmp_path / "joined", execute)
    (twin / "curves.parquet").unlink()
    with pytest.raises(
        R1ReproError, match="b has no curves.parquet: give folders of finished runs"
    ):
        seeds.join([one, twin], tmp_path / "joined", execute)


def test_runs_that_share_some_bases_are_not_joined(built, tmp_path):
    runs = [seed_of(built, tmp_path / f"run{seed}", seed) for seed in range(3)]
    manifest = json.loads((runs[2] / "manifest.json").read_text())
    manifest["seeds"]["base_seed"] = manifest["config"]["base_seed"] = 1
    (runs[2] / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(R1ReproError, match="base seeds 0, 0, 1"):
        seeds.join(runs, tmp_path / "joined", execute)


def test_results_of_differing_stage_versions_are_not_joined(built, tmp_path):
    one, other = seed_of(built, tmp_path / "a", 0), seed_of(built, tmp_path / "b", 1)
    manifest = json.loads((other / "manifest.json").read_text())
    manifest["stages"]["dev1"]["version"] = 99
    (other / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(R1ReproError, match="version of dev1"):
        seeds.join([one, other], tmp_path / "joined", execute)


@pytest.fixture(scope="module")
def versions(built, tmp_path_factory) -> tuple[Path, list[Path]]:
    """A report of two runs, and the published versions of both, whose runs are gone."""
    place = tmp_path_factory.mktemp("published")
    checkout = repository(place / "checkout")
    runs = [seed_of(built, place / f"run-{s}1234567", s, 0.02 * s) for s in (0, 1)]
    for run in runs:
        manifest = json.loads((run / "manifest.json").read_text())
        for name in FILES:
            manifest["files"][name] = hashlib.sha256((run / name).read_bytes()).hexdigest()
        manifest |= {"git": {"commit": "c" * 40, "dirty": False}, "hash": run.name[-8:]}
        (run / "manifest.json").write_text(json.dumps(manifest))
    joined = seeds.join(runs, place / "laptop-mini-2seeds-0123abcd", execute)
    published = [publish(run, checkout / "reports", checkout) for run in runs]
    for run in runs:
        shutil.rmtree(run)
    return joined, published


def test_versions_are_joined_without_their_runs(versions, tmp_path):
    joined, published = versions
    again = seeds.join(published, tmp_path / "laptop-mini-2seeds-89abcdef", execute).parent
    for name in ("results.json", "differences.json", "claims.json", "reflection.json"):
        assert (again / name).read_text() == (joined.parent / name).read_text(), name
    for name in ("curves.parquet", "answers.parquet"):
        pd.testing.assert_frame_equal(*(pd.read_parquet(f / name) for f in (again, joined.parent)))
    told = [json.loads((f / "manifest.json").read_text()) for f in (again, joined.parent)]
    assert [run["run"] for run in told[0]["runs"]] == [run["run"] for run in told[1]["runs"]]
    with pytest.raises(R1ReproError, match="is a joint report already: give folders"):
        seeds.join([published[0], again], tmp_path / "none", execute)


def test_versions_are_small_and_an_old_one_says_what_it_lacks(versions, tmp_path):
    _, published = versions
    kept = (
        "answers.parquet", "curves.parquet", "right.parquet", "taken_back.parquet", "moved.json",
        "costs.json",
    )  # fmt: skip
    assert sum((published[0] / name).stat().st_size for name in kept) < 2**18
    old = shutil.copytree(published[1], tmp_path / "old")
    (old / "curves.parquet").unlink()
    with pytest.raises(
        R1ReproError, match=r"old has no curves\.parquet: give .* with their curves in reports/"
    ):
        seeds.join([published[0], old], tmp_path / "none", execute)


def test_checkpoints_of_versions_are_paired_without_their_runs(versions, evaluations, tmp_path):
    _, published = versions
    one = compare.read(published[0])
    before, after = (per_problem.of_counts(one.right, name) for name in ("base", "r1"))
    found = metrics.paired(before, after, draws=500)
    expected = metrics.differences(evaluations["base"], evaluations["r1"], draws=500)
    # A version counts the right answers alone, not those that are right by another rule.
    others = ("strict", "lenient")
    paths = {p for p in expected if "pass@" in p and not any(word in p for word in others)}
    assert {*paths, "general/score"} <= found.keys() and len(paths) > 20
    for path in (*paths, "general/score", "general/fact"):
        assert found[path].as_dict() == pytest.approx(expected[path].as_dict()), path
    other = compare.read(published[1])
    assert compare.pairing(one, other, "dev1")["reasoning/pass@1"].value == 0
    text = compare.compare(one, other, {})
    assert "Accuracy is paired over the problems" in text
    (line,) = (row for row in text.splitlines() if row.startswith("| R1-Zero | pass@1 |"))
    assert "+2.0" in line, "counts that do not belong to the results are not used"
    fewer = one.right[one.right["task"] != "countdown"]
    assert compare.pairing(replace(one, right=fewer), other, "dev1") == {}


def test_the_command_joins_versions(versions, monkeypatch, capsys, tmp_path):
    _, published = versions
    made = []
    monkeypatch.setattr(
        seeds, "join", lambda *given: made.append(given) or tmp_path / "report.html"
    )
    assert cli.main(["join", *map(str, published)]) == 0
    ((folders, target, _),) = made
    assert folders == published and target.name.startswith("laptop-mini-2seeds-")
    assert target.parent == ROOT / "runs" and "report.html" in capsys.readouterr().out
    assert cli.main(["join", str(published[0])]) == 2
    assert "at least two runs" in capsys.readouterr().err
