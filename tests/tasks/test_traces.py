"""A stronger teacher's answers as rows for SFT."""

import dataclasses
import json

import pytest

from r1repro.config import ROOT, StudentsConfig
from r1repro.errors import R1ReproError
from r1repro.runner.workspace import Workspace
from r1repro.stages import sft
from r1repro.tasks import traces, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.text.tags import read
from tests.laptop import laptop

REAL = ROOT / "tests" / "data" / "r1_traces.json"


def written(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return laptop(StudentsConfig, traces=str(path))


def test_each_question_once_with_the_first_of_its_answers(tmp_path):
    student = written(
        tmp_path / "traces.jsonl",
        {"problem": "What is 1+1?", "generations": ["<think>a</think>2", "<think>b</think>3"]},
        {"problem": "what is 1 + 1", "generations": "<think>c</think>2"},
        {"problem": "What is 2+2?", "generations": "<think>d</think>4"},
    )
    found = traces.rows(student)
    assert [row["completion"] for row in found] == ["<think>a</think>2", "<think>d</think>4"]


def test_other_traces_in_the_same_file_are_another_student(tmp_path, compose):
    file = tmp_path / "traces.jsonl"
    written(file, {"problem": "What is 1+1?", "generations": "<think>a</think>2"})
    settings = ("model=qwen2.5-0.5b", f"student.traces={file}")
    before = Workspace(compose(*settings)).keys
    file.write_text(file.read_text() * 2)
    after = Workspace(compose(*settings)).keys
    changed = {name for name in after if after[name] != before[name]}
    assert {"qwen_distilled", "llama_distilled"} <= changed and "dev3" not in changed


def test_held_out_questions_and_long_traces_do_not_teach(tmp_path, compose):
    config = compose("model=qwen2.5-0.5b")
    asked = worlds.of(config.task).test[0].prompt
    rows = [
        {"problem": asked, "generations": "<think>so</think>1"},
        {
            "problem": "What is the twelfth prime?",
            "generations": "<think>" + "a " * 99 + "</think>",
        },
        {"problem": "What is the tenth prime?", "generations": "<think>29</think>29"},
    ]
    student = dataclasses.replace(written(tmp_path / "t.jsonl", *rows), traces_tokens=20)
    tokenizer = train_tokenizer(["What is the tenth prime? <think>29</think>"])
    found, told = sft.from_traces(dataclasses.replace(config, student=student), tokenizer)
    assert told == {
        "traces": 3, "held a held-out question": 1, "kept": 1, "with an answer tag": 0
    }  # fmt: skip
    assert found.prompt.tolist() == ["What is the tenth prime?"]


@pytest.mark.parametrize("said", [None, [], "", 7])
def test_a_row_without_an_answer_is_named(tmp_path, said):
    student = written(tmp_path / "t.jsonl", {"problem": "What?", "generations": said})
    with pytest.raises(R1ReproError, match="row 1: generations must be non-empty text"):
        traces.rows(student)


def test_real_traces_without_their_thinking_are_refused():
    student = laptop(StudentsConfig, traces=str(REAL), traces_completion="message_content")
    with pytest.raises(R1ReproError, match="row 1: message_content has no </think>"):
        traces.rows(student)


def test_a_boxed_answer_is_put_in_the_answer_tag(tmp_path):
    """Without it a student never learns the tag that its rewards and evaluation read."""
    said = "<think>e</think>6"
    chat = [{"from": "human", "value": "What is 3+3?"}, {"from": "gpt", "value": said}]
    student = written(
        tmp_path / "t.jsonl",
        {"problem": "What is 1+1?", "generations": ["<think>a</think>So \\boxed{2}."]},
        {"problem": "What is 2+2?", "generations": "<think>b \\boxed{5}</think><answer>4</answer>"},
        {"problem": chat, "generations": chat},
    )
    assert [row["completion"] for row in traces.rows(student)] == [
        "<think>a</think>So \\boxed{2}.\n<answer>2</answer>",
        "<think>b \\boxed{5}</think><answer>4</answer>",
        said,
    ]


def test_real_traces_are_tagged(tmp_path):
    rows = json.loads(REAL.read_text("utf-8"))
    said = [f"<think>{r['message_thinking']}</think>\n{r['message_content']}" for r in rows]
    found = [
        {"problem": row["problem"], "generations": text}
        for row, text in zip(rows, said, strict=True)
    ]
    for row, made in zip(rows, traces.rows(written(tmp_path / "t.jsonl", *found)), strict=True):
        assert read(made["completion"]).answer == row["gtruth_answer"]
