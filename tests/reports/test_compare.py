import json
import re
import shutil

import pytest

from r1repro import cli
from r1repro.evaluation.statistics import Estimate, difference
from r1repro.reports.compare import _one, compare, inputs, read
from r1repro.runner.graph import graph


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


def compared(two):
    return compare(*map(read, two), {name: stage.config for name, stage in graph().items()})


def explained(two):
    """What is said of each stage."""
    part = compared(two).split("## Which input explains which result")[1].split("##")[0]
    rows = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return {name: because for names, because in rows[1:] for name in names.split(", ")}


MADE_FROM = {
    "evaluate_base": ["base"], "r1_zero": ["base"], "evaluate_r1_zero": ["r1_zero"],
    "cold_start_data": ["r1_zero"], "dev1": ["base", "cold_start_data"], "evaluate_dev1": ["dev1"],
}  # fmt: skip


def rekeyed(*names):
    """An edit of a manifest: a chain of stages, of which these have other keys."""

    def edit(manifest):
        stages = manifest["stages"]
        manifest["stages"] = {name: stages[name] for name in ("base", *MADE_FROM)}
        for name in names:
            stages[name]["key"] = "f" * 64
        for name, made_from in MADE_FROM.items():
            stages[name]["inputs"] = {other: stages[other]["key"] for other in made_from}

    return edit


def test_a_setting_explains_its_stage_and_what_is_made_from_it(two):
    edited(two[0], "manifest.json", rekeyed())
    made_anew = ("r1_zero", "evaluate_r1_zero", "cold_start_data", "dev1", "evaluate_dev1")
    edited(two[1], "manifest.json", rekeyed(*made_anew))
    edited(two[1], "manifest.json", lambda m: m["config"]["stage"]["r1_zero"].update(steps=7))
    follows = "nothing of its own: follows from r1_zero"
    assert explained(two) == {
        "r1_zero": "config.stage.r1_zero.steps", **dict.fromkeys(made_anew[1:], follows)
    }  # fmt: skip


def test_a_seed_and_a_version_explain_the_stages_that_took_them(two):
    edited(two[0], "manifest.json", rekeyed())
    edited(two[1], "manifest.json", rekeyed(*MADE_FROM))

    def edit(manifest):
        manifest["seeds"]["seed"] = manifest["config"]["seed"] = 5
        manifest["stages"]["dev1"]["versions"]["torch"] = "9.9"
        manifest["stages"]["evaluate_base"]["version"] = 99

    edited(two[1], "manifest.json", edit)
    found = explained(two)
    assert found["r1_zero"] == "seeds.seed" and "base" not in found
    assert found["cold_start_data"] == "seeds.seed; also what it is made from"
    assert found["dev1"] == "seeds.seed, versions.torch; also what it is made from"
    assert found["evaluate_dev1"] == "nothing of its own: follows from dev1"
    assert found["evaluate_base"] == "the stage's version"


def test_a_key_that_no_manifest_explains_is_told_so(two):
    edited(two[0], "manifest.json", rekeyed())
    edited(two[1], "manifest.json", rekeyed("base"))
    found = explained(two)
    assert found["base"] == "settings that one of the manifests does not list"
    assert found["evaluate_base"] == "nothing of its own: follows from base"


def test_an_input_that_one_of_them_lacks_is_named(two):
    edited(two[0], "manifest.json", rekeyed())
    edited(two[1], "manifest.json", rekeyed("dev1"))
    edited(two[1], "manifest.json", lambda m: m["stages"]["dev1"]["inputs"].pop("cold_start_data"))
    assert explained(two)["dev1"] == "inputs.cold_start_data"


def test_the_engine_is_an_input(two):
    edited(two[1], "manifest.json", lambda m: m["config"]["engine"].update(precision="bfloat16"))
    assert list(inputs(*map(read, two))) == ["config.engine.precision"]


def test_equal_reports_have_nothing_to_tell(two):
    text = compared(two)
    assert "The same configuration, seeds, code, versions and hardware" in text
    assert "No verdict differs" in text and " * |" not in text
    assert "Nothing that went into a stage differs" in text


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
    text = compared(two)
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


def test_what_is_the_same_is_counted_and_claims_of_one_alone_too(two):
    part = compared((two[0], two[0])).split("## Results")[1].split("##")[0]
    assert re.search(r"^\n\nThe same in both: (\d+) of \1 figures\.\n", part)
    edited(two[1], "claims.json", lambda ledger: ledger.clear())
    found = inputs(*map(read, two))
    told = {key: values for key, values in found.items() if key.startswith("claims.")}
    assert told == {"claims.of this alone": (len(read(two[0]).claims), 0)}


def test_a_version_from_before_the_ledger_can_be_compared(two):
    (two[1] / "claims.json").unlink()
    assert "One of the versions has no ledger" in compared(two)


def test_a_seed_that_all_runs_share_is_no_difference():
    assert _one([0, 0, 0]) == 0 == _one(0)
    assert _one([0, 1]) == [0, 1]


@pytest.mark.parametrize("command", ["compare", "join"])
def test_folders_without_a_report_are_named_in_a_sentence(two, tmp_path, capsys, command):
    (tmp_path / "empty").mkdir()
    (two[1] / "results.json").unlink()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    for folder, wrong in (
        (tmp_path / "none", f"there is no folder {tmp_path / 'none'}: give "),
        (tmp_path / "empty", f"{tmp_path / 'empty'} has no manifest.json: give "),
        (damaged, f"a file of {damaged} is damaged (Expecting property name"),
        (two[1], f"{two[1]} has no results.json: give "),
    ):
        assert cli.main([command, str(two[0]), str(folder)]) == 2
        said = capsys.readouterr().err
        assert said.startswith(f"error: {wrong}") and said.count("\n") == 1, said
        assert "reports/" in said and "runs/" in said and "Errno" not in said
