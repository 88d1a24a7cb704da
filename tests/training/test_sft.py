"""SFT and reward-model training on TRL: order, schedule, completion-only loss, resuming."""

import dataclasses
import random

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    Qwen3ForCausalLM,
)

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RewardModelConfig, SFTConfig, rows_together
from r1repro.errors import R1ReproError
from r1repro.stages.models import load_trained, new_reward_model
from r1repro.training import reward_model, sft
from tests.laptop import laptop

SETTINGS = laptop(
    SFTConfig, epochs=2, batch_size=4, lr_matrices=1e-2, lr_rest=1e-2, log_every=1, save_every=2
)


def _examples(tokenizer, count=16):
    return [
        (
            tokenizer.encode("User: Compute 1+2."),
            [*tokenizer.encode("3" + "1" * (i % 5)), tokenizer.eos_token_id],
        )
        for i in range(count)
    ]


def _tuned(base, tokenizer, folder, settings=SETTINGS, examples=None, engine=PLAIN_ENGINE):
    model = load_trained(base, engine, 0)
    rows = sft.fine_tune(
        model, tokenizer, _examples(tokenizer) if examples is None else examples, settings,
        seed=0, folder=folder, progress=Progress(None), engine=engine,
    )  # fmt: skip
    return model, rows


def test_every_example_comes_once_an_epoch_in_batches_of_like_length():
    lengths = [3 * i % 50 for i in range(103)]
    settings = dataclasses.replace(SETTINGS, epochs=3, batch_size=10)
    order = sft.epochs(lengths, settings, random.Random(0))
    # The 3 of 103 rows left over by an epoch come in the next.
    first, second, third = set(order[:100]), order[100:200], order[200:]
    assert len(first) == 100 and first | set(second) == set(range(103))
    assert sorted(order) == sorted(3 * list(range(103))) and order[:100] != second != third
    batches = [order[i : i + 10] for i in range(0, 300, 10)]
    spread = [max(lengths[r] for r in b) - min(lengths[r] for r in b) for b in batches]
    assert max(spread) < 10


def test_schedule_warms_up_and_ends_at_a_tenth():
    factors = [sft.schedule(step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.2) and max(factors) > 0.99
    assert factors[-1] == pytest.approx(0.1)
    assert factors[5:] == sorted(factors[5:], reverse=True)


def test_it_learns_the_completion_and_says_so(base, tokenizer, tmp_path):
    settings = dataclasses.replace(SETTINGS, epochs=8)
    _, rows = _tuned(base, tokenizer, tmp_path, settings)
    assert rows[-1]["loss"] < 0.5 * rows[0]["loss"]
    assert [row["step"] for row in rows] == list(range(1, 33))
    assert rows[-1]["tokens"] > rows[0]["tokens"] > 0 and rows[-1]["flops"] > 0


def test_prompts_are_not_learned(base, tokenizer, tmp_path):
    """The loss must not depend on prompt labels."""
    prompt = tokenizer.encode("User: Compute 1+2. Assistant: ")
    one = [(prompt, [5, tokenizer.eos_token_id])] * 8
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    ids = torch.tensor([[*prompt, 5, tokenizer.eos_token_id]])
    with torch.no_grad():
        logps = model(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
    wanted = -logps[torch.arange(2), ids[0, len(prompt) :]].mean().item()
    _, rows = _tuned(base, tokenizer, tmp_path, examples=one)
    assert rows[0]["loss"] == pytest.approx(wanted, abs=1e-4)


def test_a_batch_read_in_parts_gives_the_same_weights(base, tokenizer, tmp_path):
    settings = dataclasses.replace(SETTINGS, batch_size=8)
    whole, rows = _tuned(base, tokenizer, tmp_path / "whole", settings)
    in_parts = dataclasses.replace(settings, rows_at_once=3)
    assert rows_together(in_parts) == 2
    parts, steps = _tuned(base, tokenizer, tmp_path / "parts", in_parts)
    assert [row["step"] for row in steps] == [row["step"] for row in rows]
    assert steps[-1]["loss"] == pytest.approx(rows[-1]["loss"], rel=1e-3)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=2e-4, rtol=1e-3)


class Killed(Exception):
    pass


@pytest.mark.parametrize("kind", ["sft", "reward"])
@pytest.mark.parametrize("engine", [EngineConfig(), EngineConfig(lora_rank=4)])
def test_killed_and_continued_gives_the_same_weights(
    base, tokenizer, tmp_path, kind, engine, monkeypatch
):
    def trained(folder):
        if kind == "sft":
            return _tuned(base, tokenizer, folder, engine=engine)
        model = new_reward_model(base, engine, 0)
        model.config.pad_token_id = tokenizer.pad_token_id
        pairs = [([5, 6, i], [7, 8]) for i in range(9, 25)]
        settings = laptop(RewardModelConfig, batch_size=4, log_every=1, save_every=2)
        return model, reward_model.train(
            model, tokenizer, pairs, settings, seed=0, folder=folder, progress=Progress(None),
            engine=engine,
        )  # fmt: skip

    straight, rows = trained(tmp_path / "straight")
    log = sft.Recorder.on_log

    def killed(self, args, state, control, **kwargs):
        if state.global_step == 5:
            raise Killed
        log(self, args, state, control, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(sft.Recorder, "on_log", killed)
        with pytest.raises(Killed):
            trained(tmp_path / "broken")
    again, rows_again = trained(tmp_path / "broken")
    start = (load_trained if kind == "sft" else new_reward_model)(base, engine, 0)
    for one, before in zip(straight.parameters(), start.parameters(), strict=True):
        assert torch.equal(one, before) != one.requires_grad
    for one, other in zip(straight.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    for column in ("loss", "tokens", "flops"):
        assert [r[column] for r in rows] == [r[column] for r in rows_again]
    assert all(row["tokens_per_s"] > 0 for row in rows_again)


def test_a_reward_model_learns_to_tell_its_pairs(base, tokenizer, tmp_path):
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1)
    model.config.pad_token_id = tokenizer.pad_token_id
    pairs = [([5, i, tokenizer.eos_token_id], [7, i, tokenizer.eos_token_id]) for i in range(9, 73)]
    settings = laptop(RewardModelConfig, epochs=4, batch_size=16, log_every=1)
    rows = reward_model.train(
        model, tokenizer, pairs, settings, seed=0, folder=tmp_path, progress=Progress(None)
    )
    assert rows[-1]["accuracy"] > 0.95 and rows[-1]["loss"] < rows[0]["loss"]


def test_nothing_to_learn_from_is_said(base, tokenizer, tmp_path):
    with pytest.raises(R1ReproError, match="no example to train on"):
        _tuned(base, tokenizer, tmp_path, examples=[])
