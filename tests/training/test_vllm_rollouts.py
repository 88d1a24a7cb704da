"""TRL's vLLM path with our micro-batches, with a stub that uses our sampler."""

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForCausalLM
from trl.distributed import DistributedBackend
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

from r1repro.config import EngineConfig
from r1repro.generation.rollouts import Sampling, sample
from r1repro.rewards import rule_rewards
from r1repro.stages.models import load_trained
from r1repro.training import adapters, objective, rl
from r1repro.training.logprobs import token_logps
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, trained

OFF = 0.25


class StandIn:
    """off: nats added to the log-probabilities it reports."""

    made: list["StandIn"] = []
    off = OFF

    def __init__(self, model, accelerator, processing_class, **settings):
        self.model, self.tokenizer, self.settings = model, processing_class, settings
        self.synced = 0
        self.made.append(self)

    def sync_weights(self):
        self.synced += 1

    def generate(self, prompts, images, num_generations, profiler):
        tokens = self.settings["max_completion_length"]
        policy = adapters.inner(self.model)
        found = sample(
            policy, prompts, Sampling(tokens, self.settings["temperature"]),
            end_ids=[self.tokenizer.eos_token_id], pad_id=self.tokenizer.pad_token_id,
            seed=self.synced,
        )  # fmt: skip
        logps = []
        for prompt, rollout in zip(prompts, found, strict=True):
            ids = torch.tensor([[*prompt, *rollout.token_ids]])
            with torch.no_grad():
                exact, *_ = token_logps(
                    policy.base_model, policy.get_output_embeddings(), ids,
                    torch.ones_like(ids), len(rollout.token_ids), 1.0, with_entropy=False,
                )  # fmt: skip
            logps.append([[value + self.off] for value in exact[0].tolist()])
        return prompts, [rollout.token_ids for rollout in found], logps, None


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(grpo_trainer, "VLLMGeneration", StandIn)
    monkeypatch.setattr(StandIn, "made", [])
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    return StandIn.made


def test_mismatch_is_told_and_enters_the_loss(base, tokenizer, tmp_path, stand_in, monkeypatch):
    ratios = []
    loss = rl.PackedGRPOTrainer._compute_loss

    def watched(self, model, inputs):
        ratios.append(inputs["importance_sampling_ratio"][inputs["completion_mask"].bool()])
        assert inputs["importance_sampling_ratio"].shape == inputs["completion_ids"].shape
        return loss(self, model, inputs)

    monkeypatch.setattr(rl.PackedGRPOTrainer, "_compute_loss", watched)
    engine = EngineConfig(rollouts="vllm")
    _, rows, _ = trained(base, tokenizer, tmp_path / "off", SETTINGS, engine=engine)
    (used,) = stand_in
    shares = torch.cat(ratios)
    monkeypatch.setattr(StandIn, "off", 0.0)
    _, exact, _ = trained(base, tokenizer, tmp_path / "exact", SETTINGS, engine=engine)
    # Completions are the same; the KL term has no gradient before the first update.
    share = rows[0]["grad_norm"] / exact[0]["grad_norm"]
    assert share == pytest.approx(math.exp(-OFF), rel=0.01)
    # Two steps per rollout: mismatch and weight sync occur on the first of each.
    assert used.synced == 2
    told = [row["logp_mismatch"] for row in rows]
    assert told[0] == pytest.approx(OFF, abs=1e-3)
    assert told[2] == pytest.approx(OFF, abs=1e-3)
    assert told[1] is None and told[3] is None
    assert rows[0]["tokens_per_s"] > 0 and rows[1]["tokens_per_s"] is None
    assert torch.allclose(shares, torch.tensor(-OFF).exp(), atol=1e-3)
    assert used.settings["mode"] == "colocate"
    assert used.settings["generation_kwargs"] == {"stop_token_ids": [tokenizer.eos_token_id]}
    longest = used.settings["max_model_length"] - SETTINGS.max_completion_tokens
    assert 0 < longest < 100


def test_a_large_mismatch_is_bounded(base, tokenizer, tmp_path, stand_in, monkeypatch):
    monkeypatch.setattr(StandIn, "off", -3.0)
    seen = []
    loss = rl.PackedGRPOTrainer._compute_loss

    def watched(self, model, inputs):
        seen.append(inputs["importance_sampling_ratio"].max().item())
        return loss(self, model, inputs)

    monkeypatch.setattr(rl.PackedGRPOTrainer, "_compute_loss", watched)
    settings = dataclasses.replace(SETTINGS, steps=2)
    trained(base, tokenizer, tmp_path, settings, engine=EngineConfig(rollouts="vllm"))
    assert set(seen) == {objective.MISMATCH_CAP}


def test_a_server_is_named_by_its_address(base, tokenizer, tmp_path, stand_in):
    engine = EngineConfig(rollouts="vllm_server", vllm_server="http://there:8000")
    trained(base, tokenizer, tmp_path, dataclasses.replace(SETTINGS, steps=2), engine=engine)
    settings = stand_in[0].settings
    assert (settings["mode"], settings["server_base_url"]) == ("server", "http://there:8000")


class Loading(StandIn):
    """TRL's own weight sync, to a stub vLLM that keeps the weights it receives."""

    sync_weights = VLLMGeneration.sync_weights
    _iter_named_params = VLLMGeneration._iter_named_params
    _fix_param_name_to_vllm = VLLMGeneration._fix_param_name_to_vllm
    mode, enable_sleep_mode = "colocate", False

    def __init__(self, model, accelerator, processing_class, **settings):
        super().__init__(model, accelerator, processing_class, **settings)
        self.accelerator, self._dist = accelerator, DistributedBackend(accelerator)
        runner = SimpleNamespace(model=SimpleNamespace(load_weights=self.load))
        driver = SimpleNamespace(driver_worker=SimpleNamespace(model_runner=runner))
        engine = SimpleNamespace(model_executor=driver)
        self.llm = SimpleNamespace(llm_engine=engine, reset_prefix_cache=self.end)
        self.given, self.handed_over = {}, []

    def load(self, pairs):
        ((name, weight),) = pairs
        assert name not in self.given
        self.given[name] = weight.clone()

    def end(self):
        """Record the received weights next to the policy's merged weights."""
        self.handed_over.append((self.given, dict(adapters.whole(self.model).named_parameters())))
        self.given = {}
        self.synced += 1


def test_adapters_are_handed_over_merged_and_the_frozen_weights_stay(
    base, tokenizer, tmp_path, monkeypatch
):
    """In bfloat16, where TRL's merging and unmerging changes the frozen weights."""
    monkeypatch.setattr(grpo_trainer, "VLLMGeneration", Loading)
    monkeypatch.setattr(Loading, "made", [])
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    policies = []
    engine = EngineConfig(precision="bfloat16", lora_rank=4, lora_alpha=8, rollouts="vllm")
    settings = dataclasses.replace(SETTINGS, steps=3, steps_per_generation=1, lr_rest=1e-2)
    trained(base, tokenizer, tmp_path, settings, engine=engine, watch=policies.append)
    (used,), (policy,) = Loading.made, policies
    assert len(used.handed_over) == 3
    for given, expected in used.handed_over:
        assert given.keys() == expected.keys()
        for name, weight in given.items():
            assert weight.dtype == torch.bfloat16 and torch.equal(weight, expected[name]), name
    first, last = used.handed_over[0][0], used.handed_over[-1][0]
    assert all(torch.equal(first[name], last[name]) != ("_proj." in name) for name in first)

    frozen = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16).state_dict()
    left = adapters.inner(policy).state_dict()
    for name, weight in frozen.items():
        place = name.replace("_proj.weight", "_proj.base_layer.weight")
        assert torch.equal(left[place], weight), name


def test_what_trl_would_do_wears_the_weights_down(base):
    """Merging and unmerging once changes the weights, so TRL's sync is not used."""
    model = load_trained(base, EngineConfig(precision="bfloat16", lora_rank=4), 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    before = {n: p.clone() for n, p in model.named_parameters()}
    for _ in range(2):
        list(adapters.whole_weights(model))
    assert all(torch.equal(p, before[n]) for n, p in model.named_parameters())
    model.merge_adapter()
    model.unmerge_adapter()
    assert not all(torch.equal(p, before[n]) for n, p in model.named_parameters())
