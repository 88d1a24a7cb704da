"""Adapters through two chained stages: SFT, and GRPO from what it left."""

import dataclasses
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from transformers import AutoModelForCausalLM

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig
from r1repro.evaluation.training_moved import weights_of
from r1repro.rewards import rule_rewards
from r1repro.stages import rl, sft
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.stages.samples import described
from r1repro.tasks import worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.laptop import laptop
from tests.length_rewarded import by_length


def _weights(folder):
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    return {name: p.detach() for name, p in model.named_parameters()}


def test_sft_then_grpo_with_adapters_are_ordinary_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    config = configuration.compose(["scale=smoke", "engine.lora_rank=4", "engine.lora_alpha=8"])
    problems = worlds.of(config.task).train(0)
    data = pd.DataFrame(
        [described(next(problems)) | {"completion": f"<think>{i}</think>"} for i in range(16)]
    )
    folders = [tmp_path / name for name in ("base", "dev1", "dev2")]
    for folder in folders:
        folder.mkdir()
    base, dev1, dev2 = folders
    torch.manual_seed(0)
    tokenizer = train_tokenizer([f"{prompt} Assistant: 0123456789" for prompt in data.prompt])
    shape = laptop(ModelConfig, layers=2, hidden_size=32, heads=2, kv_heads=1, intermediate_size=48)
    save_model(from_random_weights(shape, tokenizer), tokenizer, base / "model")
    result = lambda folder: SimpleNamespace(folder=folder)  # noqa: E731
    sft.train(config, "dev1", result(base), data, config.stage.dev1, dev1, Progress(dev1))
    settings = dataclasses.replace(config.stage.dev2, max_completion_tokens=12)
    writes = SimpleNamespace(writes=True, update=lambda *step, **figures: None)
    rl.train(config, "dev2", result(dev1), settings, dev2, writes)
    for before, after in ((base, dev1), (dev1, dev2)):
        old, new = _weights(before), _weights(after)
        assert old.keys() == new.keys()
        for name, weight in new.items():
            assert torch.equal(weight, old[name]) != ("_proj." in name), name
        files = {file.name for file in (after / "model").iterdir()}
        assert "model.safetensors" in files
        assert not [f for f in files if "adapter" in f or f.endswith((".bin", ".pt"))]
        change = sum((new[n] - old[n]).double().square().sum() for n in new) ** 0.5
        size = sum(w.double().square().sum() for w in old.values()) ** 0.5
        assert 0 < weights_of(after) == pytest.approx(float(change / size), rel=1e-3)
    assert len(pd.read_parquet(dev2 / "metrics.parquet")) == settings.steps
