"""A cap that rises in mid-run, as R1-Zero's did (R1 v2, 2.1), in the sampler, vLLM and the loss."""

import dataclasses

import pandas as pd
import pytest
import torch
from trl.trainer import grpo_trainer

from r1repro.config import EngineConfig, ObjectiveConfig
from r1repro.generation.rollouts import Sampling, ends, sample
from r1repro.rewards import rule_rewards
from r1repro.training import objective
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, Killed, plain, trained

CAP, RAISED = SETTINGS.max_completion_tokens, 20
RISING = dataclasses.replace(
    SETTINGS, steps=6, raised_at=1, raised_cap=RAISED, sample_every=1, snapshot_every=0
)
"""Two updates a rollout, so the cap rises with the second rollout, before step 3."""


@pytest.fixture(autouse=True)
def paid(monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)


def test_a_rollout_begun_before_the_rise_keeps_its_cap():
    assert [RISING.cap(step) for step in range(6)] == [CAP, CAP] + 4 * [RAISED]
    assert RISING.last_cap == RAISED
    late = dataclasses.replace(RISING, raised_at=5)
    assert late.last_cap == late.cap(5) == CAP, "no rollout begins after the fifth update"
    twice = dataclasses.replace(RISING, objective=ObjectiveConfig(passes=2), steps=12, raised_at=4)
    assert [twice.cap(step) for step in (3, 4, 7, 8)] == [CAP, RAISED, RAISED, RAISED]
    assert {SETTINGS.cap(step) for step in (0, 10**6)} == {CAP}


def _lengths(rows):
    return [row["length"] for row in rows]


def test_completions_grow_with_the_cap_and_a_resumed_run_has_the_same_weights(
    base, tokenizer, tmp_path, monkeypatch
):
    normalized = []
    mean_over = objective.mean_over

    def seen(normalization, cap):
        normalized.append(cap)
        return mean_over(normalization, cap)

    monkeypatch.setattr("r1repro.training.trl_adapter.objective.mean_over", seen)
    straight = trained(base, tokenizer, tmp_path / "a", RISING)
    # A random model hardly ever ends by itself.
    first, later = _lengths(straight[1])[:2], _lengths(straight[1])[2:]
    assert max(first) <= CAP < min(later) and max(later) <= RAISED
    cut = [sample for sample in straight[2] if not sample["finished"]]
    assert {sample["tokens"] for sample in cut} == {CAP, RAISED}
    assert min(row["clipped"] for row in straight[1][::2]) > 0.5, "the others sample nothing"
    assert sorted(set(normalized)) == [CAP, RAISED] and normalized == sorted(normalized)
    with pytest.raises(Killed):
        trained(base, tokenizer, tmp_path / "b", RISING, die_at=5)
    continued = trained(base, tokenizer, tmp_path / "b", RISING)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], continued[0], strict=True))
    pd.testing.assert_frame_equal(plain(continued[1]), plain(straight[1]))


def test_vllm_is_told_of_the_cap(base, tokenizer, tmp_path, monkeypatch):
    made = []

    class StandIn:
        """With TRL's name for the cap, which its `generate` reads at every rollout."""

        def __init__(self, model, accelerator, processing_class, **settings):
            self.model, self.tokenizer, self.settings = model, processing_class, settings
            self.max_completion_length = settings["max_completion_length"]
            made.append(self)

        def sync_weights(self):
            pass

        def generate(self, prompts, images, num_generations, profiler):
            found = sample(
                self.model, prompts, Sampling(self.max_completion_length),
                end_ids=ends(self.model, self.tokenizer), pad_id=self.tokenizer.pad_token_id,
                seed=0, with_logps=True,
            )  # fmt: skip
            logps = [[[value] for value in one.logps] for one in found]
            return prompts, [one.token_ids for one in found], logps, None

    monkeypatch.setattr(grpo_trainer, "VLLMGeneration", StandIn)
    short = dataclasses.replace(RISING, steps=4)
    _, rows, _ = trained(base, tokenizer, tmp_path, short, engine=EngineConfig(rollouts="vllm"))
    assert max(_lengths(rows)[:2]) <= CAP < min(_lengths(rows)[2:])
    (used,) = made
    _, _, _ = trained(
        base, tokenizer, tmp_path / "flat", dataclasses.replace(short, raised_at=None, steps=2),
        engine=EngineConfig(rollouts="vllm"),
    )  # fmt: skip
    room = [one.settings["max_model_length"] for one in made]
    assert room[0] - room[1] == RAISED - CAP
