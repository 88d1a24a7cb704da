"""Prompting methods: answer prefixes are kept, and examples are correct and never held out."""

import random
import re
from itertools import islice

import pytest

from r1repro.rewards.correctness import is_correct
from r1repro.tasks import mini_world, prompting, templates, word_problems
from r1repro.tasks.held_out import true_sums
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World
from r1repro.text.tags import END, THINK_OPEN


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 40, 200)


@pytest.fixture(scope="module")
def ways(world):
    return prompting.ways(world, "mini")


def test_every_prompt_ends_with_the_question_and_what_is_begun(world, ways):
    assert list(ways) == ["template", "plain", "begun", "step", "few_1", "few_2", "few_4", "few_8"]
    for problem in (*world.validation, *world.general_validation):
        for name, form in ways.items():
            asked = form(problem)
            assert asked.prompt.endswith(asked.begun) and problem.prompt in asked.prompt, name
            assert bool(asked.begun) == (name in ("begun", "step"))
        assert ways["template"](problem).prompt == templates.render("mini", problem)
        assert ways["begun"](problem).begun == THINK_OPEN


def test_a_first_step_that_is_begun_uses_what_is_given():
    chain = Problem("arithmetic:53-7+8", "arithmetic", "zh", 1, "计算53-7+8。", "54")
    search = Problem("countdown:3,5,9=7", "countdown", "en", 1, "Use 3,9,5 to make 7.", "3,5,9=7")
    assert prompting.first_step(chain) == "53-7=" and prompting.first_step(search) == "9+3="


def test_examples_are_whole_right_and_of_training_problems(world, ways):
    held = {problem.prompt for problem in world.held_out_problems}
    for problem in world.validation:
        for count in prompting.EXAMPLES:
            *shown, last = ways[f"few_{count}"](problem).prompt.split(END)
            assert len(shown) == count == len(set(shown)) and last == f"{problem.prompt}\n"
            for text in shown:
                assert text.split("\n")[0] not in held
                assert not world.kept_out.solved_in(text)


def test_a_worked_example_answers_its_question(world):
    rng = random.Random(0)
    found = 0
    for problem in islice(world.train("test"), 300):
        text = prompting.worked(rng, problem)
        if text is None:
            assert problem.task == "countdown"
            continue
        found += 1
        said = text.removeprefix(f"{problem.prompt}\n")
        assert is_correct(problem, said), text
        assert len(true_sums(said)) == len(set(re.findall(r"\d+[-+*]\d+=\d+", said))), text
    assert found > 200


def test_data_sets_are_asked_in_three_ways():
    problem = Problem("own:1", "own", "en", 1, "How many legs has a cat?", "4")
    world = World(0, (problem,), (), (), (), lambda rng: iter(()))
    assert list(prompting.ways(world, "r1_zero")) == ["template", "plain", "begun"]


def test_a_chat_model_is_asked_in_its_own_form_and_after_solved_problems():
    world = word_problems.build(("en", "zh"), seed=0, validation=27, test=10, max_level=3)
    ways = prompting.ways(world, "r1_zero", "qwen")
    assert list(ways)[3:5] == ["boxed", "few_1"] and list(ways)[8:] == [
        "turns_1", "turns_2", "turns_4", "turns_8",
    ]  # fmt: skip
    held_out = {problem.prompt for problem in (*world.validation, *world.test)}
    for problem in world.validation:
        boxed, few = (ways[name](problem).prompt for name in ("boxed", "turns_4"))
        last = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
        assert boxed == last.format(problem.prompt + prompting.BOXED[problem.language])
        assert few.endswith(last.format(problem.prompt)) and few.count("<|im_start|>user") == 5
        assert few.count("<|im_end|>") == 9 and "<think>" not in few
        assert sum(prompt in few for prompt in held_out) == 1


def test_a_solved_word_problem_ends_in_its_answer():
    world = word_problems.build(("en", "zh"), seed=1, validation=54, test=54, max_level=3)
    for problem in (*world.validation, *world.test):
        text = prompting.worked(random.Random(0), problem)
        lines = text.removeprefix(f"{problem.prompt}\n").split("\n")
        assert len(lines) == problem.level + 1 and is_correct(problem, "\n".join(lines))
        for line in lines[:-1]:
            left, sign, right, result = re.fullmatch(r"(\d+)([-+*/])(\d+)=(\d+)", line).groups()
            assert word_problems.OPERATORS[sign](int(left), int(right)) == int(result)
        assert lines[-2].endswith(f"={problem.answer}")
