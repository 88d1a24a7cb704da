"""Questions and answers in the forms of other people's files."""

import json

import pytest

from r1repro.errors import R1ReproError
from r1repro.tasks import datasets, fields
from r1repro.tasks.datasets import Source

ASKED = "What is 6 + 6?"
CHAT = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASKED}]
SHARE = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "12"}]
PARTS = [{"role": "user", "content": [{"type": "text", "text": ASKED}]}]
IMAGE = [{"role": "user", "content": [{"type": "image", "url": "a.png"}]}]


def problem(tmp_path, question, answer):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"question": question, "answer": answer}))
    (found,), _ = datasets.questions(Source("own", path=str(path)))
    return found


@pytest.mark.parametrize("question", [ASKED, CHAT, json.dumps(CHAT), SHARE, PARTS])
def test_a_question_may_be_a_chat(tmp_path, question):
    assert problem(tmp_path, question, "12").prompt == ASKED


@pytest.mark.parametrize("question", ["  ", None, 7, [], {}, IMAGE, [{"role": "assistant"}]])
def test_what_is_no_question_is_named(tmp_path, question):
    with pytest.raises(R1ReproError, match="row 1: question is empty or no text"):
        problem(tmp_path, question, "12")


def test_an_answer_is_the_last_turn_of_the_assistant():
    assert fields.turn(SHARE, fields.ASSISTANT) == "12"
    assert fields.turn(CHAT, fields.ASSISTANT) is None
