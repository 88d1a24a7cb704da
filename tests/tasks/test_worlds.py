"""User-supplied questions as a world: disjoint splits, epochs, early errors."""

import json
import random
from itertools import islice

import pytest

from r1repro.config import ROOT, TaskConfig
from r1repro.errors import R1ReproError
from r1repro.tasks import worlds
from tests.laptop import laptop

DATA = ROOT / "tests" / "data"


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


def test_training_questions_that_are_test_questions_in_other_words_are_left_out(tmp_path):
    """RL and the cold start ask only what the stream gives, so this keeps them apart as well."""

    def rows(name, *asked):
        path = tmp_path / name
        lines = [json.dumps({"question": one, "answer": "7"}) for one in asked]
        path.write_text("\n".join(lines))
        return str(path)

    held = json.loads((DATA / "gsm8k_test.jsonl").read_text("utf-8").split("\n")[0])["question"]
    short = "Compute $\\tan 60^\\circ$."
    lines = (DATA / "gsm8k_train.jsonl").read_text("utf-8").split("\n")
    own = [json.loads(line)["question"] for line in lines if line]
    copies = [f"{held} Let's think step by step.", f"Problem 3: {held}\nAnswer: 18"]
    copies += ["Compute \\(\\tan 60°\\). Show your work.", held.replace("eggs", "apples")]
    train = rows("train.jsonl", *own, *copies)
    world = worlds.of(task(train, test_path=rows("test.jsonl", held, short)))
    asked = {problem.prompt for problem in islice(world.train(0), 300)}
    assert asked <= set(own) and len(asked) == len(own) - 10
    assert world.facts["overlap"] == {"training questions left out": len(copies)}
    assert world.overlapping([own[0], copies[1], "What?"], ["", "", f"It is: {held}"]) == [
        False, True, True,
    ]  # fmt: skip


def test_a_training_set_that_is_its_test_set_is_refused(tmp_path, questions):
    path, other = questions("a.jsonl", range(30)), tmp_path / "b.jsonl"
    rows = [json.dumps({"question": f"{n}) What is {n}+{n}?", "answer": "7"}) for n in range(30)]
    other.write_text("\n".join(rows))
    with pytest.raises(R1ReproError, match="every training question restates a held-out one"):
        worlds.of(task(path, test_path=str(other), test_problems=30))
