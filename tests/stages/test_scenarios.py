"""When general prompts and the preference reward come in."""

import dataclasses

from r1repro import config
from r1repro.config import AllScenarioConfig
from r1repro.stages.rl import scenarios
from r1repro.tasks import worlds
from r1repro.tasks.problem import GENERAL
from tests.laptop import laptop

SETTINGS = laptop(AllScenarioConfig, steps=8, questions=6, general_from=0.75, general_share=0.5)


def _general(settings):
    found = config.compose(["scale=smoke"])
    problems = scenarios(found, settings)
    assert len(problems) == settings.steps * settings.questions
    held_out = worlds.of(found.task).held_out
    assert not held_out & {problem.id for problem in problems}
    steps = [problems[i : i + 6] for i in range(0, len(problems), 6)]
    return [sum(problem.task in GENERAL for problem in step) for step in steps]


def test_general_prompts_come_in_the_last_quarter_only():
    assert _general(SETTINGS) == [0, 0, 0, 0, 0, 0, 3, 3]


def test_throughout_they_are_there_from_the_first_step():
    assert _general(dataclasses.replace(SETTINGS, general_from=0.0)) == [3] * 8


def test_the_default_is_the_papers_last_400_of_1700_steps():
    assert abs(laptop(AllScenarioConfig).general_from - 1300 / 1700) < 0.02


def test_every_family_is_asked_in_turn():
    settings = dataclasses.replace(SETTINGS, general_from=0.0)
    problems = scenarios(config.compose(["scale=smoke"]), settings)
    asked = [problem.task for problem in problems if problem.task in GENERAL]
    assert {asked.count(task) for task in GENERAL} <= {4, 5}
