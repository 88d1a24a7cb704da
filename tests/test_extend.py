"""The code of docs/extend.md runs as it stands there."""

import os
import re
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from r1repro import artifacts
from r1repro.config import ROOT, RLConfig, runs_folder
from r1repro.rewards import rule_rewards
from r1repro.runner.workspace import Workspace
from r1repro.tasks.problem import Problem
from r1repro.training import rl
from tests.laptop import laptop

PAGE = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```python\n# (.*?)\n(.*?)```", PAGE, re.DOTALL))


def test_every_block_of_code_is_run_here():
    assert PAGE.count("```python") == len(BLOCKS) == 3
    assert list(BLOCKS) == [
        "r1repro/rewards/rule_rewards.py",
        "my_study.py",
        "a notebook, or python",
    ]


def test_every_file_that_the_page_names_is_there():
    for name in re.findall(r"`(r1repro/[\w/.]+\.py)`", PAGE):
        assert (ROOT / name).is_file(), name


def test_a_rule_of_ones_own_is_paid(monkeypatch):
    found: dict[str, Any] = {"Sequence": Sequence, "Any": Any}
    exec(BLOCKS["r1repro/rewards/rule_rewards.py"], found)
    monkeypatch.setattr(rule_rewards, "brevity", found["brevity"], raising=False)
    plain = rl.weights(laptop(RLConfig))
    monkeypatch.setattr(rl, "weights", lambda settings: {**plain, "brevity": 0.2})
    tokenizer = SimpleNamespace(encode=str.split, eos_token_id=0)
    count = lambda only_trainable=False: 10  # noqa: E731
    model: Any = SimpleNamespace(num_parameters=count, generation_config=None)
    recorder = rl.Recorder(laptop(RLConfig), tokenizer, model)
    said = ["7", "7" * 200, "7" * 800]
    columns = [rule_rewards.columns_of(Problem("x", "arithmetic", "en", 1, "3+4?", "7"))] * 3
    given = {name: [row[name] for row in columns] for name in columns[0]}
    for rule in recorder.reward_functions():
        paid = rule(said, completion_ids=[[5, 0]] * 3, prompts=["3+4?"] * 3, **given)
    assert paid == pytest.approx([1 - 1 / 400, 0.5, 0.0])
    assert list(recorder.batch["reward_brevity"]) == paid


def test_a_stage_of_ones_own_is_built_from_another(monkeypatch, tmp_path, compose, runs, capsys):
    (tmp_path / "my_study.py").write_text(BLOCKS["my_study.py"])
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("R1REPRO_STAGES", "my_study:STUDY")
    config = compose()
    rows = pd.DataFrame({"correct": [True, True, False], "tokens": [2, 4, 9]})
    for name in ("base", "evaluate_base"):
        work = Workspace(config).work(name)
        work.mkdir(parents=True)
        rows.to_parquet(work / "evaluation.parquet")
        artifacts.publish(
            work, runs_folder(config), name, Workspace(config).keys[name], {"seconds": 1}
        )
    code = BLOCKS["a notebook, or python"]
    ours = code.replace('"scale=smoke"', f'"scale=smoke", "runs={runs}"')
    assert ours != code
    found: dict[str, Any] = {}
    exec(ours, found)
    lengths = pd.read_parquet(found["result"].folder / "lengths.parquet")["tokens"]
    assert lengths.to_dict() == {False: 9.0, True: 3.0}
    assert str(found["result"].folder) in capsys.readouterr().out
    assert found["result"].manifest["seconds"] >= 0
