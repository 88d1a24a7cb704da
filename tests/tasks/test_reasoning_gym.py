"""reasoning-gym tasks, tested with a stub since the package is optional."""

import sys
from itertools import islice
from types import SimpleNamespace

import pytest

from r1repro.errors import R1ReproError
from r1repro.rewards.correctness import is_correct
from r1repro.tasks import reasoning_gym


class Sums:
    def __init__(self, seed, size):
        self.rows = [(seed + i) % 997 for i in range(size)]

    def __iter__(self):
        for n in self.rows:
            metadata = {"source_dataset": "sums", "source_index": n}
            yield {"question": f"{n}+1=?", "answer": str(n + 1), "metadata": metadata}

    def score_answer(self, answer, entry):
        raise AssertionError("a model's text was scored")


@pytest.fixture
def package(monkeypatch):
    def create_dataset(name, seed, size):
        if name != "sums":
            raise ValueError(f"Dataset {name} not registered")
        return Sums(seed, size)

    monkeypatch.setitem(
        sys.modules, "reasoning_gym", SimpleNamespace(create_dataset=create_dataset)
    )
    reasoning_gym._dataset.cache_clear()
    yield
    reasoning_gym._dataset.cache_clear()


def test_a_world_of_its_tasks(package):
    world = reasoning_gym.build(["sums"], 0, 5, 10)
    assert len(world.test) == 10 and len(world.validation) == 5
    assert not {p.id for p in islice(world.train(0), 500)} & world.held_out
    problem = world.test[0]
    right = str(int(problem.prompt.split("+")[0]) + 1)
    assert problem.task == "gym_sums"
    assert is_correct(problem, f"<think>x</think><answer>{right}</answer>")
    assert not is_correct(problem, "<think>x</think><answer>-3</answer>")
    # The package's scorer never sees model output.
    assert not is_correct(problem, "<think>x</think><answer>crash</answer>")


def test_a_task_that_is_not_there_or_too_small_is_refused(package):
    with pytest.raises(R1ReproError, match="reasoning-gym has no task products"):
        reasoning_gym.build(["products"], 0, 5, 10)
    with pytest.raises(R1ReproError, match="sums have fewer than 2000 different problems"):
        reasoning_gym.build(["sums"], 0, 1_000, 1_000)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "reasoning_gym", None)
    reasoning_gym._dataset.cache_clear()
    with pytest.raises(R1ReproError, match=r"pip install -e .\.\[gym\]"):
        reasoning_gym.build(["sums"], 0, 5, 10)
