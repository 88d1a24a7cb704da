"""Paths in settings are taken as typed, from the command line to a notebook of a run."""

import json
import shutil

import pytest

from r1repro import cli, config
from r1repro.config.compose import as_typed, literal
from r1repro.config.ranges import Setting
from r1repro.errors import R1ReproError
from r1repro.runner import sequence
from tests.tiny import model_folder

NAMES = [  # of folders in folders
    "a b/模型/тест/é", "c=d/epoch=9-step=10/model.path=x", "c#d/(1)/a:b/a&b;c/x|y/!",
    "e[1]/e]/[/{a}/{/}", "~/~x/x~", "a,b/a, b/,", "it's/say \"x\"/'q'/`x`/<y>", "null/True/1e3/+1",
    "${x}/${/\\${x}/$HOME/$", "a\\ b/\\\\/end\\", "100%/@1/?*/-m/tab\there",
]  # fmt: skip


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_folder("qwen", tmp_path_factory.mktemp("model") / "model")


def _place(model, folder):
    """A model and questions below `folder`."""
    shutil.copytree(model, folder / "model")
    rows = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(12)]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _words(place):
    models = [f"{key}.path={place}/model" for key in ("model", "student.qwen", "student.llama")]
    own = [f"task.path={place}/sums.jsonl", "task.validation_problems=2", "task.test_problems=3"]
    return ["scale=smoke", "model=local", *models, "task=own", *own, f"runs={place}/runs"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_taken_as_typed(model, tmp_path, name):
    place = _place(model, tmp_path / name)
    found = config.compose(_words(place))
    assert found.model.path == found.student.llama.path == f"{place}/model"
    assert found.task.path == f"{place}/sums.jsonl"
    assert config.runs_folder(found) == place / "runs"
    config.save(found, tmp_path / "resolved.yaml")
    assert config.load(tmp_path / "resolved.yaml") == found


@pytest.mark.parametrize("name", ["~x", "a b,[c]=d#e", "'q", "-m"])
def test_a_relative_path_too(model, tmp_path, monkeypatch, name):
    _place(model, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    found = config.compose(_words(name))
    assert (found.model.path, found.task.path) == (
        f"{tmp_path}/{name}/model",
        f"{tmp_path}/{name}/sums.jsonl",
    )
    assert config.sweep([*_words(name), "seed=0,1"])[0] == found


def test_the_home_folder_and_a_second_pair_of_quotes(model, tmp_path, monkeypatch):
    _place(model, tmp_path / "my 'm' [1]")
    monkeypatch.setenv("HOME", str(tmp_path))
    for typed in ("~/my 'm' [1]/model", "'~/my \\'m\\' [1]/model'", "\"~/my 'm' [1]/model\""):
        words = [f"{key}.path={typed}" for key in ("model", "student.qwen", "student.llama")]
        assert config.compose(["scale=smoke", *words]).model.path == f"{tmp_path}/my 'm' [1]/model"
    assert config.compose(["scale=smoke", "model.path=null"]).model.path is None


@pytest.mark.parametrize("name", ["a b,[c]=d#e", "~模型 'x' \"y\" ${z}"])
def test_the_command_line_takes_it(model, tmp_path, name, capsys):
    place = _place(model, tmp_path / name)
    assert cli.main(["plan", *_words(place), "--no-probe", "--until", "base"]) == 0
    assert f"copied from {place}/model: nothing is trained" in capsys.readouterr().out


def test_the_notebooks_of_a_run_take_it(fake_notebooks, tmp_path):
    runs = tmp_path / "a b,[c]=d#e{f}'模型'${g}"
    found = config.compose(["scale=smoke", f"runs={runs}"])
    outcome = sequence.run(found, fake_notebooks)
    assert outcome.folder.parent == runs
    assert config.load(outcome.folder / "resolved.yaml") == found
    assert (outcome.folder / "notebooks" / "01_second.ipynb").is_file()


def test_free_text_is_told_from_other_settings():
    kinds = {"a.path": Setting(str, optional=True), "seed": Setting(int)}
    assert as_typed("a.path = /x, y ", kinds) == ("a.path", "/x, y")
    assert as_typed("a.path='/x '", kinds) == ("a.path", "/x ")
    assert as_typed("a.path='a' and 'b'", kinds) == ("a.path", "'a' and 'b'")
    assert as_typed("a.path=null", kinds) == ("a.path", None)
    assert as_typed("seed=1", kinds) is as_typed("+a.path=1", kinds) is None
    assert as_typed("a.path", kinds) is None
    assert literal("a\\${b}$c{d}") == "a\\\\\\${b}$c{d}"


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("model.path=", ["`model.path=` has no value", "model.path=null for none"]),
        ("runs=", ["`runs=` has no value: write runs=VALUE"]),
        ("runs=null", ["runs=None", "a string"]),
        ("model.pth=a b,[c]#", ["`model.pth` in", "nearest one is model.path"]),
        ("seed=3#", ["seed=3# is not accepted", "a whole number"]),
        ("engine.unsloth=(", ["engine.unsloth=( is not accepted", "true or false"]),
        ("model=/data/my model", ["model=/data/my model", "model=local model.path=FOLDER"]),
        ("model=Qwen/Qwen2.5-7B", ["conf/models.yaml", "docs/extend.md"]),
        ("task=my [sums].jsonl", ["task=own task.path=FILE"]),
        ("engine.precision=float32,bfloat16", ["float32, bfloat16"]),
    ],
)
def test_what_is_refused_says_what_to_write(override, parts):
    with pytest.raises(R1ReproError) as refused:
        config.compose(["scale=smoke", override])
    message = str(refused.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message
