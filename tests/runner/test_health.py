import json
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
from r1repro.training.checkpoints import COMPLETE
from tests.laptop import laptop
from tests.reports.made_up import checkpoint, pretraining_metrics, rl_metrics, sft_metrics


def finish(config, runs, name, rows):
    """Publish the table as the finished result of a stage."""
    folder = Workspace(config).work(name)
    folder.mkdir(parents=True)
    table = "evaluation" if name.startswith("evaluate_") else "metrics"
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
    (newest / COMPLETE).touch()
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
    (newest / COMPLETE).touch()
    (finding,) = of_stages(config, ["base"]).findings
    assert finding.what == "learning rate that does nothing"


def test_a_checkpoint_before_the_first_log_tells_nothing_yet(compose):
    config = compose()
    newest = begin(config, "dev1", 2)
    pd.DataFrame([]).to_parquet(newest / "rows.parquet")
    (newest / COMPLETE).touch()
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
    (place / "manifest.json").write_text(json.dumps(manifest))
    assert of_stages(config, ["base_rft_data"]) == Health(config.scale, (), {}, {}, ())
