import json

import pytest

from r1repro import code_marks
from r1repro.config import ROOT
from r1repro.runner.graph import graph

FILES = {
    "__init__.py": "",
    "stages/__init__.py": '"""Stages."""\n',
    "stages/rl.py": '"""RL."""\nfrom r1repro import text\n\n\ndef run():\n    """Runs."""\n'
    "    from r1repro.late import late\n\n    return late(text.x)\n",
    "text.py": "x = 1\n",
    "late/__init__.py": "def late(x):\n    return x\n",
    "late/prompts/mini.jinja": "{{ prompt }}\n",
    "cli.py": "import r1repro.stages.rl\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "r1repro"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(code_marks, "PACKAGE", folder)
    monkeypatch.setattr(code_marks, "_held", {})
    return folder


def changed(package, name, before, after):
    text = (package / name).read_text()
    assert before in text
    (package / name).write_text(text.replace(before, after))


@pytest.mark.parametrize(
    ("name", "before", "after", "same"),
    [
        ("stages/rl.py", '"""Runs."""', '"""Runs it."""', True),
        ("stages/rl.py", '"""RL."""', "# a comment", True),
        (
            "stages/rl.py",
            "    return late(text.x)",
            "    return late(\n        text.x\n    )",
            True,
        ),
        ("stages/rl.py", "late(text.x)", "late(text.x + 1)", False),
        ("cli.py", "import r1repro.stages.rl", "print()", True),
        ("text.py", "x = 1", 'x = 1\n"""What x is."""', True),
        ("text.py", "x = 1", "x = 2", False),
        ("text.py", "x = 1", 'x = "1"', False),
        ("late/__init__.py", "return x", "return 2 * x", False),
        ("late/prompts/mini.jinja", "prompt", "question", False),
        ("stages/__init__.py", "Stages", "All stages", True),
    ],
)
def test_a_mark_is_of_the_syntax_of_what_is_imported(package, name, before, after, same):
    stage = code_marks.of_function("r1repro.stages.rl:run")
    changed(package, name, before, after)
    assert (code_marks.of_function("r1repro.stages.rl:run") == stage) == same


def test_a_notebook_is_marked_by_what_it_imports(package, tmp_path):
    notebook = tmp_path / "00.ipynb"
    cells = [
        {"cell_type": "markdown", "source": "from r1repro import cli"},
        {"cell_type": "code", "source": ["from r1repro import (\n", "    text,\n", ")"]},
    ]
    notebook.write_text(json.dumps({"cells": cells}))
    first, whole = code_marks.of_notebook(notebook), code_marks.everything()
    changed(package, "cli.py", "import", "import json, ")
    changed(package, "late/__init__.py", "return x", "return 2 * x")
    assert code_marks.of_notebook(notebook) == first and code_marks.everything() != whole
    changed(package, "text.py", "1", "2")
    assert code_marks.of_notebook(notebook) != first


def test_what_is_held_is_what_is_marked(package):
    before = code_marks.of_function("r1repro.stages.rl:run")
    code_marks.hold()
    changed(package, "text.py", "1", "2")
    assert code_marks.of_function("r1repro.stages.rl:run") == before
    code_marks._held.clear()
    assert code_marks.of_function("r1repro.stages.rl:run") != before


def test_the_marks_of_the_real_stages_and_notebooks():
    found = {name: code_marks.of_function(stage.run) for name, stage in graph().items()}
    assert found["r1_zero"] == found["dev2"] != found["dev1"]
    assert code_marks.of_function("tests.fake_stages:first") not in found.values()
    notebooks = [code_marks.of_notebook(file) for file in (ROOT / "notebooks").glob("*.ipynb")]
    assert code_marks.everything() not in {*found.values(), *notebooks}
