"""What engine.precision=auto stands for, by machine and model."""

import json
from pathlib import Path

import pytest

from r1repro import cores
from r1repro.config import compose
from r1repro.runner.workspace import Workspace


@pytest.fixture
def machine(monkeypatch):
    """machine(gpu, fast): a machine with these."""

    def made(gpu, fast):
        monkeypatch.setattr(cores, "gpu_in_sight", lambda: gpu)
        monkeypatch.setattr(cores, "multiply_bfloat16", lambda: fast)

    return made


@pytest.mark.parametrize(("gpu", "fast"), [(False, False), (False, True), (True, False)])
def test_it_is_bfloat16_where_it_is_multiplied_and_float32_for_mini_models(machine, gpu, fast):
    machine(gpu, fast)
    assert compose([]).engine.precision == compose(["scale=gpu"]).engine.precision == "float32"
    expected = "bfloat16" if gpu or fast else "float32"
    words = ["scale=smoke", "model=smollm2-135m"]
    assert compose(words).engine.precision == expected
    assert compose([*words, "engine.precision=float32"]).engine.precision == "float32"


def test_a_folder_is_judged_by_its_width(machine, tmp_path, monkeypatch):
    machine(False, True)
    monkeypatch.setattr("r1repro.config.validate.check_model_folder", lambda key, path: None)
    keys = ("model", "student.qwen", "student.llama")
    words = ["scale=smoke", "model=local", *(f"{key}.path={tmp_path}" for key in keys)]
    for width, expected in ((64, "float32"), (256, "float32"), (576, "bfloat16")):
        (tmp_path / "config.json").write_text(json.dumps({"hidden_size": width}))
        assert compose(words).engine.precision == expected, width


def test_the_mini_worlds_keys_do_not_depend_on_the_machine(machine):
    machine(False, False)
    plain = Workspace(compose([])).keys
    machine(True, True)
    assert Workspace(compose([])).keys == plain
    assert Workspace(compose(["engine.precision=bfloat16"])).keys["base"] != plain["base"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16 amx_tile", True),
        ("fpu amx_bf16", True),
        ("fpu avx2 avx512f bf16x", False),
    ],
)
def test_cores_are_judged_by_their_flags(monkeypatch, flags, expected):
    monkeypatch.setattr(Path, "read_text", lambda self, encoding: f"flags\t\t: {flags}\nbugs :\n")
    assert cores.multiply_bfloat16() == expected
