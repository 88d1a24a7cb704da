"""The time of pretrained models: the probe of one, and what is made of its figures."""

import dataclasses

import pytest

from r1repro import config as configuration
from r1repro.planning import plan, pretrained
from r1repro.planning.expected import Expected
from r1repro.planning.pretrained import Asked, Pace, seconds
from r1repro.planning.work import work
from r1repro.runner.graph import find
from tests.tiny import model_folder

PACE = Pace(
    read=0.001, written=0.01, learned=0.002, judged=0.0005, step=3.0, loaded=2.0, saved=1.0,
    asked={"r1_zero": Asked(100, 0.0), "qwen": Asked(30, 0.5)}, machine="made up", seconds=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return model_folder("qwen", tmp_path_factory.mktemp("qwen"))


@pytest.fixture
def pretrained_config(folder, tmp_path):
    keys = ("model", "student.qwen", "student.llama")
    words = ["scale=smoke", "model=local", f"runs={tmp_path}"]
    return configuration.compose([*words, *(f"{key}.path={folder}" for key in keys)])


def test_answers_are_as_long_as_their_ends_are_rare():
    assert Asked(10, 0.0).length(48) == 48
    assert Asked(10, 1.0).length(48) == 1
    assert Asked(10, 0.5).length(2) == 1.5
    assert Asked(10, 0.01).length(10**6) == pytest.approx(100)


def test_a_stages_time_by_hand(pretrained_config):
    config = pretrained_config
    rl = find("r1_zero", config)
    settings = config.stage.r1_zero
    most = work(config, rl)
    prompts = settings.steps * settings.questions
    said = prompts * settings.generations * settings.max_completion_tokens
    tokens = prompts * 100 + said
    expected = 2 * 2.0 + prompts * 100 * 0.001 + said * 0.01 + tokens * 0.0025
    expected += settings.steps * 3.0 + (1 + 3 * (settings.steps // settings.save_every)) * 1.0
    amount = Expected(0, most.learned, 0, True)
    assert seconds(config, rl, most, amount, PACE) == pytest.approx(expected)
    # The chat form's answers end at every second token.
    dev1 = find("dev1", config)
    amount = Expected(0, 16, 42, True)
    expected = 2.0 + 16 * (30 + 2.0) * 0.002 + 2 * 3.0 + 1.0
    assert seconds(config, dev1, work(config, dev1), amount, PACE) == pytest.approx(expected)
    base = find("base", config)
    assert seconds(config, base, work(config, base), amount, PACE) == 2.0


def test_plan_times_every_stage_of_models_that_are_here(pretrained_config):
    text = "\n".join(plan.plan(pretrained_config, card=80, until="dev1"))
    _, _, told = text.partition("time, from the probe")
    names = [line.split()[0] for line in told.splitlines()[1:]]
    assert names[0] == "base" and {"base_search", "r1_zero", "dev1", "total"} < set(names)
    (pace,) = pretrained.probe(pretrained_config, ["model"]).values()
    figures = [pace.read, pace.learned, pace.judged, pace.loaded, pace.saved]
    assert all(0 < figure < 60 for figure in figures)
    assert 0 <= pace.written < 60, "a difference of two times, 0 where the first was slowed down"
    assert set(pace.asked) == {"r1_zero", "qwen"}


def test_students_that_are_elsewhere_are_no_reason_where_none_is_trained(folder, tmp_path):
    words = ["scale=smoke", "model=local", f"runs={tmp_path}", f"model.path={folder}"]
    config = configuration.compose(words)
    for until, said in (("r1_zero", "without the probe"), (None, "is not on this machine")):
        text = "\n".join(plan.plan(config, card=80, until=until, probed=False))
        assert f"time: not predicted{', since' if until is None else ''}" in text and said in text


def test_models_of_one_folder_are_measured_once(pretrained_config, monkeypatch):
    seen = []

    def measured(config, key, place, forms):
        seen.append((key, forms))
        return dataclasses.replace(PACE, seconds=9.0)

    monkeypatch.setattr(pretrained, "_pace", measured)
    # Of a folder that is asked in two forms, as policy and as student, both are measured.
    chat = "llama"
    student = dataclasses.replace(pretrained_config.student.qwen, chat=chat)
    students = dataclasses.replace(pretrained_config.student, qwen=student)
    config = dataclasses.replace(pretrained_config, student=students)
    found = pretrained.probe(config, ["model", "student.qwen"])
    assert seen == [("model", {"r1_zero", "qwen", chat})]
    assert [pace.seconds for pace in found.values()] == [9.0, 0.0]
