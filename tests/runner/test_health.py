import json
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from r1repro import artifacts, cli
from r1repro.config import ROOT, RLConfig, save
from r1repro.errors import R1ReproError
from r1repro.evaluation.doctor import examine
from r1repro.notebook import Run
from r1repro.runner.health import Health, of_run, of_stages
from r1repro.runner.workspace import Workspace
from r1repro.training.resume import mark_complete
from tests.laptop import laptop
from tests.reports.made_up import checkpoint, pretraining_metrics, rl_metrics, sft_metrics
from tests.tiny import model_folder


def finish(config, runs, name, rows):
    """Publish the table as the finished result of a stage; None for one without a table."""
    folder = Workspace(config).work(name)
    folder.mkdir(parents=True)
    table = "evaluation" if name.startswith("evaluate_") else "metrics"
    if rows is not None:
        rows.to_parquet(folder / f"{table}.parquet")
    artifacts.publish(folder, runs, name, Workspace(config).keys[name], {"seconds": 1.0})


def begin(config, name, step):
    """A checkpoint of a stage, as its trainer leaves it."""
    folder = Workspace(config).work(name) / "checkpoints" / f"checkpoint-{step}"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def run_folder(compose, runs):
    """A run whose R1-Zero is cut off, and whose Dev1 is in the making."""
    config = compose()
    finish(config, runs, "base", pretraining_metrics())
    finish(config, runs, "r1_zero", rl_metrics().assign(clipped=0.6))
    finish(config, runs, "evaluate_r1_zero", checkpoint("r1_zero"))
    newest = begin(config, "dev1", 8)
    sft_metrics(3).assign(step=[2, 4, 6]).to_parquet(newest / "rows.parquet")
    mark_complete(newest)
    sft_metrics().to_parquet(begin(config, "dev1", 10) / "rows.parquet")  # a kill cut this short
    save(config, runs / "smoke-mini-seed0-0123abcd" / "resolved.yaml")
    return runs / "smoke-mini-seed0-0123abcd"


def test_a_run_is_read_as_far_as_it_has_come(run_folder):
    found = of_run(run_folder)
    assert [(f.stage, f.what) for f in found.findings] == [("r1_zero", "clipped completions")]
    assert list(found.rows) == ["base", "r1_zero", "evaluate_r1_zero", "dev1"]
    assert found.making == {"dev1": 6}
    assert {"evaluate_base", "dev2", "r1", "reward_model"} <= set(found.unread)
    assert "cold_start_data" not in found.unread, "it trains nothing"
    smoke, first, helps, _, *others = found.lines()
    assert smoke.startswith("At scale=smoke a run trains too little")
    assert first == "clipped completions (25 % of completions at most): r1_zero 60 %"
    assert helps.startswith("    Raise max_completion_tokens; if ")
    assert "(now max_completion_tokens=48)." in " ".join(found.lines())
    assert others[0] == "1 finding in base, r1_zero, evaluate_r1_zero, dev1"
    assert "dev1 is not finished: read up to step 6" in others
    assert "too few rows to judge a mean: dev1" in others
    assert any(line.startswith("looked for: clipped completions, ") for line in others)


def test_a_base_in_the_making_is_read_too(compose):
    config = compose()
    newest = begin(config, "base", 40)
    rows = pretraining_metrics(10).assign(loss=9.9).to_dict("records")
    (newest / "rows.json").write_text(json.dumps(rows * 2))
    mark_complete(newest)
    (finding,) = of_stages(config, ["base"]).findings
    assert finding.what == "learning rate that does nothing"


def test_a_checkpoint_before_the_first_log_tells_nothing_yet(compose):
    config = compose()
    newest = begin(config, "dev1", 2)
    pd.DataFrame([]).to_parquet(newest / "rows.parquet")
    mark_complete(newest)
    found = of_stages(config, ["dev1"])
    assert found.unread == ("dev1",)
    assert found.lines()[0] == "nothing to read yet: dev1"


def test_a_notebook_says_plainly_that_there_is_none(compose, runs, capsys):
    config = compose()
    finish(config, runs, "dev2", rl_metrics())
    Run(config).doctor("dev2")
    assert capsys.readouterr().out.startswith("no findings in dev2\nlooked for: ")


def test_a_run_may_stand_elsewhere_than_its_settings_say(run_folder, tmp_path):
    moved = tmp_path / "elsewhere"
    run_folder.parent.rename(moved)
    assert len(of_run(moved / run_folder.name).findings) == 1


def test_what_cannot_be_read_is_said(compose, runs, tmp_path):
    with pytest.raises(R1ReproError, match="is not a run folder: give a folder under runs/"):
        of_run(tmp_path)
    save(compose(), tmp_path / "version" / "resolved.yaml")
    with pytest.raises(R1ReproError, match="no stage of .* has results in"):
        of_run(tmp_path / "version")
    manifest = {"runs": [{"run": "laptop-mini-seed0-aa"}, {"run": "laptop-mini-seed1-bb"}]}
    (tmp_path / "version" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(R1ReproError, match="one of laptop-mini-seed0-aa, laptop-mini-seed1-bb"):
        of_run(tmp_path / "version")


def test_a_finished_run_is_read_without_torch():
    code = "import sys, r1repro.runner.health; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_command_ends_in_zero_whatever_it_finds(run_folder, capsys):
    assert cli.main(["doctor", str(run_folder)]) == 0
    told = "clipped completions (25 % of completions at most): r1_zero 60 %"
    assert told in capsys.readouterr().out.splitlines()


def test_many_sick_stages_are_a_few_lines_and_other_scales_say_nothing_of_smoke():
    found = tuple(
        finding
        for name in ("r1_zero", "dev2", "r1", "qwen_rl", "llama_rl", "qwen_distilled_rl", "x")
        for finding in examine(name, rl_metrics().assign(clipped=0.6), laptop(RLConfig))
    )
    rows = {finding.stage: 110 for finding in found}
    lines = Health("laptop", found, rows, {}, ()).lines()
    assert lines[0] == (
        "clipped completions (25 % of completions at most): r1_zero, dev2, r1, qwen_rl, llama_rl,"
    )
    assert lines[1] == "    qwen_distilled_rl, x 60 %" and len(lines) < 10
    assert "7 findings in 7 stages" in lines and all(len(line) <= 100 for line in lines)


def test_a_stage_that_made_a_data_set_is_left_out(compose):
    config = compose("ablation.base_rft=true")
    space = Workspace(config)
    place = space.place("base_rft_data")
    place.mkdir(parents=True)
    manifest = {"key": space.keys["base_rft_data"], "files": {}}
    artifacts.write_manifest(place, manifest)
    assert of_stages(config, ["base_rft_data"]) == Health(config.scale, (), {}, {}, ())


def test_a_stage_that_depends_on_one_setting_of_a_training_is_left_out(compose):
    config = compose("lab=advantages")
    assert of_stages(config, ["process_model"]) == Health(config.scale, (), {}, {}, ())


def made_from(compose, tmp_path, kind):
    """The configuration of a run of models from a folder or of the hub, with one's own sums."""
    rows = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(12)]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    own = ["task=own", f"task.path={tmp_path / 'sums.jsonl'}", "task.test_problems=3"]
    if kind == "hub":
        return compose("model=qwen2.5-0.5b", *own, "task.validation_problems=2")
    place = model_folder("qwen", tmp_path / "model")
    keys = ("model", "student.qwen", "student.llama")
    return compose("model=local", *own, *(f"{key}.path={place}" for key in keys))


def executed(folder, config, *names):
    """A notebook of a run as papermill leaves it, with the keys of these stages."""
    keys = {name: Workspace(config).keys[name] for name in names}
    (folder / "notebooks").mkdir(parents=True)
    notebook = {"cells": [], "metadata": {"r1repro": {"keys": keys}}}
    (folder / "notebooks" / "01_r1_zero_grpo.ipynb").write_text(json.dumps(notebook))


@pytest.mark.parametrize("kind", ["folder", "hub"])
def test_a_run_of_ones_own_model_is_read_even_when_its_files_are_gone(
    compose, runs, tmp_path, kind, capsys
):
    config = made_from(compose, tmp_path, kind)
    finish(config, runs, "base", None)  # a copy, so without metrics
    finish(config, runs, "r1_zero", rl_metrics().assign(clipped=0.6))
    folder = runs / "smoke-own-seed0-0123abcd"
    save(config, folder / "resolved.yaml")
    found = of_run(folder)
    assert list(found.rows) == ["r1_zero"] and "base" not in found.unread
    executed(folder, config, "base", "r1_zero")
    (tmp_path / "sums.jsonl").unlink()
    shutil.rmtree(tmp_path / "model", ignore_errors=True)
    again = of_run(folder)
    assert (again.findings, dict(again.rows)) == (found.findings, dict(found.rows))
    assert cli.main(["doctor", str(folder)]) == 0
    assert "1 finding in r1_zero" in capsys.readouterr().out
    shutil.rmtree(folder / "notebooks")  # the keys can no longer be told
    with pytest.raises(R1ReproError, match="no stage of .* has results in"):
        of_run(folder)


def test_a_partial_run_is_read_to_its_end(compose, runs, tmp_path):
    config = made_from(compose, tmp_path, "folder")
    folder = runs / "smoke-own-seed0-0123abcd-until-r1_zero"
    save(config, folder / "resolved.yaml")
    finish(config, runs, "base", None)
    found = of_run(folder)
    assert not found.rows and {"r1_zero", "evaluate_base"} <= set(found.unread)
    assert not {"dev1", "r1"} & set(found.unread)
    assert found.lines()[0].startswith("nothing to read yet: ")
    finish(config, runs, "r1_zero", rl_metrics())  # evaluate_base between them is missing
    assert list(of_run(folder).rows) == ["r1_zero"]


def test_a_damaged_result_is_said_and_the_others_are_read(run_folder, compose, capsys):
    place = Workspace(compose()).place("base")
    (place / "metrics.parquet").write_bytes(b"")
    found = of_run(run_folder)
    assert "base" not in found.rows and "r1_zero" in found.rows
    assert cli.main(["doctor", str(run_folder)]) == 0
    assert "metrics.parquet in the result" in capsys.readouterr().out


def test_a_checkpoint_without_rows_tells_nothing_yet(compose):
    mark_complete(begin(compose(), "dev1", 2))
    assert of_stages(compose(), ["dev1"]).unread == ("dev1",)
