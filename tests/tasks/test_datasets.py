"""Rows of real data sets, in their published form, become problems."""

import json

import pytest

from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.rewards.correctness import is_correct
from r1repro.tasks import datasets
from r1repro.tasks.datasets import SOURCES, Source

DATA = ROOT / "tests" / "data"


@pytest.fixture
def file(tmp_path):
    def written(*rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return written


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("48/2 = <<48/2=24>>24 clips\n#### 1,072", "1,072"),
        (r"so $r = \boxed{\left( 3, \frac{\pi}{2} \right)}.$", r"\left( 3, \frac{\pi}{2} \right)"),
        (r"first \boxed{1}, at last \boxed{2}", "2"),
        (" 34 ", "34"),
        (r"so it is $\boxed 2$.", "2"),
        (r"so it is \boxed{\frac{1}{2}", ""),
    ],
)
def test_the_answer_of_a_solution(text, answer):
    assert datasets.right_answer(text) == answer


def test_a_row_is_read_by_the_fields_that_the_source_names(file):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 1+1?"}]
    path = file({"q": "What is 3+4?", "a": 7, "lvl": "Level 5"}, {"q": chat, "a": "2", "lvl": 3})
    found, _ = datasets.questions(Source("own", path=path, prompt="q", answer="a", level="lvl"))
    assert [(p.prompt, p.answer, p.level, p.task) for p in found] == [
        ("What is 3+4?", "7", 5, "own"), ("What is 1+1?", "2", 3, "own")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gold", "answer"),
    [(["12"], "12"), ([3, 4], "3, 4"), ('["12"]', "12"), (12.0, "12.0"), (1e21, "1e+21")],
)
def test_gold_answers_of_any_type_become_text(file, gold, answer):
    (problem,), _ = datasets.questions(
        Source("own", path=file({"question": "What?", "answer": gold}))
    )
    assert problem.answer == answer
    assert is_correct(problem, f"<answer>{answer}</answer>")


def test_a_nested_gold_answer_is_named_by_its_path(file):
    path = file({"question": "What?", "reward_model": {"ground_truth": "12"}})
    (problem,), _ = datasets.questions(Source("own", path=path, answer="reward_model.ground_truth"))
    assert problem.answer == "12"


def test_a_question_that_differs_in_blanks_and_marks_only_comes_once(file):
    path = file(
        {"question": "What is 3 + 4?", "answer": "7"}, {"question": "what is 3 4", "answer": "7"}
    )
    assert len(datasets.questions(Source("own", path=path))[0]) == 2
    path = file(
        {"question": "What is 3+4 ?", "answer": "7"}, {"question": "what is 3 + 4", "answer": "7"}
    )
    assert len(datasets.questions(Source("own", path=path))[0]) == 1


def test_a_question_with_different_gold_answers_is_left_out_and_counted(file):
    path = file(
        {"question": "What is 3+4?", "answer": "7"}, {"question": "What is 3 + 4?", "answer": "8"},
        {"question": "Half of 1?", "answer": "0.5"}, {"question": "Half of 1?", "answer": "1/2"},
        {"question": "What is 3+4?", "answer": "7"},
    )  # fmt: skip
    found, conflicting = datasets.questions(Source("own", path=path))
    assert [(p.prompt, p.answer) for p in found] == [("Half of 1?", "0.5")] and conflicting == 1
    path = file({"question": "What?", "answer": "7"}, {"question": "What?", "answer": "8"})
    with pytest.raises(R1ReproError, match="each of its 1 questions has different gold answers"):
        datasets.questions(Source("own", path=path))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"question": "What?", "answer": None}, "row 1: answer has no complete answer"),
        ({"question": "What?", "answer": "#### "}, "row 1: answer has no complete answer"),
        ({"question": "What?", "answer": float("nan")}, "row 1: answer has no complete answer"),
        ({"question": "What?", "answer": {"ground_truth": "12"}}, "is an object, not an answer"),
        ({"question": "What?", "answer": r"\boxed{\frac{1}{2}"}, "row 1: answer has no complete"),
        ({"question": " ", "answer": "7"}, "row 1: question is empty"),
        ({"question": "What?"}, "row 1 has no field answer: its fields are question"),
        ({"question": "What?", "answer": "There are two apples."}, "row 1: answer is a sentence"),
    ],
)
def test_a_row_that_cannot_be_asked_is_named(file, row, said):
    with pytest.raises(R1ReproError, match=said):
        datasets.questions(Source("own", path=file(row)))


def test_a_data_set_that_was_not_fetched_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        R1ReproError, match="openai/gsm8k@[0-9a-f]{40} is not on this machine; run `r1repro fetch`"
    ):
        datasets.questions(SOURCES["gsm8k"])


def test_countdown_numbers_become_a_question_that_any_right_expression_meets(file):
    source = Source("countdown_tinyzero", path=file({"nums": [19, 36, 55, 7], "target": 65}),
                    prompt="nums", answer="target", countdown=True)  # fmt: skip
    (problem,), _ = datasets.questions(source)
    assert problem.task == "countdown" and problem.level == 2
    assert "[19, 36, 55, 7]" in problem.prompt and " 65." in problem.prompt
    assert is_correct(problem, "<think>x</think><answer>55 + 36 - 7 - 19</answer>")
    assert not is_correct(problem, "<think>x</think><answer>55 + 10</answer>")
    assert not is_correct(problem, "<think>x</think><answer>__import__('os')</answer>")


@pytest.mark.parametrize(
    ("name", "path", "fields", "count"),
    [
        ("gsm8k", "gsm8k_train.jsonl", {}, 50),
        ("gsm8k", "gsm8k_test.jsonl", {}, 44),
        ("math500", "math500.jsonl", {"prompt": "problem"}, 50),
        ("aime24", "aime24.json", {"prompt": "problem"}, 30),
        ("mgsm_zh", "mgsm_zh.jsonl", {"prompt": "messages", "language": "zh"}, 42),
    ],
)
def test_real_files_are_read_whole(name, path, fields, count):
    found, _ = datasets.questions(Source(name, path=str(DATA / path), **fields))
    assert len(found) == count
    # The published answer is scored as right, in the answer tag and in a box.
    for problem in found[:: max(1, len(found) // 25)]:
        assert is_correct(problem, f"<think>so</think><answer>{problem.answer}</answer>")
        assert is_correct(problem, rf"<think>so</think>It is \boxed{{{problem.answer}}}.")
        assert not is_correct(problem, "<think>so</think><answer>-98765</answer>")


def test_tinyzeros_countdown_file_is_read_by_its_numbers():
    path = str(DATA / "countdown.parquet")
    source = Source("c", path=path, prompt="nums", answer="target", countdown=True)
    found, _ = datasets.questions(source)
    assert len(found) == 200 and {p.level for p in found} <= {1, 2}
