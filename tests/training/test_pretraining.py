"""Pretraining batches, and resuming to the same weights."""

import random

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.config import BaseConfig, EngineConfig
from r1repro.training.pretraining import bucketed, pretrain, recent, schedule
from tests.laptop import laptop

SETTINGS = laptop(
    BaseConfig, batch_tokens=64, log_every=2, save_every=4, lr_matrices=1e-2, lr_rest=1e-2
)
RNG = random.Random(0)
# Counting up from a random start can be learned in a few steps.
STARTS = [RNG.randrange(38) for _ in range(60)]
SEQUENCES = [[2 + (s + i) % 38 for i in range(RNG.randint(2, 20))] for s in STARTS]


def _model():
    torch.manual_seed(0)
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            intermediate_size=24,
        )
    )


class Killed(Exception):
    pass


class Mortal(Progress):
    die_at: int | None = None

    def update(self, step, total, **figures):
        if step == self.die_at:
            raise Killed


def _pretrain(folder, die_at=None):
    model, progress = _model(), Mortal(None)
    progress.die_at = die_at
    rows = pretrain(model, SEQUENCES, SETTINGS, pad_id=0, seed=0, folder=folder, progress=progress)
    return list(model.parameters()), rows


def test_every_sequence_once_and_no_batch_too_large():
    batches = bucketed(SEQUENCES, 64, random.Random(0))
    assert sorted(row for batch in batches for row in batch) == list(range(len(SEQUENCES)))
    assert all(len(b) * max(len(SEQUENCES[row]) for row in b) <= 64 for b in batches)


def test_loss_falls(tmp_path):
    _, rows = _pretrain(tmp_path)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert rows[-1]["tokens"] == sum(len(s) - 1 for s in SEQUENCES)


@pytest.mark.parametrize("die_at", [2, 6, 10])
def test_a_broken_run_continues_to_the_same_weights(tmp_path, die_at):
    straight, straight_rows = _pretrain(tmp_path / "a")
    with pytest.raises(Killed):
        _pretrain(tmp_path / "b", die_at)
    continued, rows = _pretrain(tmp_path / "b")
    assert all(torch.equal(x, y) for x, y in zip(straight, continued, strict=True))
    assert [row["loss"] for row in rows] == [row["loss"] for row in straight_rows]


def test_a_checkpoint_cut_short_is_not_taken(tmp_path):
    straight, _ = _pretrain(tmp_path / "a")
    with pytest.raises(Killed):
        _pretrain(tmp_path / "b", 10)
    (newest,) = (tmp_path / "b" / "checkpoints").iterdir()
    (newest / "complete").unlink()
    (newest / "model.safetensors").write_bytes(b"half")
    continued, _ = _pretrain(tmp_path / "b")
    assert all(torch.equal(x, y) for x, y in zip(straight, continued, strict=True))


def test_schedule_warms_up_and_decays():
    rates = [schedule(step, 100, 0.1) for step in range(1, 101)]
    assert rates[0] < rates[9] and max(rates) <= 1
    assert rates[-1] == pytest.approx(0.05)


def test_what_is_shown_is_no_single_batch():
    rows = [{"step": step, "loss": loss} for step, loss in ((20, 3.0), (40, 1.0), (60, 1.2))]
    assert recent(rows[:1]) == 3.0
    assert recent(rows) == pytest.approx((3.0 + 1.0 + 1.2) / 3)
    last = [*rows, {"step": 61, "loss": 9.0}]
    assert recent(last) == pytest.approx((20 * 1.0 + 20 * 1.2 + 9.0) / 41)


def test_metrics_keep_every_log_as_it_was(tmp_path):
    seen = []

    class Shown(Progress):
        def update(self, step, total, **figures):
            seen.append(figures["loss"])

    rows = pretrain(
        _model(), SEQUENCES, SETTINGS, pad_id=0, seed=0, folder=tmp_path, progress=Shown(None)
    )
    assert seen[0] == rows[0]["loss"] and seen[-1] == pytest.approx(recent(rows))
    assert seen[-1] != rows[-1]["loss"]


def test_bfloat16_computes_in_it_and_learns_as_well_on_float32_weights(tmp_path):
    computed = set()
    model = _model()
    model.model.layers[0].mlp.register_forward_hook(lambda m, given, out: computed.add(out.dtype))
    rows = pretrain(
        model, SEQUENCES, SETTINGS, pad_id=0, seed=0, folder=tmp_path, progress=Mortal(None),
        engine=EngineConfig(precision="bfloat16"),
    )  # fmt: skip
    _, exact = _pretrain(tmp_path / "exact")
    assert computed == {torch.bfloat16} and {p.dtype for p in model.parameters()} == {torch.float32}
    assert rows[-1]["loss"] == pytest.approx(exact[-1]["loss"], rel=0.05)
