"""Our sampler tells what it drew with; how far the trainer is from it is logged and bounded."""

import dataclasses

import pytest
import torch

from r1repro.config import EngineConfig
from r1repro.rewards import rule_rewards
from r1repro.training import objective, rl, trl_sampling
from r1repro.training.objective import MISMATCH_CAP, ROUNDING
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, trained

ON_POLICY = dataclasses.replace(SETTINGS, steps_per_generation=1)


@pytest.fixture(autouse=True)
def paid(monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)


def _told_otherwise(monkeypatch, off):
    """The sampler reports log-probabilities that are `off` nats higher; None reports none."""
    sample = trl_sampling.sample

    def lies(*args, **more):
        found = sample(*args, **more)
        return [
            dataclasses.replace(one, logps=off and [value + off for value in one.logps])
            for one in found
        ]

    monkeypatch.setattr(trl_sampling, "sample", lies)


@pytest.mark.parametrize("settings", [SETTINGS, ON_POLICY], ids=["off-policy", "on-policy"])
def test_in_float32_the_mismatch_is_told_and_changes_no_bit(
    base, tokenizer, tmp_path, monkeypatch, settings
):
    told = trained(base, tokenizer, tmp_path / "told", settings)
    monkeypatch.setattr(rl.PackedGRPOTrainer, "_generate_and_score_completions", _without_logps())
    silent = trained(base, tokenizer, tmp_path / "silent", settings)
    assert all(torch.equal(x, y) for x, y in zip(told[0], silent[0], strict=True))
    assert [row["reward"] for row in told[1]] == [row["reward"] for row in silent[1]]
    assert all(0 < row["logp_mismatch"] < ROUNDING / 10 for row in told[1])
    assert all(row["logp_mismatch"] is None for row in silent[1])


def _without_logps():
    score = rl.PackedGRPOTrainer._generate_and_score_completions

    def scored(self, inputs):
        batch = score(self, inputs)
        del batch["sampling_per_token_logps"]
        return batch

    return scored


def test_in_bfloat16_the_mismatch_is_larger_and_enters_the_loss(
    base, tokenizer, tmp_path, monkeypatch
):
    weights = []
    made = objective.truncated_weights

    def seen(*args):
        weights.append(made(*args))
        return weights[-1]

    monkeypatch.setattr(objective, "truncated_weights", seen)
    engine = EngineConfig(precision="bfloat16")
    _, rows, _ = trained(base, tokenizer, tmp_path, ON_POLICY, engine=engine)
    assert ROUNDING / 10 < rows[0]["logp_mismatch"] < 0.5
    assert any((one != 1).any() for one in weights)


@pytest.mark.parametrize(("off", "share"), [(0.25, 0.7788), (-0.25, 1.284), (-3.0, MISMATCH_CAP)])
def test_what_is_off_weighs_the_surrogate_up_to_the_cap(
    base, tokenizer, tmp_path, monkeypatch, off, share
):
    settings = dataclasses.replace(ON_POLICY, steps=1)
    exact = trained(base, tokenizer, tmp_path / "exact", settings)[1]
    _told_otherwise(monkeypatch, off)
    told = trained(base, tokenizer, tmp_path / "told", settings)[1]
    assert told[0]["logp_mismatch"] == pytest.approx(abs(off), abs=1e-3)
    # The KL term has no gradient before the first update.
    assert told[0]["grad_norm"] / exact[0]["grad_norm"] == pytest.approx(share, rel=0.01)


def test_weights_by_hand():
    told = torch.tensor([[-1.0, -1.0, -1.0, -1.0]])
    ours = told + torch.tensor([[0.5 * ROUNDING, -0.5 * ROUNDING, -1.0, 1.0]])
    found = objective.truncated_weights(ours, told)
    assert found[0, :2].tolist() == [1.0, 1.0] and found[0, 3] == MISMATCH_CAP
    assert found[0, 2] == pytest.approx(0.3679, abs=1e-4)
