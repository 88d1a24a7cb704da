"""An evaluation asks the split that it is told to."""

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig
from r1repro.stages import evaluate
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.tasks import worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.laptop import laptop


@pytest.mark.parametrize("split", ("test", "validation"))
def test_problems_are_those_of_the_split(tmp_path, split):
    config = configuration.compose(
        ["scale=smoke", f"evaluation.split={split}", "evaluation.general_items=null"]
    )
    settings = dataclasses.replace(config.evaluation, samples_between=1, max_completion_tokens=2)
    config = dataclasses.replace(config, evaluation=settings)
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    save_model(
        from_random_weights(laptop(ModelConfig, layers=1), tokenizer), tokenizer, tmp_path / "model"
    )
    base = SimpleNamespace(folder=tmp_path)
    evaluate.run(config, {"base": base}, tmp_path, Progress(None))
    asked = pd.read_parquet(tmp_path / "evaluation.parquet")["problem_id"]
    world = worlds.of(config.task)
    general = getattr(world, f"general_{split}")
    assert general and set(asked) == {p.id for p in (*getattr(world, split), *general)}


def test_greedily_every_sample_is_the_same_and_the_form_is_the_checkpoints(tmp_path):
    config = configuration.compose(["scale=smoke"])
    settings = dataclasses.replace(config.evaluation, max_completion_tokens=3, problems=4)
    config = dataclasses.replace(config, evaluation=settings)
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "model")
    texts = {}
    for name, how in (("greedy", evaluate.greedy), ("sampled", evaluate.run)):
        (tmp_path / name).mkdir()
        how(config, {"r1": SimpleNamespace(folder=tmp_path)}, tmp_path / name, Progress(None))
        rows = pd.read_parquet(tmp_path / name / "evaluation.parquet")
        reasoning = rows[rows["task"].isin(["arithmetic", "countdown"])]
        samples = reasoning.groupby("problem_id")["sample"].apply(list)
        assert samples.tolist() == [[*range(settings.samples_between)]] * 4
        texts[name] = reasoning.groupby("problem_id")["text"].nunique()
    assert texts["greedy"].eq(1).all() and texts["sampled"].gt(1).any()


def test_the_curve_asks_base_snapshots_and_the_trained_policy_in_order(tmp_path):
    config = configuration.compose(["scale=smoke", "evaluation.curve_samples=2"])
    settings = dataclasses.replace(config.evaluation, max_completion_tokens=2, problems=3)
    config = dataclasses.replace(config, evaluation=settings)
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    for place in ("base", "trained", "trained/snapshots/step_10", "trained/snapshots/step_2"):
        save_model(model, tokenizer, tmp_path / place / "model")
    trained = SimpleNamespace(
        folder=tmp_path / "trained", metrics=lambda: pd.DataFrame({"step": [1, 12]})
    )
    inputs = {"base": SimpleNamespace(folder=tmp_path / "base"), "r1_zero": trained}
    evaluate.curve(config, inputs, tmp_path, Progress(None))
    rows = pd.read_parquet(tmp_path / "curve.parquet")
    assert [*rows["step"].unique()] == [0, 2, 10, 12]
    held_out = {problem.id for problem in worlds.of(config.task).validation}
    for _, part in rows.groupby("step"):
        assert part.groupby("problem_id")["sample"].apply(list).tolist() == [[0, 1]] * 3
        assert set(part["problem_id"]) <= held_out
