import json

import pytest

from r1repro.config import ROOT
from r1repro.tasks.datasets import right_answer
from r1repro.text.prose import is_sentence

DATA = ROOT / "tests" / "data"


@pytest.mark.parametrize(
    "answer",
    [
        "The answer is twelve apples",
        "It is 12 apples.",
        r"\text{The prism must be a right prism.}",
        "Petya will receive the last token.",
        "答案是十二个苹果。",
    ],
)
def test_sentences(answer):
    assert is_sentence(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "72", "1,072", "A", "east", "Monday", "June 20", r"\text{Evelyn}", r"\text{(C)}",
        "n is even", r"\frac{270}7\text{ degrees}", "40 sweets are left", "all real numbers",
        "twelve apples", r"x = 1 \text{ or } y \text{ is not zero}", "Will, Max and Tom",
        r"5.4 \text{ cents}",
        "$f(x)=ax$, where $a$ is an integer", "does not exist", "there is no solution",
        "星期一", "没有实数解", "不是质数", "", "$$",
    ],
)  # fmt: skip
def test_answers_that_can_be_compared(answer):
    assert not is_sentence(answer)


def test_no_answer_of_gsm8k_or_math_500_is_one():
    for file, field in (("gsm8k_train.jsonl", "answer"), ("math500.jsonl", "answer")):
        lines = (DATA / file).read_text("utf-8").split("\n")
        golds = [right_answer(str(json.loads(line)[field])) for line in lines if line]
        assert len(golds) == 50 and not any(map(is_sentence, golds))
