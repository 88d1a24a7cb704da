"""User-supplied questions as a world: disjoint splits, epochs, early errors."""

import json
import random
from itertools import islice

import pytest

from r1repro.config import TaskConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import worlds
from tests.laptop import laptop


@pytest.fixture
def questions(tmp_path):
    def written(name, numbers):
        path = tmp_path / name
        rows = ({"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in numbers)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return written


def task(path, **settings):
    found = {"validation_problems": 10, "test_problems": 20} | settings
    return laptop(TaskConfig, name="own", path=path, **found)


def test_splits_are_disjoint_and_the_stream_goes_through_the_rest_in_epochs(questions):
    world = worlds.of(task(questions("train.jsonl", range(100))))
    assert len(world.validation) == 10 and len(world.test) == 20
    free = list(islice(world.train("a"), 140))
    first, second = free[:70], free[70:]
    assert {p.id for p in first} == {p.id for p in second} and len({p.id for p in first}) == 70
    assert [p.id for p in first] != [p.id for p in second]
    assert not {p.id for p in free} & world.held_out
    assert free == list(islice(world.train("a"), 140)) != list(islice(world.train("b"), 140))
    assert world.facts["own"]["problems"] == 100 and len(world.facts["own"]["sha256"]) == 64
    assert world.facts["used"] == {"train": 70, "validation": 10, "test": 20}


def test_test_questions_never_train(questions):
    held_out = questions("test.jsonl", range(50, 70))
    world = worlds.of(task(questions("train.jsonl", range(100)), test_path=held_out))
    assert {p.prompt for p in world.test} == {f"What is {n}+{n}?" for n in range(50, 70)}
    trained = {p.prompt for p in islice(world.train(0), 300)}
    assert len(trained) == 70 and not trained & {p.prompt for p in world.test}


def test_general_items_are_the_mini_worlds(questions):
    world = worlds.of(task(questions("train.jsonl", range(100))))
    assert {p.task for p in world.general_test} >= {"translation", "fact", "refusal"}
    assert not {f"{i.task}:{i.canonical}" for i in world.general_train} & world.held_out


def test_too_few_questions_are_refused_with_the_figures(questions):
    with pytest.raises(R1ReproError, match="own has 25 problems .* too few to hold out 30"):
        worlds.of(task(questions("train.jsonl", range(25))))


def test_the_mini_world_is_what_a_plain_task_means():
    world = worlds.of(laptop(TaskConfig, validation_problems=20, test_problems=20))
    assert {p.task for p in world.test} == {"arithmetic", "countdown"}
    assert next(world.stream(random.Random(0))).task in ("arithmetic", "countdown")
