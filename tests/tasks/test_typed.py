"""Questions as people type them."""

from itertools import islice

import pytest

from r1repro.tasks import mini_world, typed


@pytest.mark.parametrize(
    ("text", "form", "answer"),
    [
        ("用3,5,2得到16。", "countdown:2,3,5=16", "2,3,5=16"),
        ("Use 3, 5 2 to make 16!", "countdown:2,3,5=16", "2,3,5=16"),
        ("用3、5、2凑出16", "countdown:2,3,5=16", "2,3,5=16"),
        ("What is 12+7-3?", "arithmetic:12+7-3", "16"),
        ("4+5", "arithmetic:4+5", "9"),
        ("What is 12 + 7 - 3?", "arithmetic:12+7-3", "16"),
        ("Use 3, 5 and 2 to make 16.", "countdown:2,3,5=16", "2,3,5=16"),
        ("用3、5和2得到16", "countdown:2,3,5=16", "2,3,5=16"),
        ("计算１２＋７", "arithmetic:12+7", "19"),
    ],
)
def test_a_question_is_read_with_its_answer(text, form, answer):
    found = typed.problem(text)
    assert (found.id, found.answer, found.prompt) == (form, answer, text)


@pytest.mark.parametrize(
    "text",
    [
        "Which pet purrs?",
        "3,5,2",
        "Use 3,5,2 to make 16 or 17",
        "12+7 apples and 3",
        "5",
        "What is -5+3?",
        "Use 3,5,2 to make -4",
        "What is 1234+1?",
        "Use 1,2,3,4,5 to make 6",
    ],
)
def test_what_asks_something_else_is_not_guessed(text):
    assert typed.problem(text) is None


def test_every_problem_of_the_world_is_read_as_what_it_is():
    world = mini_world.build(0, 20, 20, max_level=8)
    for problem in islice(world.train("typed"), 500):
        found = typed.problem(problem.prompt)
        assert (found.id, found.answer, found.language) == (
            problem.id, problem.answer, problem.language,
        )  # fmt: skip
