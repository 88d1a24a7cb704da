"""bfloat16, gradient checkpointing and adapters give the same training."""

import dataclasses

import pandas as pd
import pytest
import torch
from peft.tuners.lora import LoraLayer
from transformers import AutoModelForCausalLM
from trl import SFTConfig as Arguments

from r1repro.artifacts import Progress
from r1repro.config import EngineConfig, SFTConfig
from r1repro.rewards import rule_rewards
from r1repro.stages.models import load_trained, new_reward_model
from r1repro.training import adapters, rl, sft, trainers, trl_sampling
from r1repro.training.logprobs import token_logps
from r1repro.training.optimizer import split_parameters
from tests.laptop import laptop
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, Killed, plain, trained

BFLOAT16 = EngineConfig(precision="bfloat16")
LORA = EngineConfig(lora_rank=4, lora_alpha=8)
SHORT = dataclasses.replace(SETTINGS, steps=2, lr_rest=1e-2)


@pytest.fixture(autouse=True)
def paid(monkeypatch):
    """A random model earns no rule reward, so its weights would not move."""
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_bfloat16_computes_and_samples_in_it_and_keeps_float32_weights(
    base, tokenizer, tmp_path, monkeypatch, checkpointing
):
    computed, sampled = set(), []
    sample = trl_sampling.sample

    def seen(model, *rest, **more):
        sampled.append((model, {p.dtype for p in model.parameters()}))
        return sample(model, *rest, **more)

    monkeypatch.setattr(trl_sampling, "sample", seen)

    def watch(model):
        hooked = model.model.layers[0].mlp
        hooked.register_forward_hook(lambda module, given, out: computed.add(out.dtype))

    engine = dataclasses.replace(BFLOAT16, gradient_checkpointing=checkpointing)
    weights, rows, _ = trained(base, tokenizer, tmp_path, SHORT, engine=engine, watch=watch)
    assert computed == {torch.bfloat16} and {w.dtype for w in weights} == {torch.float32}
    assert [dtypes for _, dtypes in sampled] == [{torch.bfloat16}]
    assert all(p.numel() == 0 for p in sampled[0][0].parameters()), "the copy must be freed"
    start = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).parameters()
    assert not any(torch.equal(w, before) for w, before in zip(weights, start, strict=True))


def test_sft_and_reward_model_in_bfloat16_lose_about_as_much(base, tokenizer, tmp_path):
    settings = laptop(SFTConfig, epochs=1, batch_size=4, log_every=1, save_every=99)
    examples = [(tokenizer.encode("User: Compute 1+2."), [5, 6, tokenizer.eos_token_id])] * 8
    losses = []
    for name, engine in (("a", EngineConfig()), ("b", BFLOAT16)):
        model = load_trained(base, engine, 0)
        rows = sft.fine_tune(
            model, tokenizer, examples, settings, seed=0, folder=tmp_path / name,
            progress=Progress(None), engine=engine,
        )  # fmt: skip
        losses.append(rows[0]["loss"])
        assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)


def test_gradient_checkpointing_reads_shared_prompts_whole_to_the_same_gradients(base):
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float64).train()
    generator = torch.Generator().manual_seed(0)
    prompts = torch.randint(2, 200, (2, 5), generator=generator)[torch.tensor([0, 0, 0, 1, 1, 1])]
    ids = torch.cat([prompts, torch.randint(2, 200, (6, 7), generator=generator)], 1)
    mask = torch.ones_like(ids)

    def loss_and_gradients():
        model.zero_grad()
        head = model.get_output_embeddings()
        logps, *_ = token_logps(model.base_model, head, ids, mask, 7, 1.0, with_entropy=False)
        loss = (logps * torch.linspace(-1, 1, logps.numel()).view_as(logps)).sum()
        loss.backward()
        return loss.item(), [p.grad.clone() for p in model.parameters()]

    loss, gradients = loss_and_gradients()
    model.gradient_checkpointing_enable()
    again, others = loss_and_gradients()
    assert again == pytest.approx(loss, abs=1e-5)
    for one, other in zip(gradients, others, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_gradient_checkpointing_samples_and_trains_to_the_same(base, tokenizer, tmp_path):
    settings = dataclasses.replace(SHORT, sample_every=1)
    engine = EngineConfig(gradient_checkpointing=True)
    plainly = trained(base, tokenizer, tmp_path / "a", settings)
    saved = trained(base, tokenizer, tmp_path / "b", settings, engine=engine)
    assert [s["text"] for s in saved[2]] == [s["text"] for s in plainly[2]]
    for one, other in zip(plainly[0], saved[0], strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_adapters_change_nothing_at_first_and_only_they_are_trained(base):
    plainly = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    model = load_trained(base, dataclasses.replace(LORA, precision="bfloat16"), 0)
    matrices, rest = split_parameters(model)
    assert not matrices and {p.dtype for p in rest} == {torch.float32}
    assert len(rest) == 2 * 7 * len(plainly.model.layers), "two factors a projection"
    frozen = [p for p in model.parameters() if not p.requires_grad]
    assert {p.dtype for p in frozen} == {torch.bfloat16} and len(frozen) == len(
        list(plainly.parameters())
    )
    ids = torch.arange(5, 25)[None]
    model = load_trained(base, LORA, 0)
    assert torch.equal(model(ids).logits, plainly(ids).logits)


def test_a_broken_run_with_adapters_continues_to_the_same_weights(base, tokenizer, tmp_path):
    """The checkpoint is from step 4; its reference adapter is the trained adapter of step 3."""
    settings = dataclasses.replace(
        SETTINGS, steps=6, reference_sync_steps=3, save_every=4, sample_every=1, lr_rest=1e-2
    )
    straight = trained(base, tokenizer, tmp_path / "a", settings, engine=LORA)
    with pytest.raises(Killed):
        trained(base, tokenizer, tmp_path / "b", settings, die_at=5, engine=LORA)
    continued = trained(base, tokenizer, tmp_path / "b", settings, engine=LORA)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], continued[0], strict=True))
    pd.testing.assert_frame_equal(plain(continued[1]), plain(straight[1]))


def test_merged_adapters_sample_as_the_saved_model_and_leave_the_weights_as_they_were(base):
    model = load_trained(base, dataclasses.replace(LORA, precision="bfloat16"), 0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.02)
    before = {name: p.clone() for name, p in model.named_parameters()}
    ids = torch.arange(6)[None]
    saved = adapters.whole(model)
    with torch.no_grad(), adapters.merged(model):
        merged = model.get_base_model()(ids).logits
        assert all(layer.merged for layer in model.modules() if isinstance(layer, LoraLayer))
    assert torch.equal(merged, saved(ids).logits)
    with pytest.raises(KeyboardInterrupt), adapters.merged(model):
        raise KeyboardInterrupt
    assert all(torch.equal(before[name], p) for name, p in model.named_parameters())
    with torch.no_grad():
        apart = model.get_base_model()(ids).logits
    assert not torch.equal(apart, merged) and (apart - merged).abs().max() < 0.1


def test_the_reference_is_the_adapter_of_the_last_sync(base, tokenizer, tmp_path):
    settings = dataclasses.replace(
        SETTINGS, steps=4, steps_per_generation=1, reference_sync_steps=2, lr_rest=1e-2
    )
    _, rows, _ = trained(base, tokenizer, tmp_path, settings, engine=LORA)
    kl = [row["kl"] for row in rows]
    assert abs(kl[0]) < 1e-6 and abs(kl[2]) < 1e-6 and min(kl[1], kl[3]) > 1e-5


@pytest.mark.parametrize("kind", ["language model", "reward model"])
def test_merged_adapters_are_an_ordinary_model_that_says_the_same(base, tokenizer, kind):
    make = load_trained if kind == "language model" else new_reward_model
    model = make(base, LORA, 0)
    model.config.pad_token_id = tokenizer.pad_token_id
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    merged = adapters.whole(model)
    ids = torch.arange(5, 25)[None]
    said = model(ids).logits
    assert torch.allclose(merged(ids).logits, said, atol=1e-4) and said.abs().max() > 0.01
    assert not [name for name, _ in merged.named_parameters() if "lora" in name]
    before = dict(make(base, EngineConfig(), 0).named_parameters())
    for name, parameter in merged.named_parameters():
        changed = "_proj." in name or name.startswith("score")
        assert torch.equal(parameter, before[name]) != changed, name
    assert adapters.whole(merged) is merged


def test_eager_attention_is_that_of_policy_and_reference(base, tokenizer, tmp_path):
    seen = []
    engine = EngineConfig(attention="eager")
    _, rows, _ = trained(base, tokenizer, tmp_path, SHORT, engine=engine, watch=seen.append)
    assert seen[0].config._attn_implementation == "eager"
    assert abs(rows[0]["kl"]) < 1e-6
    arguments = rl.trainer_arguments(SHORT, 0, tmp_path, engine)
    assert arguments.model_init_kwargs == {"attn_implementation": "eager"}


def test_what_reports_elsewhere_is_handed_to_the_trainers(tmp_path):
    engine = EngineConfig(report_to="wandb")
    assert rl.trainer_arguments(SHORT, 0, tmp_path).report_to == []
    assert rl.trainer_arguments(SHORT, 0, tmp_path, engine).report_to == ["wandb"]
    settings = laptop(SFTConfig, epochs=1)
    found = trainers.arguments(Arguments, settings, 1, 3, seed=0, folder=tmp_path, engine=engine)
    assert found.report_to == ["wandb"] and found.run_name == tmp_path.name


@pytest.mark.parametrize("trainer", ["grpo", "sft"])
def test_adapters_beside_weights_in_4_bits_are_trained_in_float32(
    base, tokenizer, tmp_path, trainer
):
    """TRL casts adapters to bfloat16 if this flag is set; the weights here are not quantized."""
    marked = lambda model: setattr(model, "is_loaded_in_4bit", True)  # noqa: E731
    if trainer == "grpo":
        weights, _, _ = trained(base, tokenizer, tmp_path, SHORT, engine=LORA, watch=marked)
    else:
        model = load_trained(base, LORA, 0)
        marked(model)
        examples = [(tokenizer.encode("User: Compute 1+2."), [5, 6, tokenizer.eos_token_id])] * 8
        settings = laptop(SFTConfig, epochs=1, batch_size=4, log_every=1, save_every=99)
        sft.fine_tune(model, tokenizer, examples, settings, seed=0, folder=tmp_path,
                      progress=Progress(None), engine=LORA)  # fmt: skip
        weights = list(model.parameters())
    assert {w.dtype for w in weights} == {torch.float32}
