"""In which precision, and by what, a folder is loaded: to be trained, or only sampled."""

import dataclasses
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from r1repro.config import EngineConfig, ModelConfig
from r1repro.errors import R1ReproError
from r1repro.evaluation.training_moved import weights_of
from r1repro.generation.vllm_engine import VLLM
from r1repro.stages import models
from r1repro.stages.base_model import from_random_weights
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.laptop import laptop

BFLOAT16 = EngineConfig(precision="bfloat16", attention="eager")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    models.save_model(
        from_random_weights(laptop(ModelConfig, layers=1), tokenizer), tokenizer, place
    )
    return place


def _dtypes(model):
    return {p.dtype for p in model.parameters()}


def test_what_is_sampled_is_loaded_in_the_precision_and_what_is_trained_in_float32(folder):
    assert _dtypes(models.load_model(folder)) == {torch.float32}
    sampled = models.load_sampled(folder, BFLOAT16, 8)
    assert _dtypes(sampled) == {torch.bfloat16} and not sampled.training
    assert sampled.config._attn_implementation == "eager"
    assert _dtypes(models.load_trained(folder, BFLOAT16, 0)) == {torch.float32}
    assert _dtypes(models.new_reward_model(folder, BFLOAT16, 0)) == {torch.float32}
    assert _dtypes(models.load_reward_model(folder, BFLOAT16)) == {torch.bfloat16}


def test_merged_adapters_are_saved_in_the_precision_of_the_frozen_weights(folder, tmp_path):
    engine = dataclasses.replace(BFLOAT16, lora_rank=2)
    tokenizer = models.load_tokenizer(folder)
    models.save_model(models.load_trained(folder, engine, 0), tokenizer, tmp_path / "merged")
    merged = models._load(models.AutoModelForCausalLM, tmp_path / "merged", engine, "bfloat16")
    before = models.load_model(folder, BFLOAT16)
    for one, other in zip(merged.parameters(), before.parameters(), strict=True):
        assert torch.equal(one, other), "new adapters change nothing"


def test_how_far_the_weights_have_moved(folder, tmp_path):
    tokenizer, model = models.load_tokenizer(folder), models.load_model(folder)
    assert models.weights_moved(folder, folder) == 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.25)
    # Read off the folders, whichever files and precision they are in.
    model.save_pretrained(tmp_path / "model", max_shard_size="100KB")
    tokenizer.save_pretrained(tmp_path / "model")
    assert len(list((tmp_path / "model").glob("*.safetensors"))) > 1
    models.write_moved(folder, tmp_path)
    assert weights_of(tmp_path) == pytest.approx(0.25, rel=1e-5)
    models.save_model(model.to(torch.bfloat16), tokenizer, tmp_path / "half")
    assert models.weights_moved(folder, tmp_path / "half") == pytest.approx(0.25, rel=1e-2)
    with pytest.raises(R1ReproError, match="no weights of the same name"):
        models.weights_moved(folder, tmp_path)


def test_fixed_weights_are_given_to_vllm_where_it_samples(folder, monkeypatch):
    module = ModuleType("vllm")
    module.LLM = lambda **settings: SimpleNamespace(**settings)
    monkeypatch.setitem(sys.modules, "vllm", module)
    for rollouts in ("vllm", "vllm_server"):
        engine = dataclasses.replace(BFLOAT16, rollouts=rollouts)
        found = models.load_sampled(folder, engine, 8)
        assert isinstance(found, VLLM)
        assert (found.engine.model, found.engine.dtype) == (str(folder), "bfloat16")


def test_unsloth_loads_and_makes_the_adapters(folder, monkeypatch):
    calls = []

    class FastLanguageModel:
        @staticmethod
        def from_pretrained(name, **settings):
            calls.append((name, settings))
            return "model", "tokenizer"

        @staticmethod
        def get_peft_model(model, **settings):
            calls.append((model, settings))
            return "adapted"

    module = ModuleType("unsloth")
    module.FastLanguageModel = FastLanguageModel
    monkeypatch.setitem(sys.modules, "unsloth", module)
    engine = dataclasses.replace(BFLOAT16, unsloth=True, lora_rank=4, quantized=True)
    assert models.load_trained(folder, engine, 3) == "adapted"
    (name, loaded), (given, made) = calls
    assert name == str(folder) and given == "model"
    assert loaded["load_in_4bit"] and not loaded["full_finetuning"]
    assert loaded["dtype"] == torch.bfloat16
    assert (made["r"], made["lora_alpha"], made["random_state"]) == (4, 64, 3)
    whole = dataclasses.replace(BFLOAT16, unsloth=True)
    assert models.load_trained(folder, whole, 3) == "model"
    assert calls[-1][1]["full_finetuning"]
