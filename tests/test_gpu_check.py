"""The check of a GPU, as far as it goes without one."""

import json
import time

import pandas as pd
import pytest
import torch

from benchmarks import gpu_check, gpu_smollm2
from r1repro.config import ROOT, compose
from r1repro.tasks import worlds
from r1repro.tasks.problem import GENERAL
from tests.tiny import model_folder

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")


@NO_GPU
def test_without_a_gpu_it_says_so_and_ends_in_two(capsys):
    assert gpu_check.main([]) == 2
    assert capsys.readouterr().out.count("\n") == 1


def test_the_sequence_is_a_configuration():
    config = compose(gpu_check.SEQUENCE)
    assert (config.scale, config.engine.precision) == ("gpu", "bfloat16")
    model = compose(["scale=gpu", "model=qwen2.5-0.5b"]).model
    assert (model.architecture, model.hidden_size) == ("qwen2", 896)


def test_smollm2_is_asked_easy_word_problems_in_english(tmp_path):
    folder = model_folder("llama", tmp_path / "model")
    config = compose(gpu_smollm2.overrides(str(folder), tmp_path, rehearsed=False))
    assert (config.scale, config.engine.precision, config.engine.lora_rank) == (
        "gpu",
        "bfloat16",
        0,
    )
    assert config.stage.r1_zero.steps == 40 and config.model.path == str(folder)
    test = worlds.of(config.task).test
    assert len(test) == 200 and {p.level for p in test} == {1, 2}
    assert {p.language for p in test} == {"en"}


@NO_GPU
def test_rehearsal_measures_both_models_and_writes_the_figures(tmp_path, monkeypatch):
    asked = [*gpu_check.REHEARSED, f"runs={tmp_path}"]
    monkeypatch.setattr(gpu_check, "REHEARSED", asked)
    ran = []
    monkeypatch.setattr(gpu_check, "begun", lambda *words: ran.append(words))
    monkeypatch.setattr(gpu_check, "ended", lambda process, seconds: process is None)
    folder = model_folder("llama", tmp_path / "model")
    assert gpu_check.main(["--rehearse", "--smollm2", str(folder)]) == 0
    assert ran == [(asked, "base")]
    found = json.loads((tmp_path / gpu_check.FIGURES).read_text())
    for part in ("qwen_shape", "smollm2_speed"):
        for name in ("rollout_ratio", "grpo_step_ratio"):
            assert 0 < found[part][name] < 1_000
        steps = found[part]["grpo_step_seconds"]
        assert found[part]["grpo_step_ratio"] == pytest.approx(steps["stock"] / steps["ours"])
        assert found[part]["peak_bytes"]["computed"] > 4 * found[part]["parameters"]
        assert found[part]["peak_bytes"]["measured"] is None
    trained = found["smollm2_r1_zero"]
    assert [row["step"] for row in trained["curve"]] == [1, 2]
    assert {"pass@1", "format", "length"} <= set(trained["curve"][0])
    # Whether a random model ends before the cap of 8 depends on the processor's rounding.
    means = []
    for when, name in (("before", "evaluate_base"), ("after", "evaluate_r1_zero")):
        [file] = tmp_path.glob(f"cache/{name}-*/evaluation.parquet")
        rows = pd.read_parquet(file)
        tokens = rows.tokens[~rows.task.isin(GENERAL)]
        assert tokens.max() == 8
        means.append(tokens.mean())
        assert trained[when]["length"]["value"] == pytest.approx(means[-1])
    assert trained["change"]["length"]["value"] == pytest.approx(means[1] - means[0])
    assert trained["after"]["reasoning/pass@1"]["n"] == 8


def test_without_smollm2_one_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(gpu_check, "REHEARSED", [*gpu_check.REHEARSED, f"runs={tmp_path}"])
    monkeypatch.setattr(gpu_check, "begun", lambda *words: None)
    monkeypatch.setattr(gpu_check, "ended", lambda process, seconds: True)
    monkeypatch.setattr(gpu_check.gpu_speed, "of_shape", lambda *words: {})
    assert gpu_check.main(["--rehearse", "--smollm2", str(tmp_path / "none")]) == 2
    assert f"--smollm2 {tmp_path / 'none'}: there is no such" in capsys.readouterr().out
    assert gpu_check.main(["--rehearse"]) == 0
    assert "left out: --smollm2 FOLDER names it\n" in capsys.readouterr().out
    assert "smollm2_speed" not in json.loads((tmp_path / gpu_check.FIGURES).read_text())


def test_a_part_that_fails_or_takes_too_long_is_told_and_ends_no_other(tmp_path):
    found, file = {}, tmp_path / "runs" / "figures.json"
    assert not gpu_check.part(found, file, "a", 60, lambda: {}["no such"])
    assert not gpu_check.part(found, file, "b", 1, lambda: time.sleep(60) or {})
    assert gpu_check.part(found, file, "c", 60, lambda: {"tokens": 3})
    told = json.loads(file.read_text())
    assert told["a"]["failed"] == "KeyError: 'no such'"
    assert told["b"]["failed"] == "TimeoutError: not finished in 1 s" and told["b"]["seconds"] < 30
    assert told["c"]["tokens"] == 3


def test_training_that_takes_too_long_tells_the_steps_that_it_took(tmp_path, monkeypatch):
    folder = model_folder("llama", tmp_path / "model")
    words = gpu_smollm2.overrides(str(folder), tmp_path, rehearsed=True)
    work = gpu_smollm2.Workspace(compose(words)).work("r1_zero")

    def late(*_):
        work.mkdir(parents=True)
        figures = {"pass@1": 0.25, "format": 0.5, "length": 7.0}
        line = {"step": 1, "total": 4, "figures": figures}
        (work / "progress.jsonl").write_text(json.dumps(line) + "\n")
        raise TimeoutError("not finished in 9 s")

    monkeypatch.setattr(gpu_smollm2, "built", late)
    told = gpu_smollm2.trained(words)
    assert told["failed"] == "not finished in 9 s" and "after" not in told
    assert told["curve"] == [{"step": 1, "pass@1": 0.25, "format": 0.5, "length": 7.0}]


def test_a_run_that_fails_or_takes_too_long_is_told(capfd, tmp_path):
    assert not gpu_check.ended(gpu_check.begun(["scale=nonsense"], None), 60)
    assert "scale=nonsense" in capfd.readouterr().err
    assert not gpu_check.ended(gpu_check.begun(["scale=smoke", f"runs={tmp_path}"], "base"), 0)
    assert "the time ran out" in capfd.readouterr().out


def test_make_takes_the_interpreter_that_is_there():
    recipe = (ROOT / "Makefile").read_text().split("gpu-check:")[-1].splitlines()[1]
    assert "-m benchmarks.gpu_check" in recipe and "pip" not in recipe
