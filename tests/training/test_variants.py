"""Variants of the objective in the trainer, against formulas written out row by row."""

import dataclasses

import pandas as pd
import pytest
import torch
from transformers import Qwen3ForCausalLM

from r1repro.artifacts import Progress, StageResult
from r1repro.config import ObjectiveConfig
from r1repro.evaluation.rows import whole_groups
from r1repro.rewards import rule_rewards
from r1repro.tasks import mini_world
from r1repro.training import rl
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import (
    SETTINGS,
    Killed,
    _built,
    _ragged_batch,
    _trainer,
    trained,
)

CAP = SETTINGS.max_completion_tokens


def _settings(beta=0.04, **variant):
    return dataclasses.replace(SETTINGS, beta=beta, objective=ObjectiveConfig(**variant))


def _loss(model, batch, variant, beta, epsilon=SETTINGS.epsilon):
    """The loss in float64, a completion at a time."""
    sums, lengths = [], []
    for row, advantage in enumerate(batch["advantages"].double()):
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
        said = batch["completion_ids"][row][batch["completion_mask"][row].bool()]
        logits = model(torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
        logp = logits.log_softmax(-1).gather(1, said[:, None])[:, 0]
        old = batch["old_per_token_logps"][row][: len(said)].double()
        away = logp - batch["ref_per_token_logps"][row][: len(said)].double()
        ratio = (logp - old).exp()
        surrogate = torch.minimum(
            ratio * advantage, ratio.clamp(1 - epsilon, 1 + epsilon) * advantage
        )
        kl = {"k1": away, "k2": away**2 / 2, "k3": (-away).exp() + away - 1}[variant.kl]
        sums.append((surrogate - beta * kl).sum())
        lengths.append(len(said))
    each, lengths = torch.stack(sums), torch.tensor(lengths)
    return {
        "completion": -(each / lengths).mean(),
        "tokens": -each.sum() / lengths.sum(),
        "cap": -each.sum() / (len(each) * CAP),
    }[variant.normalization]


@pytest.mark.parametrize("micro_batch_tokens", [60, 100_000])
@pytest.mark.parametrize(
    ("beta", "variant"),
    [
        (0.0, {"normalization": "tokens"}),
        (0.0, {"normalization": "cap"}),
        (0.04, {"normalization": "tokens", "kl": "k2"}),
        (0.04, {"normalization": "cap", "kl": "k1"}),
        (0.04, {"kl_in": "reward"}),
    ],
)
def test_loss_and_gradient(base, tokenizer, tmp_path, beta, variant, micro_batch_tokens):
    settings = dataclasses.replace(
        _settings(beta, **variant), micro_batch_tokens=micro_batch_tokens
    )
    trainer = _trainer(base, tokenizer, tmp_path, settings)
    batch, _ = _ragged_batch(tokenizer)
    trainer.model.train()
    trainer._prepare_inputs = lambda inputs: inputs
    loss = trainer.training_step(trainer.model, batch)
    exact = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float64)
    in_loss = 0.0 if settings.objective.kl_in == "reward" else beta
    expected = _loss(exact, batch, settings.objective, in_loss)
    expected.backward()
    assert abs(loss.item() - expected.item()) < 1e-5 * max(1, abs(expected.item()))
    norm = torch.stack([p.grad.norm() for p in exact.parameters()]).norm()
    for (name, ours), theirs in zip(
        trainer.model.named_parameters(), exact.parameters(), strict=True
    ):
        assert (ours.grad.double() - theirs.grad).norm() < 1e-5 * norm, name


def _scored(base, tokenizer, folder, settings, rewards):
    """The batch of one rollout with these rewards, and its trainer."""
    trainer, _ = _built(base, tokenizer, folder, settings)
    trainer.reward_funcs = [
        lambda completions, **columns: rewards,
        lambda completions, **columns: [0.0] * len(completions),
    ]
    trainer.model.train()
    row = trainer.train_dataset[0]
    return trainer._generate_and_score_completions([row] * len(rewards)), trainer


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("centred", [0.75, -0.25, -0.25, -0.25]), ("reward", [1.0, 0.0, 0.0, 0.0])],
)
def test_advantages(base, tokenizer, tmp_path, kind, expected):
    settings = _settings(advantage=kind)
    batch, _ = _scored(base, tokenizer, tmp_path, settings, [1.0, 0.0, 0.0, 0.0])
    assert batch["advantages"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("off_policy", [False, True])
def test_kl_in_the_reward(base, tokenizer, tmp_path, off_policy):
    """r - beta x the sum over tokens of log(pi / pi_ref), before the group's mean is taken."""
    settings = _settings(0.5, advantage="centred", kl="k1", kl_in="reward")
    if not off_policy:
        settings = dataclasses.replace(settings, steps_per_generation=1)
    trainer, _ = _built(base, tokenizer, tmp_path, settings)
    with torch.no_grad():
        for parameter in trainer.ref_model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=torch.Generator())
    trainer.reward_funcs = [
        lambda completions, **columns: [1.0, 0, 0, 0],
        lambda completions, **columns: [0.0] * 4,
    ]
    trainer.model.train()
    batch = trainer._generate_and_score_completions([trainer.train_dataset[0]] * 4)
    assert ("old_per_token_logps" in batch) == off_policy
    away = []
    for row in range(4):
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
        said = batch["completion_ids"][row][batch["completion_mask"][row].bool()]
        ids = torch.cat([prompt, said])[None]
        picked = [
            of(ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1).gather(1, said[:, None])
            for of in (trainer.model, trainer.ref_model)
        ]
        away.append((picked[0] - picked[1]).sum().item())
    assert max(map(abs, away)) > 0.01
    reward = torch.tensor([1.0, 0, 0, 0]) - 0.5 * torch.tensor(away)
    assert batch["advantages"].tolist() == pytest.approx(
        (reward - reward.mean()).tolist(), abs=1e-4
    )
    tokens = batch["completion_mask"].sum().item()
    assert trainer._metrics["train"]["kl"] == pytest.approx([sum(away) / tokens], abs=1e-5)


def test_two_passes_over_each_generation(base, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(_settings(passes=2), steps_per_generation=1, sample_every=1)
    world = mini_world.build(0, 20, 20)
    problems = [p for p, _ in zip(world.train(0), range(8), strict=False)]
    rows, samples = rl.train(
        Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32),
        tokenizer,
        problems,
        settings,
        template="mini",
        seed=0,
        folder=tmp_path,
        progress=Progress(None),
    )
    assert [row["seconds_rollout"] > 0 for row in rows] == [True, False, True, False]
    pd.DataFrame(samples).to_parquet(tmp_path / "completions.parquet")
    result = StageResult("r1_zero", "", tmp_path, {"files": {}})
    firsts = result.completions()
    asked = {step: firsts[firsts["step"] == step]["problem_id"].tolist() for step in (1, 3)}
    assert asked == {1: [p.id for p in problems[:4]], 3: [p.id for p in problems[4:]]}
    whole = whole_groups(result.table("completions"))
    assert whole["step"].tolist() == [1] * settings.generations + [3] * settings.generations
    for step, first in ((1, problems[0]), (3, problems[4])):
        group = whole[whole["step"] == step]
        assert set(group["problem_id"]) == {first.id}
        apart = group["reward"] - group["reward"].mean()
        expected = apart / (group["reward"].std() + 1e-4)
        assert group["advantage"].to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-4)
    # The second pass is off-policy: the ratio has left 1, and its KL differs from the first one's.
    assert rows[0]["reward"] == rows[1]["reward"] and rows[0]["kl"] != rows[1]["kl"]


def test_two_passes_with_the_kl_in_the_reward_continue_to_the_same_weights(
    base, tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(
        _settings(passes=2, kl_in="reward", kl="k1"), steps_per_generation=1, save_every=2
    )
    straight = trained(base, tokenizer, tmp_path / "a", settings)
    with pytest.raises(Killed):  # in the second generation, after the checkpoint of the first
        trained(base, tokenizer, tmp_path / "b", settings, die_at=3)
    continued = trained(base, tokenizer, tmp_path / "b", settings)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], continued[0], strict=True))
    # The first generation is the reference's own; the KL of a generation is known when it is made.
    first, none, second, nothing = (row["kl"] for row in straight[1])
    assert first == pytest.approx(0, abs=1e-6) and abs(second) > 1e-6
    assert none is None and nothing is None
