import ast
import importlib
import inspect
import json
import re
from pathlib import Path

import pandas as pd
import papermill
import pytest
import torch

from r1repro import config, launch, shipped_checkpoints
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.notebook import Run, open_run
from r1repro.runner.graph import graph
from r1repro.runner.sequence import ARTICLE
from r1repro.runner.workspace import Workspace
from r1repro.stages.models import load_model
from r1repro.tasks import filters, worlds
from tests.hygiene import faults

NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
SEEDS = ROOT / "notebooks" / "seeds.ipynb"
TRAIN = ("r1repro.stages.rl", "r1repro.stages.sft")


def code_cells(path: Path) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def asks_the_doctor(path: Path) -> bool:
    return any(text(cell).startswith("run.doctor(") for cell in code_cells(path))


def test_there_is_one_for_every_stage():
    names = {path.stem for path in NOTEBOOKS}
    assert {stage.notebook for stage in graph().values()} <= names


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").rglob("*.ipynb")), ids=lambda p: p.stem
)
def test_calls_that_the_text_suggests_can_be_made(path):
    cells = json.loads(path.read_text())["cells"]
    prose = "\n".join(text(cell) for cell in cells if cell["cell_type"] == "markdown")
    code = "\n".join(map(text, code_cells(path)))
    modules = {}
    for package, names in re.findall(r"^from (r1repro[\w.]*) import ([\w, ]+)$", code, re.M):
        modules |= {name.strip(): package for name in names.split(",")}
    for module, function, given in re.findall(r"`(\w+)\.(\w+)\(([^`]*)\)`", prose):
        if module not in modules:
            continue
        found = getattr(importlib.import_module(f"{modules[module]}.{module}"), function)
        call = ast.parse(f"f({given})", mode="eval").body
        names = {word.arg: None for word in call.keywords}
        inspect.signature(found).bind_partial(*call.args, **names)


@pytest.mark.parametrize("path", [*NOTEBOOKS, SEEDS], ids=lambda path: path.stem)
def test_source_is_clean(path):
    assert not list(faults([path]))
    cells = code_cells(path)
    (parameters,) = [c for c in cells if "parameters" in c["metadata"].get("tags", [])]
    own = ('config_path = ""', "overrides = []", 'build_missing = "ask"')
    for line in ("runs = []",) if path == SEEDS else own:
        assert line in text(parameters)
    assert all(text(cell).count("\n") < 15 for cell in cells)
    built = set(re.findall(r'run\.stage\("(\w+)"\)', "\n".join(map(text, cells))))
    for together in re.findall(
        r"run\.stages\((.*?)^ *\)(?!,)", "\n".join(map(text, cells)), re.S | re.M
    ):
        built |= set(re.findall(r'"(\w+)"', together))
    for evaluated in re.findall(r"run\.evaluations\((.*?)\)", "\n".join(map(text, cells))):
        built |= {f"evaluate_{name}" for name in re.findall(r'"(\w+)"', evaluated)}
    own = {stage.name for stage in graph().values() if stage.notebook == path.stem}
    assert own <= built <= set(graph())


def test_the_quickstart_reads_and_asks_without_training(tmp_path):
    path, out = ROOT / "notebooks" / "quickstart.ipynb", tmp_path / "out.ipynb"
    papermill.execute_notebook(
        path, out, kernel_name="python3", cwd=path.parent, progress_bar=False
    )
    outputs = [cell["outputs"] for cell in code_cells(out)]
    assert all(outputs[1:]) and "Traceback" not in out.read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_report_and_every_notebook_that_trains_a_policy_ask_the_doctor(path):
    trains = any(
        stage.notebook == path.stem and stage.run.split(":")[0] in TRAIN
        for stage in graph().values()
    )
    assert asks_the_doctor(path) == (trains or path.stem == ARTICLE)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory) -> tuple[Workspace, Path]:
    """One run of everything at scale=smoke, the ablations too; the report."""
    runs = tmp_path_factory.mktemp("smoke")
    found = config.compose(["scale=smoke", "ablation=all", f"runs={runs}"])
    return Workspace(found), launch.run(found)


def test_the_sequence_runs_headless(smoke):
    space, report = smoke
    assert all(space.is_done(name) for name in space.stages)
    for path in NOTEBOOKS:
        executed = report.parent / "notebooks" / path.name
        outputs = [cell["outputs"] for cell in code_cells(executed)]
        assert any(outputs) and "Traceback" not in executed.read_text()
        assert ("looked for: clipped" in executed.read_text()) == asks_the_doctor(path)
    page = report.read_text(encoding="utf-8")
    assert "R1-Zero" in page
    assert not re.search(r"""(?:src|href)=["']?https?:""", page)
    links = set(re.findall(r'href="(notebooks/[^"]+)"', page))
    assert links == {f"notebooks/{path.stem}.html" for path in NOTEBOOKS if path.stem != ARTICLE}
    assert all((report.parent / link).is_file() for link in links)


@pytest.mark.parametrize("stage", ["cold_start_data", "rejection_sampling"])
def test_no_data_set_holds_an_evaluation_problem(smoke, stage):
    space, _ = smoke
    data = pd.read_parquet(space.place(stage) / "dataset.parquet")
    world = worlds.of(space.config.task)
    assert len(data) and not set(data.problem_id) & world.held_out
    asked, said = data.prompt.tolist(), data.completion.tolist()
    assert not any(filters.contaminated(asked, said, world.held_out_problems))


def test_nothing_changed_nothing_built(smoke, capsys):
    space, report = smoke
    built = {name: space.place(name).stat().st_ino for name in space.stages}
    written = report.stat().st_mtime_ns
    capsys.readouterr()
    assert launch.run(space.config) == report and report.stat().st_mtime_ns == written
    assert {name: space.place(name).stat().st_ino for name in space.stages} == built
    assert capsys.readouterr().out.count(" cached\n") == len(space.stages)


@pytest.mark.parametrize("notebooks", [2, pytest.param(len(NOTEBOOKS), marks=pytest.mark.long)])
def test_plain_papermill_gives_the_same(smoke, tmp_path, notebooks):
    """Notebooks in order, in an empty runs folder and without `r1repro run`."""
    space, _ = smoke
    overrides = ["scale=smoke", f"runs={tmp_path / 'runs'}"]
    executed = NOTEBOOKS[:notebooks]
    for path in executed:
        papermill.execute_notebook(
            path,
            tmp_path / path.name,
            {"overrides": overrides},
            kernel_name="python3",
            cwd=path.parent,  # where JupyterLab starts it
            progress_bar=False,
        )
    alone = Workspace(config.compose(overrides))
    stems = {path.stem for path in executed}
    made = {name for name, stage in alone.stages.items() if stage.notebook in stems}
    assert {"base", "r1_zero", "evaluate_r1_zero"} <= made and all(map(alone.is_done, made))
    differ = {name for name in made if alone.keys[name] != space.keys[name]}
    assert differ == made & {"comparison"}, "it reads the ablations too"
    for name in made:
        for weights in space.place(name).rglob("*.safetensors"):
            other = alone.place(name) / weights.relative_to(space.place(name))
            assert other.read_bytes() == weights.read_bytes(), name


def test_a_person_asks_a_checkpoint_and_tries_another_setting(smoke):
    run = Run(smoke[0].config)
    answers = run.ask("r1_zero", "用3,5,2得到16。", n=4)
    assert list(answers) == ["completion", "accuracy", "format", "advantage"]
    assert len(answers) == 4 and abs(answers["advantage"].sum()) < 1e-4
    assert len(run.ask("base", "Which pet purrs?", n=2, answer="a cat")) == 2
    with pytest.raises(R1ReproError, match="answer to this question is not known"):
        run.ask("r1_zero", "Which pet purrs?")
    for name in ("reward_model", "base_best"):
        with pytest.raises(R1ReproError, match=f"{name} is not a policy"):
            run.ask(name, "What is 1+2-1?")
    assert len(run.trial(steps=2, beta=0.0)) == 2
    with pytest.raises(R1ReproError, match="no setting 'bta': give .*beta"):
        run.trial(bta=0.0)
    with pytest.raises(R1ReproError, match="epsilon=-1"):
        run.trial(epsilon=-1.0)


def test_shipped_checkpoints_answer_as_those_they_are_from(smoke, tmp_path):
    space, _ = smoke
    made = shipped_checkpoints.write(space.config, tmp_path)
    assert [file.name for file in made] == ["r1_zero.zip", "r1.zip"]
    before = [file.read_bytes() for file in made]
    assert before == [
        file.read_bytes() for file in shipped_checkpoints.write(space.config, tmp_path)
    ]
    for name in shipped_checkpoints.NAMES:
        found = shipped_checkpoints.load(name, tmp_path)
        assert found.origin["key"] == space.keys[name] and found.origin["scale"] == "smoke"
        trained = load_model(space.place(name) / "model")
        for one, other in zip(found.model.parameters(), trained.parameters(), strict=True):
            assert torch.equal(one, other.to(torch.bfloat16).float())
        assert len(found.ask("What is 1+2-1?", n=2)) == 2
    with pytest.raises(R1ReproError, match="no checkpoint dev1 comes with r1repro: give r1_zero"):
        shipped_checkpoints.load("dev1", tmp_path)
    made[0].write_bytes(made[0].read_bytes()[:-1])
    with pytest.raises(R1ReproError, match="r1_zero.zip is missing or was modified"):
        shipped_checkpoints.load("r1_zero", tmp_path)


def test_every_notebook_says_where_it_stands_in_the_sequence():
    strips = {
        path: text(json.loads(path.read_text())["cells"][0]).split("\n")[2] for path in NOTEBOOKS
    }
    for path, strip in strips.items():
        linked = re.findall(r"\]\((\w+\.ipynb)\)", strip)
        assert sorted([*linked, path.name]) == [one.name for one in NOTEBOOKS]
        assert len(re.findall(r"\*\*[^*]+\*\*", strip)) == 1
    plain = {
        re.sub(r"\*\*([^*]+)\*\*|\[([^]]+)\]\([^)]+\)", r"\1\2", strip) for strip in strips.values()
    }
    assert len(plain) == 1, "the same steps in the same order"


def test_notebook_opened_alone_says_what_is_missing_and_asks(
    compose, fake_graph, monkeypatch, capsys
):
    questions = []
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or "n")
    with pytest.raises(R1ReproError, match="second needs first, not built yet") as refused:
        Run(compose()).stage("second")
    assert "about 20 s" in str(refused.value) and len(questions) == 1
    monkeypatch.setattr("builtins.input", lambda question: "y")
    assert Run(compose()).stage("second").name == "second"
    assert "about 20 s" in capsys.readouterr().out


def test_missing_is_refused_or_built_as_asked(compose, fake_graph):
    with pytest.raises(R1ReproError, match="first is not built: run .* build_missing=True"):
        Run(compose(), build_missing=False).stage("second")
    assert Run(compose(), build_missing=True).stage("second").name == "second"
    with pytest.raises(R1ReproError, match="no stage third"):
        Run(compose()).stage("third")


def test_without_anybody_to_ask_it_is_built(compose, fake_graph, monkeypatch, capsys):
    def nobody(question):
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert Run(compose()).stage("second").name == "second"
    assert "Not interactive" in capsys.readouterr().out


def test_headless_and_alone_it_builds_what_it_is_made_from(fake_notebooks, runs, tmp_path):
    papermill.execute_notebook(
        fake_notebooks / "01_second.ipynb",
        tmp_path / "out.ipynb",
        {"overrides": ["scale=smoke", f"runs={runs}"]},
        kernel_name="python3",
        cwd=ROOT,
        progress_bar=False,
    )
    said = (tmp_path / "out.ipynb").read_text()
    assert "second needs first, not built yet" in said and "Not interactive" in said
    assert {folder.name.split("-")[0] for folder in (runs / "cache").iterdir()} == {
        "first",
        "second",
    }


def test_open_run_takes_a_file_or_overrides(tmp_path):
    with pytest.raises(R1ReproError, match="no configuration at"):
        open_run(tmp_path / "resolved.yaml")
    with pytest.raises(R1ReproError, match="config_path and overrides were both given"):
        open_run(tmp_path / "resolved.yaml", ["seed=1"])
    assert open_run("", ["scale=smoke"]).config.scale == "smoke"
