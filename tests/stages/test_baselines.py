"""The baseline of what RL adds: every way tried, the best taken by family."""

import dataclasses
import json
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig
from r1repro.stages import baselines, evaluate
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.tasks import prompting, templates, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.text.tags import END
from tests.laptop import laptop


@pytest.fixture(scope="module")
def config():
    found = configuration.compose(["scale=smoke", "evaluation.general_items=null"])
    settings = dataclasses.replace(found.evaluation, samples_between=2, max_completion_tokens=2)
    return dataclasses.replace(found, evaluation=settings)


@pytest.fixture(scope="module")
def searched(config, tmp_path_factory):
    """A random base, and what the search over the ways of asking it left."""
    place = tmp_path_factory.mktemp("base")
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    shape = laptop(ModelConfig, layers=1, hidden_size=32, heads=1, kv_heads=1, intermediate_size=32)
    save_model(from_random_weights(shape, tokenizer), tokenizer, place / "model")
    inputs = {"base": SimpleNamespace(folder=place)}
    folder = tmp_path_factory.mktemp("search")
    baselines.search(config, inputs, folder, Progress(None))
    return inputs | {"base_search": SimpleNamespace(folder=folder)}


def test_every_way_is_tried_at_every_temperature_on_validation(config, searched):
    table = pd.read_parquet(searched["base_search"].folder / baselines.SEARCH)
    assert set(table["family"]) == {"arithmetic", "countdown"}
    assert set(table["temperature"]) == set(baselines.TEMPERATURES)
    assert len(table) == 8 * len(baselines.TEMPERATURES) * 2
    greedy = table["temperature"] == 0
    problems = len(worlds.of(config.task).validation)
    assert table[greedy].groupby("way")["answers"].sum().eq(problems).all()
    more = table[~greedy].groupby(["way", "temperature"])["answers"].sum()
    assert more.eq(problems * config.evaluation.search_samples).all()


def test_the_best_way_is_chosen_by_family():
    rows = [
        ("template", 0.6, "a", 0.3), ("plain", 0.0, "a", 0.5), ("begun", 0.0, "a", 0.5),
        ("template", 0.6, "b", 0.4), ("plain", 0.0, "b", 0.1), ("begun", 0.0, "b", 0.2),
    ]  # fmt: skip
    found = baselines.chosen(pd.DataFrame(rows, columns=["way", "temperature", "family", "pass@1"]))
    assert found["a"] == {"way": "plain", "temperature": 0.0, "validation": 0.5}
    assert found["b"]["way"] == "template" and found["b"]["temperature"] == 0.6


def test_the_best_ways_are_asked_on_the_held_out_problems(config, searched, tmp_path):
    best = {
        "arithmetic": {"way": "few_2", "temperature": 0.0},
        "countdown": {"way": "step", "temperature": 0.6},
    }
    (tmp_path / prompting.BEST).write_text(json.dumps(best))
    found = tmp_path / "found"
    found.mkdir()
    inputs = searched | {"base_search": SimpleNamespace(folder=tmp_path)}
    baselines.best(config, inputs, found, Progress(None))
    rows = pd.read_parquet(found / "evaluation.parquet")
    world = worlds.of(config.task)
    assert set(rows["problem_id"]) == {p.id for p in (*world.test, *world.general_test)}
    counts = rows.groupby(["problem_id", "language"])["sample"].agg(["size", "nunique"])
    assert counts.eq(config.evaluation.samples_between).all().all()
    chains = rows[rows["task"] == "arithmetic"]
    assert chains.groupby("problem_id")["text"].nunique().eq(1).all(), "greedy says one thing"
    begun = rows[rows["task"] == "countdown"]["text"]
    assert begun.str.match(r"<think>\d+\+\d+=").all(), "what was begun is read"


@pytest.mark.parametrize("way", ["plain", "begun", "few_shot"])
def test_a_fixed_way_asks_every_problem(config, searched, tmp_path, way):
    getattr(baselines, way)(config, searched, tmp_path, Progress(None))
    rows = pd.read_parquet(tmp_path / "evaluation.parquet")
    world = worlds.of(config.task)
    assert set(rows["problem_id"]) == {p.id for p in (*world.test, *world.general_test)}
    assert rows["text"].str.startswith("<think>").all() == (way == "begun")


def test_a_trained_checkpoint_is_asked_in_its_own_form_after_the_bases_examples(
    config, searched, tmp_path, monkeypatch
):
    """Best for the base at the temperature of evaluations are two examples."""
    best = {"few_1": 0.1, "few_2": 0.3, "few_4": 0.2, "few_8": 0.1, "plain": 0.9}
    rows = [(way, t, "a", p if t else 1 - p) for way, p in best.items() for t in (0.0, 0.6)]
    search = pd.DataFrame(rows, columns=["way", "temperature", "family", "pass@1"])
    search.to_parquet(tmp_path / baselines.SEARCH)
    seen = {}
    monkeypatch.setattr(
        evaluate, "measure",
        lambda config, place, asked, *others: seen.update(place=place, asked=asked) or search,
    )  # fmt: skip
    trained = SimpleNamespace(folder=tmp_path / "r1")
    inputs = {"r1": trained, "base_search": SimpleNamespace(folder=tmp_path)}
    baselines.trained_few_shot(config, inputs, tmp_path, Progress(None))
    assert seen["place"] == trained.folder / "model"
    reasoning, general = seen["asked"]
    assert reasoning.sampling.temperature == config.evaluation.temperature
    assert reasoning.samples == config.evaluation.samples_between
    few = prompting.ways(worlds.of(config.task), "mini")["few_2"]
    for problem in reasoning.problems[:4]:
        own, shown = templates.render("mini", problem), few(problem).prompt
        *examples, question = shown.split(END)
        assert len(examples) == 2 and question == f"{problem.prompt}\n"
        assert reasoning.form(problem).prompt == END.join([*examples, own])
    item = general.problems[0]
    assert general.form(item).prompt == templates.render("mini", item)


def test_rft_has_as_many_samples_as_rl_draws(config, searched, tmp_path):
    baselines.rft_data(config, searched, tmp_path, Progress(None))
    rows = pd.read_parquet(tmp_path / "dataset.parquet")
    rl = config.stage.r1_zero
    asked = {
        p.id
        for p, _ in zip(
            worlds.of(config.task).train(config.seed), range(rl.steps * rl.questions), strict=False
        )
    }
    assert set(rows["problem_id"]) == asked
    assert len(rows) <= rl.steps * rl.questions * rl.generations
    assert not rows.duplicated(["problem_id", "completion"]).any()


def test_a_base_that_gives_up_is_made_to_go_on(config, searched, tmp_path):
    baselines.forced(config, searched, tmp_path, Progress(None))
    rows = pd.read_parquet(tmp_path / "evaluation.parquet")
    world = worlds.of(config.task)
    assert set(rows["problem_id"]) == {p.id for p in (*world.test, *world.general_test)}
    reasoning = rows[rows["task"].isin(["arithmetic", "countdown"])]
    assert reasoning["text"].str.startswith("<think>").all()
    assert (reasoning["tokens"] <= config.evaluation.max_completion_tokens).all()
