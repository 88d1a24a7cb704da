"""What holds of the registry of checkpoints, and that nothing else reads their names."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from r1repro.config import ROOT, Config
from r1repro.evaluation import checkpoints
from r1repro.evaluation.checkpoints import ABLATIONS, ARMS, CHECKPOINTS, EVALUATIONS, STUDENTS
from r1repro.evaluation.metrics import MEASURES
from r1repro.runner.graph import graph
from tests.laptop import laptop

BEGINNING = {"startswith", "removeprefix", "partition", "split", "match", "fullmatch", "search"}
END = {"endswith", "removesuffix", "rpartition", "rsplit", "fullmatch", "search", "replace"}


def test_every_evaluated_checkpoint_is_registered_with_its_parent_and_switch():
    stages = graph()
    assert {name for name in stages if name in EVALUATIONS} == set(EVALUATIONS)
    assert {name for name in stages if name.startswith("evaluate_")} == set(EVALUATIONS)
    for stage, name in EVALUATIONS.items():
        one = CHECKPOINTS[name]
        assert one.label and one.marker and one.colour.startswith("#"), name
        assert stages[stage].inputs[0] == (one.trained or name)
        assert stages[stage].switch == (f"ablation.{one.switch}" if one.switch else None)
        trained = stages[one.trained or name]
        assert one.model in " ".join(stages[stage].config)
        if one.parent and one.trained != one.parent:
            assert trained.inputs[0] == one.parent, name
        assert one.parent or not trained.inputs, f"{name} is no base"


def test_ablations_differ_from_a_checkpoint_that_has_their_parent():
    for name, one in ABLATIONS.items():
        plain = CHECKPOINTS[one.plain]
        assert (plain.parent, plain.chat, plain.model) == (one.parent, one.chat, one.model), name
        assert one.title and one.paper and one.override == f"ablation.{one.switch}=true"
        assert set(one.curves) <= set(MEASURES)
        assert hasattr(laptop(Config).ablation, one.switch)


def test_the_checkpoints_of_a_student_are_found_by_what_they_are():
    for student in STUDENTS:
        found = checkpoints.of_student(student)
        assert list(found) == list(ARMS) and len(set(found.values())) == len(ARMS)
        assert all(CHECKPOINTS[name].model == f"student.{student}" for name in found.values())
        assert checkpoints.arms_of(["dev2", found["base"]]) == found
    assert checkpoints.about("evaluate_qwen_rl").label == "Qwen: RL alone"
    assert checkpoints.about("reward_model").label == "Reward model"


NAMES = [name.split("_") for name in (*CHECKPOINTS, *EVALUATIONS)]
BEGINNINGS = {"_".join(words[:i]) for words in NAMES for i in range(1, len(words) + 1)} | {"_"}
ENDS = {"_".join(words[i:]) for words in NAMES for i in range(len(words))} | {"_"}


def read_names(tree: ast.AST) -> Iterator[ast.expr]:
    """The calls and comparisons that ask for the beginning, end or part of a checkpoint's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            how = node.func.attr
            known = (BEGINNINGS if how in BEGINNING else set()) | (ENDS if how in END else set())
            given = [n for part in node.args for n in ast.walk(part) if isinstance(n, ast.Constant)]
            texts = [str(n.value) for n in given]
            for_people = how == "replace" and sorted(texts) == [" ", "_"]
            if not for_people and any(t.strip("_") in known or t in known for t in texts):
                yield node
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            text = node.left.value if isinstance(node.left, ast.Constant) else None
            names = (*CHECKPOINTS, *EVALUATIONS)
            if isinstance(text, str) and text != text.strip("_") and any(text in n for n in names):
                yield node


def readers(file: Path) -> Iterator[str]:
    for node in read_names(ast.parse(file.read_text(encoding="utf-8"))):
        yield f"{file.name}, line {node.lineno}: {ast.unparse(node)}"


def test_nothing_finds_out_from_a_name_what_a_checkpoint_is():
    assert [found for file in (ROOT / "r1repro").rglob("*.py") for found in readers(file)] == []


@pytest.mark.parametrize(
    "source",
    [
        'name.removeprefix("evaluate_")', 'name.endswith("_rl")', 'n.endswith("base")',
        'name.startswith(f"{student}_")', 'name.split("_")[0]', '"_rl_equal" in name',
        'name.replace("_base", "_rl")', 'name.startswith(("qwen", "llama"))',
    ],
)  # fmt: skip
def test_the_ways_in_which_names_were_read_are_found(source):
    assert len(list(read_names(ast.parse(source)))) == 1
