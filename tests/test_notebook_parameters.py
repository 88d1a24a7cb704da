"""What papermill gives a notebook is read as meant, or refused before anything is built."""

import ast
import json
from types import SimpleNamespace

import papermill
import pytest
from papermill.cli import _resolve_type as typed  # as its -p reads a value
from papermill.exceptions import PapermillExecutionError
from papermill.translators import PythonTranslator

from r1repro import config, notebook, notebook_parameters
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.notebook import open_run
from r1repro.reports import seeds


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("True", True), ("true", True), ("yes", True), ("1", True), ("on", True),
        ("False", False), ("false", False), ("no", False), ("No ", False), ("0", False),
        ("ask", "ask"), ("ASK", "ask"),
    ],
)  # fmt: skip
def test_build_missing_is_what_was_typed(given, meant):
    assert open_run("", ["scale=smoke"], typed(given)).build_missing == meant


@pytest.mark.parametrize("given", ["nope", "2", "None", "", 1.0, []])
def test_another_answer_is_refused(given):
    with pytest.raises(R1ReproError, match="build_missing=.* takes ask, True or False"):
        open_run("", ["scale=smoke"], typed(given) if isinstance(given, str) else given)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("scale=smoke", ["scale=smoke"]),
        ("model.path=/a, b/c=d", ["model.path=/a, b/c=d"]),
        ("[scale=smoke, seed=1]", ["scale=smoke", "seed=1"]),
        ('["model.path=/a, b", "seed=1"]', ["model.path=/a, b", "seed=1"]),
        (" ", []),
        (None, []),
        (("seed=1",), ["seed=1"]),
        (["model.path=/a b=c"], ["model.path=/a b=c"]),
    ],
)
def test_a_text_is_one_setting_or_a_list(given, meant):
    assert notebook_parameters.settings(given) == meant


@pytest.mark.parametrize(
    "given", ["scale=smoke seed=1", "scale=smoke,seed=1", "scale=smoke; seed=1",
              "[scale=smoke", "[seed: 1]", {"seed": 1}, [1], 3, True],
)  # fmt: skip
def test_other_overrides_are_refused_with_an_example(given):
    with pytest.raises(R1ReproError, match=r'overrides=.*-y "overrides: \[scale=smoke') as refused:
        open_run("", given)
    assert "\n" not in str(refused.value)


def test_config_path_is_a_path(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config.save(config.compose(["scale=smoke"]), tmp_path / "resolved.yaml")
    assert open_run("~/resolved.yaml").config.scale == "smoke"
    with pytest.raises(R1ReproError, match=r"config_path=\['x'\] is not accepted"):
        open_run(["x"])


def test_run_folders_given_as_a_text_are_a_list():
    with pytest.raises(R1ReproError, match="no-such-run"):
        seeds.read("no-such-run")
    with pytest.raises(R1ReproError, match="no-such-run"):
        seeds.read("[no-such-run, other]")


OWN = 'config_path = ""\noverrides = []\nbuild_missing = "ask"'


@pytest.mark.parametrize(
    ("cells", "refused"),
    [
        (["", OWN, "# Parameters\noverides = []\n", "open_run()"], "overides"),
        (["", OWN, "# Parameters\nscale = 'smoke'\n", "open_run()"], "scale"),
        (["", OWN, "# Parameters\noverrides = []\n", "open_run()"], None),
        (["", OWN, "mine = 1", "open_run()"], None),
        (["", "# Parameters\nmine = 1\n", "open_run()"], None),  # the notebook's own was not run
        (["", OWN, "# Parameters\nx = 1\n", OWN, "# Parameters\noverrides = []\n", ""], None),
    ],
)
def test_a_name_that_the_notebook_does_not_have(monkeypatch, cells, refused):
    shell = SimpleNamespace(user_ns={"In": cells})
    monkeypatch.setattr(notebook_parameters, "get_ipython", lambda: shell)
    if refused is None:
        notebook_parameters.check_names()
        return
    with pytest.raises(R1ReproError) as error:
        open_run("", ["scale=smoke"])
    assert f"no parameter {refused}: it takes config_path, overrides, build_missing" in str(
        error.value
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"overides": ["scale=smoke"]}, "no parameter overides: it takes config_path, overrides"),
        ({"build_missing": "nope"}, "build_missing='nope' is not accepted"),
        ({"overrides": "scale=smoke seed=1"}, "has several settings in one text"),
    ],
)
def test_papermill_ends_before_anything_is_built(fake_notebooks, tmp_path, runs, given, said):
    with pytest.raises(PapermillExecutionError) as stopped:
        papermill.execute_notebook(
            fake_notebooks / "01_second.ipynb", tmp_path / "out.ipynb", given,
            kernel_name="python3", cwd=ROOT, progress_bar=False,
        )  # fmt: skip
    assert said in stopped.value.evalue
    assert not any(runs.iterdir())


def test_papermill_builds_nothing_when_told_no(fake_notebooks, tmp_path, runs):
    given = {"overrides": f"runs={runs}", "build_missing": typed("no")}
    with pytest.raises(PapermillExecutionError, match="is not built: run"):
        papermill.execute_notebook(
            fake_notebooks / "01_second.ipynb", tmp_path / "out.ipynb", given,
            kernel_name="python3", cwd=ROOT, progress_bar=False,
        )  # fmt: skip
    assert not (runs / "cache").exists()


def test_every_notebook_has_the_cell_that_the_names_are_read_from():
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        own = ["".join(c["source"]) for c in cells if "parameters" in c["metadata"].get("tags", [])]
        assert len(own) == 1 and notebook_parameters._assigned(own[0]), path.name


def test_the_notebooks_interface_is_what_papermill_fills():
    assert notebook.open_run.__code__.co_varnames[:3] == tuple(notebook_parameters._assigned(OWN))


@pytest.mark.parametrize("name", ["config_path", "overrides"])
@pytest.mark.parametrize(
    "text",
    [
        'x"\nopen("owned", "w")\n#', "x'\nopen('owned', 'w')\n#", '"""', "'''\nopen('owned')\n'''",
        "\\", '\\"; open("owned")  #', "{open('owned')}", "%run owned.py", "!touch owned",
        "\r\n1/0", "\u2028open('owned')", "\x00", "# Parameters\n1/0", "${oc.env:HOME}",
        "用3,5,2得到16。",
    ],
)  # fmt: skip
def test_papermill_makes_text_of_a_parameter_and_no_code(name, text):
    value = [text] if name == "overrides" else text
    cell = PythonTranslator.codify({name: value})
    (line,) = ast.parse(cell).body
    assert isinstance(line, ast.Assign) and ast.literal_eval(line.value) == value
    assert line.targets[0].id == name
