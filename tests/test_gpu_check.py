"""The check of a GPU, as far as it goes without one."""

import json

import pytest
import torch

from benchmarks import gpu_check
from r1repro.config import ROOT, compose
from r1repro.runner.sequence import run_folder
from r1repro.runner.workspace import Workspace

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


@NO_GPU
def test_rehearsal_times_both_sides_and_writes_the_figures(tmp_path, monkeypatch):
    asked = [*gpu_check.REHEARSED, f"runs={tmp_path}"]
    monkeypatch.setattr(gpu_check, "REHEARSED", asked)
    ran = []
    monkeypatch.setattr(gpu_check, "ran", lambda *words: ran.append(words) is None)
    assert gpu_check.main(["--rehearse"]) == 0
    assert [(words, until) for words, _, until in ran] == [(asked, "base")]
    found = json.loads(
        (run_folder(Workspace(compose(asked)), "base") / gpu_check.FIGURES).read_text()
    )
    for name in ("rollout_ratio", "grpo_step_ratio"):
        assert 0 < found[name] < 1_000
    steps = found["grpo_step_seconds"]
    assert found["grpo_step_ratio"] == pytest.approx(steps["stock"] / steps["ours"])
    assert found["peak_bytes"]["computed"] > 4 * found["parameters"]
    assert found["peak_bytes"]["measured"] is None


def test_a_run_that_fails_or_takes_too_long_is_told(capfd, tmp_path):
    assert not gpu_check.ran(["scale=nonsense"], 60)
    assert "scale=nonsense" in capfd.readouterr().err
    assert not gpu_check.ran(["scale=smoke", f"runs={tmp_path}"], 0, "base")
    assert "the time ran out" in capfd.readouterr().out


def test_make_takes_the_interpreter_that_is_there():
    recipe = (ROOT / "Makefile").read_text().split("gpu-check:")[-1].splitlines()[1]
    assert "-m benchmarks.gpu_check" in recipe and "pip" not in recipe
