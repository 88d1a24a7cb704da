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
    config = configuration.compose(["scale=smoke", f"evaluation.split={split}"])
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
