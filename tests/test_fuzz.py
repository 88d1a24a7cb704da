"""Mutated command lines, overrides, YAML, rows, parameters and model folders: one sentence each.

No traceback, no process started, nothing left behind. 200 here, 1,000 with `-m long`.
"""

import json
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r1repro import cli, config, launch, notebook_parameters, row_files
from r1repro.errors import R1ReproError
from r1repro.planning import preflight
from r1repro.runner import processes
from tests import tiny

SHORT, LONG = 33, 167
"""Of each of the six kinds."""
MANY = [
    pytest.param(SHORT, id="short"),
    pytest.param(LONG, id="long", marks=pytest.mark.long),
]
NASTY = [
    *"=[]{},:'\"\\/#~$!%*&?<>|;()",
    " ",
    "\t",
    "\n",
    "\0",
    "é",
    "思",
    "🙂",
    "\u202e",
    "\x1b[31m",
    "${oc.env:HOME}",
    "!!python/object",
    "../",
    "null",
    "nan",
    "1e999",
    "-1",
    "٣",
]
OVERRIDES = [
    ["scale=smoke"], ["seed=3", "base_seed=1"], ["scale=gpu", "model=qwen2.5-1.5b", "task=gsm8k"],
    ["stage.r1_zero.steps=200"], ["ablation=all"], ["lab=ppo_vs_grpo"], ["engine.lora_rank=32"],
    ["task.path=questions.jsonl", "task.prompt=question", "task.answer=answer"],
    ["model.path=models/a b"], ["stage.r1_zero.objective.clip=0.2"], ["launch.processes=2"],
    ["evaluation.problems=20", "evaluation.split=validation"], ["general.sft=file.jsonl"],
]  # fmt: skip
LINES = [
    ["run", "scale=smoke", "--until", "r1_zero"], ["run", "-m", "seed=0,1,2"],
    ["plan", "--card", "24", "--no-probe", "--from", "base"], ["fetch", "scale=gpu"],
    ["publish", "runs/a"], ["join", "runs/a", "runs/b"], ["compare", "reports/A", "reports/B"],
    ["chat", "r1", "--beside", "base", "--temperature", "0.6"],
    ["grade", "rows.jsonl", "--gold", "answer", "--seconds", "5"],
    ["analyze", "rows.jsonl", "--language", "zh", "--think-tags", "<a>", "</a>"],
    ["decontaminate", "rows.jsonl", "rows.jsonl", "--evidence", "exact"], ["doctor", "runs/a"],
]  # fmt: skip
ROWS = [
    {"gold": "12", "completion": "<think>3*4=12</think><answer>12</answer>", "problem": "3*4?"},
    {"gold": "\\frac{1}{2}", "completion": "It is \\boxed{0.5}.", "problem": "一半是多少？"},
    {"gold": "#### 7", "completion": None, "problem": "4+3", "nested": {"a": [1, 2.5, True]}},
]
randoms = st.integers(0, 2**32 - 1).map(random.Random)


def mutated(text: str, rng: random.Random) -> str:
    """The text with one to four edits."""
    for _ in range(rng.randint(1, 4)):
        at, to = rng.randint(0, len(text)), rng.randint(0, len(text))
        piece = rng.choice([rng.choice(NASTY), text[min(at, to) : max(at, to)][:20], ""])
        text = text[:at] + piece + text[at + rng.choice([0, 0, 1, 3]) :]
    return text


def fuzzed(examples):
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None,
        suppress_health_check=[*HealthCheck],
    )  # fmt: skip


def refused(act, culprits=()):
    """Run `act`, which may fail with a sentence that names one of the culprits."""
    try:
        return act()
    except R1ReproError as error:
        said = str(error)
        assert said and "Traceback" not in said and len(said) < 3000, said
        assert not culprits or any(one in said for one in culprits), (culprits, said)
    return None


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """In an empty folder; nothing may start a process or a run."""
    monkeypatch.chdir(tmp_path)

    def never(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(processes, "start", never)
    monkeypatch.setattr(subprocess, "Popen", never)
    for name in ("work", "submit"):
        monkeypatch.setattr(launch, name, lambda *args, **kwargs: ("1", Path("log")))
    yield
    assert not (tmp_path / "runs").exists() and not (tmp_path / "never").exists()


@pytest.mark.parametrize("examples", MANY)
def test_overrides(examples):
    @fuzzed(examples)
    @given(randoms)
    def each(rng):
        words = [*rng.choice(OVERRIDES)]
        place = rng.randrange(len(words))
        words[place] = mutated(words[place], rng)
        refused(lambda: config.compose(words))

    each()


@pytest.mark.parametrize("examples", MANY)
def test_command_lines(examples, tmp_path, capsys):
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))

    @fuzzed(examples)
    @given(randoms)
    def each(rng):
        words = [*rng.choice(LINES)]
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(len(words))
            words[place : place + 1] = rng.choice(
                [[mutated(words[place], rng)], [], [words[place]] * 2, [rng.choice(NASTY)]]
            )
        try:
            code = cli.main(words)
        except SystemExit as left:  # argparse
            code = left.code
        said = capsys.readouterr()
        assert code in (0, 1, 2), words
        assert "Traceback" not in said.err and "not expected" not in said.err, (words, said.err)
        assert code == 0 or "error" in said.err, (words, said.err)

    each()


@pytest.mark.parametrize("examples", MANY)
def test_saved_configurations(examples, tmp_path):
    whole = tmp_path / "resolved.yaml"
    config.save(config.compose(["scale=smoke"]), whole)
    text, broken = whole.read_text(), tmp_path / "broken.yaml"

    @fuzzed(examples)
    @given(randoms)
    def each(rng):
        lines = text.splitlines()
        place = rng.randrange(len(lines))
        lines[place] = mutated(lines[place], rng)
        broken.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
        refused(lambda: config.load(broken))

    each()


@pytest.mark.parametrize("examples", MANY)
def test_rows(examples, tmp_path):
    whole = "\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS).encode()

    @fuzzed(examples)
    @given(randoms, st.sampled_from([".jsonl", ".json", ".parquet"]))
    def each(rng, suffix):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.choice([0, 1, 9])] = rng.choice(
                [rng.randbytes(2), rng.choice(NASTY).encode(), b"", b"NaN", b"[" * 3000]
            )
        file = tmp_path / f"broken{suffix}"
        file.write_bytes(data)
        found = refused(lambda: list(row_files.read(file)), [file.name])
        assert found is None or all(isinstance(row, dict) for _, row in found)

    each()


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(NASTY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=5,
)


@pytest.mark.parametrize("examples", MANY)
def test_notebook_parameters(examples):
    @fuzzed(examples)
    @given(values)
    def each(value):
        refused(lambda: notebook_parameters.settings(value), ["overrides="])
        refused(lambda: notebook_parameters.build_or_not(value), ["build_missing="])
        refused(lambda: notebook_parameters.file(value), ["config_path="])

    each()


@pytest.mark.parametrize("examples", MANY)
def test_model_folders(examples, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    tiny.model_folder("qwen", whole)
    sums = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(12)]
    (tmp_path / "sums.jsonl").write_text("\n".join(map(json.dumps, sums)))
    words = [
        "scale=smoke", "model=local", f"model.path={broken}", f"student.qwen.path={whole}",
        f"student.llama.path={whole}", "task=own", f"task.path={tmp_path / 'sums.jsonl'}",
        "task.validation_problems=2", "task.test_problems=3", f"runs={tmp_path / 'never'}",
    ]  # fmt: skip
    shutil.copytree(whole, broken)
    composed = config.compose(words)
    preflight.check(composed)

    @fuzzed(examples)
    @given(randoms)
    def each(rng):
        shutil.rmtree(broken, ignore_errors=True)
        shutil.copytree(whole, broken)
        file = rng.choice(sorted(broken.iterdir()))
        data = bytearray(file.read_bytes())
        if rng.random() < 0.2:
            file.unlink()
        else:
            at = rng.randrange(max(1, len(data)))
            harm = [rng.randbytes(3), b"", b"null", b"-1", b'"', b"0", b"999999999"]
            data[at : at + rng.choice([1, 4, 30])] = rng.choice(harm)
            file.write_bytes(data)
        refused(lambda: preflight.check(composed), [str(broken)])

    each()
