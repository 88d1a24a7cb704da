"""Generated word problems: answers by formulas written here, wording, splits."""

import random
import re
from dataclasses import replace
from itertools import islice

import pytest

from r1repro.config import TaskConfig
from r1repro.errors import R1ReproError
from r1repro.rewards.correctness import is_correct
from r1repro.tasks import word_problems, worlds
from r1repro.text.language import language_share
from tests.laptop import laptop

STORIES = {story.name: story for story in word_problems.stories()}
ANSWERS = {
    "gift": lambda a, b: a + b,
    "given_away": lambda a, b: a - b,
    "boxes": lambda a, b: a * b,
    "sharing": lambda a, b: a / b,
    "older": lambda a, b: a + b,
    "train": lambda a, b: a * b,
    "pages": lambda a, b: a - b,
    "tickets": lambda a, b: a * b,
    "rope": lambda a, b: a / b,
    "change": lambda a, b, c: c - a * b,
    "bought_more": lambda a, b, c: a - b + c,
    "bags": lambda a, b, c: a * b + c,
    "together": lambda a, b, c: (a + b) / c,
    "bus": lambda a, b, c: c - a * b,
    "younger": lambda a, b: a + (a - b),
    "bicycle": lambda a, b, c: (c - a) / b,
    "times": lambda a, b: a * (1 + b),
    "hall": lambda a, b, c: a * b - c,
    "stationery": lambda a, b, c, d: a * b + c * d,
    "sold": lambda a, b, c, d: a * b - c - d,
    "trays": lambda a, b, c, d: (a * b - c) / d,
    "cyclist": lambda a, b, c, d: a * b + c * d,
    "collecting": lambda a, b, c, d: (a + b) * c - d,
    "parents": lambda a, b, c: a * b + c - a,
    "pizza": lambda a, b, c, d: (a * b + c) / d,
    "outing": lambda a, b, c, d: (a + b) / c * d,
    "garden": lambda a, b, c, d: (a * b + c) * d,
}


def numbers_of(problem):
    return [int(number) for number in problem.id.split(":")[2].split(",")]


def world(train="word_problems:en+zh", **settings):
    found = {"validation_problems": 40, "test_problems": 120, "max_level": 5} | settings
    return worlds.of(laptop(TaskConfig, name="word_problems", train=train, **found))


def test_every_level_has_nine_stories():
    levels = [story.level for story in STORIES.values()]
    assert {level: levels.count(level) for level in levels} == {1: 9, 2: 9, 3: 9}


@pytest.mark.parametrize("name", STORIES)
def test_answers_and_wording(name):
    rng, story = random.Random(name), STORIES[name]
    for language in ("en", "zh") * 100:
        problem = word_problems.draw(rng, story, language)
        numbers = numbers_of(problem)
        assert float(problem.answer) == ANSWERS[name](*numbers), problem
        assert re.fullmatch(r"[1-9]\d*", problem.answer) and problem.level == story.level
        # Each number is told once, and no brace is left.
        assert sorted(map(int, re.findall(r"\d+", problem.prompt))) == sorted(numbers)
        assert not set("{}") & set(problem.prompt) and "  " not in problem.prompt
        assert problem.prompt.endswith({"en": "?", "zh": "？"}[language])
        assert language_share(problem.prompt, language) == 1.0


def test_steps_are_those_of_the_sentence():
    change, outing = STORIES["change"], STORIES["outing"]
    assert word_problems.results(change, {"a": 3, "b": 4, "c": 20}) == [12, 8]
    assert word_problems.results(change, {"a": 6, "b": 4, "c": 20}) is None  # too little money
    numbers = {"a": 75, "b": 5, "c": 40, "d": 100}
    assert word_problems.results(outing, numbers) == [80, 2, 200]
    assert word_problems.results(outing, numbers | {"a": 76}) is None  # no whole buses


def test_splits_share_no_story_with_the_same_numbers_and_some_stories_are_in_the_test_alone():
    found = world()
    test, validation = found.test, found.validation
    assert len(test) == 120 and len(validation) == 40
    ids = [problem.id for problem in (*test, *validation)]
    assert len(set(ids)) == len(ids)
    trained = list(islice(found.train(0), 5_000))
    assert not {problem.id for problem in trained} & set(ids)
    assert {p.language for p in trained} == {p.language for p in test} == {"en", "zh"}
    assert {p.level for p in trained} == {p.level for p in validation} == {1, 2, 3}
    seen = {problem.id.split(":")[1] for problem in (*trained, *validation)}
    unseen = {problem.id.split(":")[1] for problem in test} - seen
    assert sorted(unseen) == found.facts["word_problems"]["in the test alone"]
    assert sorted(STORIES[name].level for name in unseen) == [1, 1, 2, 2, 3, 3]


def test_the_same_seed_gives_the_same_problems():
    one, other = world(), world(world_seed=5)
    again = word_problems.build(["en", "zh"], 4, 40, 120, 5)
    assert one.test == again.test != other.test
    assert list(islice(one.train(1), 50)) == list(islice(again.train(1), 50))
    assert list(islice(one.train(1), 50)) != list(islice(one.train(2), 50))


def test_a_held_out_problem_is_kept_out_under_other_names_and_found_in_other_data():
    found = world()
    held, other = found.test[0], found.test[1]
    rng, story = random.Random(0), STORIES[held.id.split(":")[1]]
    drawn = (word_problems.draw(rng, story, "zh") for _ in range(100_000))
    renamed = next(one for one in drawn if one.id == held.id and one.prompt != held.prompt)
    free = next(one for one in found.train(0) if one.id.split(":")[1] == story.name)
    stream = replace(found, stream=lambda draws: iter([renamed, free, other])).train(0)
    assert list(stream) == [free]
    # By words alone a question is one of these only if it is the same, since all stories recur.
    assert all(found.overlapping([p.prompt for p in found.test], [""] * len(found.test)))
    trained = [problem.prompt for problem in islice(found.train(0), 1_000)]
    assert sum(found.overlapping(trained, [""] * len(trained))) == 0


def test_answers_are_judged_as_numbers():
    problem = world().test[0]
    assert is_correct(problem, f"<think>x</think> <answer>{problem.answer}</answer>")
    assert is_correct(problem, f"<think>x</think> <answer>{problem.answer}.0</answer>")
    assert not is_correct(problem, f"<think>x</think> <answer>{problem.answer}1</answer>")


def test_languages_and_levels_are_chosen():
    assert {p.language for p in world("word_problems:zh").test} == {"zh"}
    easy = world("word_problems:en", max_level=1)
    assert {p.level for p in (*easy.test, *islice(easy.train(0), 200))} == {1}
    with pytest.raises(R1ReproError, match=r"word_problems:fr is not accepted: give en, zh or"):
        world("word_problems:fr")
    with pytest.raises(R1ReproError, match="fewer than 100000 different ones to hold out"):
        world(test_problems=100_000)
