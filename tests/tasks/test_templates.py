"""Prompt templates: the question as asked, in the form of its language."""

import pytest

from r1repro.errors import R1ReproError
from r1repro.tasks import mini_world, templates
from r1repro.tasks.problem import Problem


def asked(language: str, prompt: str) -> Problem:
    return Problem("x:1", "arithmetic", language, 1, prompt, "7")


@pytest.mark.parametrize(
    ("language", "prompt", "end"),
    [
        ("en", "Compute 3+4.", " User: Compute 3+4. Assistant:"),
        ("en", "What is 3+4?", " User: What is 3+4? Assistant:"),
        ("en", "Hello!", " User: Hello! Assistant:"),
        ("en", "Compute 3+4", " User: Compute 3+4. Assistant:"),
        ("zh", "计算3+4。", "。用户：计算3+4。助手："),
        ("zh", "3+4等于多少？", "。用户：3+4等于多少？助手："),
        ("zh", "你好！", "。用户：你好！助手："),
        ("zh", "计算3+4", "。用户：计算3+4。助手："),
    ],
)
def test_the_papers_form_ends_a_question_with_one_mark(language, prompt, end):
    assert templates.render("r1_zero", asked(language, prompt)).endswith(end)


def test_every_prompt_stands_as_asked_and_no_mark_is_doubled():
    world = mini_world.build(0, 200, 1000)
    for problem in (*world.test, *world.general_test):
        for name in templates.names():
            text = templates.render(name, problem)
            assert problem.prompt in text and "{" not in text
            assert not any(a + b in text for a in templates.STOPS for b in templates.STOPS)


def test_unknown_template_names_those_there_are():
    with pytest.raises(R1ReproError, match="'paper' in language 'en': use one of mini, r1_zero"):
        templates.render("paper", asked("en", "Compute 3+4."))
