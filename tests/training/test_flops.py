"""FLOPs estimates, and the policy saved when a budget is spent."""

import dataclasses
from itertools import islice

import pytest
import torch
from safetensors.torch import load_file
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.rewards import rule_rewards
from r1repro.tasks import mini_world
from r1repro.training import adapters, flops, rl
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS

STEPS = dataclasses.replace(
    SETTINGS, steps=3, steps_per_generation=1, save_every=10, lr_matrices=1e-2, lr_rest=1e-2
)


def test_by_hand():
    assert flops.forward(10, 3) == 60 and flops.trained(10, 10, 3) == 180
    assert flops.trained(10, 1, 3) == 3 * (4 * 10 + 2 * 1)


@pytest.mark.parametrize("rank", [0, 4])
def test_the_estimate_is_near_what_torch_counts(rank):
    shape = LlamaConfig(
        vocab_size=256, hidden_size=64, num_hidden_layers=4, num_attention_heads=4,
        intermediate_size=192, tie_word_embeddings=True, attn_implementation="eager",
    )  # fmt: skip
    model = LlamaForCausalLM(shape)
    model = adapters.adapted(model, rank, 2 * rank, 0) if rank else model
    ids = torch.randint(2, 256, (4, 8))
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=ids).loss.backward()
    moved = model.num_parameters(only_trainable=True)
    estimate = flops.trained(model.num_parameters(), moved, ids.numel())
    assert counter.get_total_flops() == pytest.approx(estimate, rel=0.1)


def test_a_step_is_charged_with_what_its_models_have_read(base, tokenizer, tmp_path):
    settings = dataclasses.replace(STEPS, steps=1, micro_batch_tokens=2_000)
    problems = list(islice(mini_world.build(0, 20, 20).train(0), settings.questions))
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    trainer, recorder = rl.build(
        model, tokenizer, problems, settings, template="mini", seed=0, folder=tmp_path
    )
    read = {True: 0, False: 0}

    def counts(module, args, kwargs):
        if not torch.is_inference_mode_enabled():  # the sampler
            new = kwargs["attention_mask"][:, -kwargs["input_ids"].shape[1] :]
            read[torch.is_grad_enabled()] += int(new.sum())

    for one in (model, trainer.ref_model):
        one.base_model.register_forward_pre_hook(counts, with_kwargs=True)
    trainer.train()
    rows = recorder.batch
    parameters, once = model.num_parameters(), rows.prompt_tokens.sum() / settings.generations
    sampled = flops.forward(parameters, once + rows.tokens.sum())
    learned = flops.trained(parameters, parameters, read[True])
    expected = sampled + flops.forward(parameters, read[False]) + learned
    assert recorder.rows[-1]["flops"] == pytest.approx(expected)
    # A prompt shared within a micro-batch is prefilled once by reference and policy.
    assert read[True] == read[False] < once + rows.tokens.sum()


def test_a_step_is_charged_with_its_own_update_and_the_first_with_the_rollout(
    base, tokenizer, tmp_path
):
    settings = dataclasses.replace(STEPS, steps=4, steps_per_generation=2)
    problems = list(islice(mini_world.build(0, 20, 20).train(0), 4 * settings.questions))
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    rows, _ = rl.train(
        model, tokenizer, problems, settings, template="mini", seed=0, folder=tmp_path,
        progress=Progress(None),
    )  # fmt: skip
    spent = [b["flops"] - a["flops"] for a, b in zip([{"flops": 0.0}, *rows], rows, strict=False)]
    # Both updates of a rollout cost the same; the first step adds rollout and reference.
    assert spent[0] > 1.2 * spent[1] > 0 and spent[2] > 1.2 * spent[3] > 0


@pytest.mark.parametrize(("share", "step"), [(0.01, 1), (0.5, 2), (9.0, 3)])
def test_the_policy_is_kept_after_the_step_that_spends_the_budget(
    base, tokenizer, tmp_path, monkeypatch, share, step
):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    seen = []
    keep = rl.Recorder._keep
    monkeypatch.setattr(
        rl.Recorder,
        "_keep",
        lambda s, model, name: (seen.append(s.rows[-1]["step"]), keep(s, model, name)),
    )

    def train(folder, budget):
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
        folder.mkdir()
        problems = [
            p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(12), strict=False)
        ]
        rows, _ = rl.train(
            model, tokenizer, problems, STEPS, template="mini", seed=0, folder=folder,
            progress=Progress(folder), budget=budget,
        )  # fmt: skip
        return model, rows

    _, rows = train(tmp_path / "free", None)
    assert not (tmp_path / "free" / flops.EQUAL_FLOPS).exists() and not seen
    spent = [row["flops"] for row in rows]
    assert spent == sorted(spent) and spent[0] > 0
    model, again = train(tmp_path / "kept", share * spent[-1] + 1)
    assert [row["flops"] for row in again] == spent and seen == [step]
    kept = load_file(tmp_path / "kept" / flops.EQUAL_FLOPS / "model" / "model.safetensors")
    same = all(torch.equal(kept[name], p) for name, p in model.named_parameters() if name in kept)
    assert same == (step == 3)
