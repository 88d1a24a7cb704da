import json
import shutil

import pytest

from r1repro import cli
from r1repro.errors import R1ReproError
from r1repro.evaluation.statistics import Estimate, difference
from r1repro.reports.compare import _one, compare, inputs, read


@pytest.fixture
def two(finished_run, tmp_path):
    """The same report twice, the second to be changed."""
    other = tmp_path / "other"
    shutil.copytree(finished_run, other)
    return finished_run, other


def edited(folder, name, edit):
    content = json.loads((folder / name).read_text(encoding="utf-8"))
    edit(content)
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


def test_equal_reports_have_nothing_to_tell(two):
    text = compare(*map(read, two))
    assert "The same configuration, seeds, code, versions and hardware" in text
    assert "No verdict differs" in text and " * |" not in text


def test_one_key_is_named_alone(two):
    edited(two[1], "manifest.json", lambda m: m["config"]["stage"]["r1_zero"].update(steps=7))
    found = inputs(*map(read, two))
    assert list(found) == ["config.stage.r1_zero.steps"]
    assert found["config.stage.r1_zero.steps"][1] == 7


def test_code_and_versions_are_told(two):
    def edit(manifest):
        manifest["code"] = "f" * 64
        manifest["git"] |= {"commit": "c" * 40, "dirty": True}
        manifest["versions"]["torch"] = "9.9"

    edited(two[1], "manifest.json", edit)
    found = inputs(*map(read, two))
    assert set(found) == {"code", "commit", "versions.torch"}
    assert found["commit"][1] == "c" * 40 + " + uncommitted changes"


def test_seeds_are_told_once(two):
    def edit(manifest):
        manifest["seeds"]["seed"] = manifest["config"]["seed"] = 5

    edited(two[1], "manifest.json", edit)
    assert inputs(*map(read, two)) == {"seeds.seed": (0, 5)}


def test_results_and_verdicts_that_changed_are_listed(two):
    def raised(results):
        estimate = results["r1_zero"]["reasoning/pass@1"]
        for end in ("value", "low", "high"):
            estimate[end] += 0.4

    def flipped(claims):
        (claim,) = (c for c in claims if c["id"] == "rl-raises-accuracy" and not c["control"])
        claim["verdict"] = "contradicted"

    edited(two[1], "results.json", raised)
    edited(two[1], "claims.json", flipped)
    text = compare(*map(read, two))
    (line,) = (row for row in text.splitlines() if row.endswith(" * |"))
    assert "| R1-Zero | pass@1 |" in line and "+40.0\u00a0points [" in line
    assert "Verdicts that flipped" in text
    assert "| Pure RL without supervised fine-tuning raises accuracy. |" in text


def test_half_widths_add_as_squares():
    found = difference(Estimate(0.4, 0.36, 0.44, 100), Estimate(0.5, 0.47, 0.53, 50))
    assert (found.value, found.low, found.high) == pytest.approx((0.1, 0.05, 0.15))
    assert found.n == 50


def test_the_command_prints_and_writes(two, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["compare", str(two[0]), str(two[1])]) == 0
    (written,) = tmp_path.glob("compare-*.md")
    assert written.read_text(encoding="utf-8").strip() in capsys.readouterr().out
    assert cli.main(["compare", str(two[0]), str(tmp_path / "nothing")]) == 2
    assert "holds no report" in capsys.readouterr().err


def test_a_version_from_before_the_ledger_can_be_compared(two):
    (two[1] / "claims.json").unlink()
    assert "One of the versions has no ledger" in compare(*map(read, two))
    (two[1] / "results.json").unlink()
    with pytest.raises(R1ReproError, match="holds no report"):
        read(two[1])


def test_a_seed_that_all_runs_share_is_no_difference():
    assert _one([0, 0, 0]) == 0 == _one(0)
    assert _one([0, 1]) == [0, 1]
