"""PPO in the trainer: one step composed by hand, a critic that learns, and resuming."""

import dataclasses

import pytest
import torch
from transformers import Qwen3ForCausalLM

from r1repro.config import PLAIN_ENGINE, ObjectiveConfig
from r1repro.errors import R1ReproError
from r1repro.planning import memory
from r1repro.rewards import rule_rewards
from r1repro.training.critic import OPTIMIZER, VALUE_CLIP, WEIGHTS
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, Killed, _built, trained

PPO = ObjectiveConfig(advantage="gae", kl_in="reward", kl="k1", lam=0.9, critic_lr=1e-2)
ONCE = dataclasses.replace(SETTINGS, beta=0.5, steps_per_generation=1, objective=PPO)
REWARDS = [1.0, 0.0, 0.0, 1.0]


def _rollout(base, tokenizer, folder, settings=ONCE):
    """A trainer whose critic and reference have left the start, and the batch of one rollout."""
    trainer, _ = _built(base, tokenizer, folder, settings)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in trainer.ref_model.parameters():
            parameter += 0.02 * torch.randn(parameter.shape, generator=generator)
        trainer.critic.model.score.weight.normal_(generator=generator)
    trainer.reward_funcs = [
        lambda completions, **columns: REWARDS,
        lambda completions, **columns: [0.0] * 4,
    ]
    trainer.model.train()
    return trainer, trainer._generate_and_score_completions([trainer.train_dataset[0]] * 4)


def _tokens(batch, row):
    """A row's prompt and completion, without padding."""
    parts = ("prompt", "completion")
    return [batch[f"{x}_ids"][row][batch[f"{x}_mask"][row].bool()] for x in parts]


def _logps(model, batch, row):
    prompt, said = _tokens(batch, row)
    logits = model(torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1).gather(1, said[:, None])[:, 0]


def _values(critic, batch, row):
    """Values before each token of a completion, alone and without a cache."""
    prompt, said = _tokens(batch, row)
    hidden = critic.model.trunk(torch.cat([prompt, said])[None]).last_hidden_state
    return critic.model.score(hidden[0, len(prompt) - 1 : -1])[:, 0]


def test_the_advantages_are_composed_of_ppos_parts(base, tokenizer, tmp_path):
    """A token at a time: reward less KL, delta, their sum with lambda 0.9, then whitened."""
    trainer, batch = _rollout(base, tokenizer, tmp_path)
    values, returns, advantages, to_go = [], [], [], []
    with torch.no_grad():
        for row, reward in enumerate(REWARDS):
            v = _values(trainer.critic, batch, row).tolist()
            away = _logps(trainer.model, batch, row) - _logps(trainer.ref_model, batch, row)
            paid = [-0.5 * x for x in away.tolist()]
            paid[-1] += reward
            rest, found = 0.0, []
            for t in reversed(range(len(v))):
                rest = paid[t] + (v[t + 1] if t + 1 < len(v) else 0.0) - v[t] + 0.9 * rest
                found.insert(0, rest)
            values += v
            advantages += found
            to_go += [sum(paid[t:]) for t in range(len(v))]
            returns += [a + b for a, b in zip(found, v, strict=True)]
    live = batch["completion_mask"].bool()
    assert batch["values"][live].tolist() == pytest.approx(values, abs=1e-4)
    assert batch["to_go"][live].tolist() == pytest.approx(to_go, abs=1e-4)
    assert batch["returns"][live].tolist() == pytest.approx(returns, abs=1e-4)
    each = torch.tensor(advantages)
    white = (each - each.mean()) / (each.std() + 1e-4)
    assert batch["advantages"][live].tolist() == pytest.approx(white.tolist(), abs=1e-3)
    assert not batch["advantages"][~live].any() and max(map(abs, values)) > 0.1


@pytest.mark.parametrize("micro_batch_tokens", [40, 100_000])
def test_one_update_of_actor_and_critic(base, tokenizer, tmp_path, micro_batch_tokens):
    settings = dataclasses.replace(ONCE, micro_batch_tokens=micro_batch_tokens)
    trainer, batch = _rollout(base, tokenizer, tmp_path, settings)
    # As in a second pass: two of the values have moved past the clip on either side.
    batch["values"][:2] += torch.tensor([[2 * VALUE_CLIP], [-2 * VALUE_CLIP]])
    actor = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    surrogate, errors, before = [], [], []
    for row in range(4):
        length = int(batch["completion_mask"][row].sum())
        logp = _logps(actor, batch, row)
        surrogate.append(((logp - logp.detach()).exp() * batch["advantages"][row][:length]).mean())
        value, old = _values(trainer.critic, batch, row), batch["values"][row][:length]
        near = torch.minimum(torch.maximum(value, old - VALUE_CLIP), old + VALUE_CLIP)
        target = batch["returns"][row][:length]
        errors.append(torch.maximum((value - target) ** 2, (near - target) ** 2))
    loss = torch.cat(errors).mean() / 2
    parameters = [*trainer.critic.model.parameters()]
    before = [p.detach().clone() for p in parameters]
    expected = torch.autograd.grad(loss, parameters)
    (-torch.stack(surrogate).mean()).backward()
    trainer._prepare_inputs = lambda inputs: inputs
    trainer.training_step(trainer.model, batch)
    norm = torch.stack([p.grad.norm() for p in actor.parameters()]).norm()
    for ours, theirs in zip(trainer.model.parameters(), actor.parameters(), strict=True):
        assert (ours.grad - theirs.grad).norm() < 1e-4 * norm
    size = torch.stack([g.norm() for g in expected]).norm()
    for parameter, gradient in zip(parameters, expected, strict=True):
        clipped = gradient / max(1.0, size)
        assert (parameter.grad - clipped).norm() < 1e-4 * min(1.0, size)
    assert not any(torch.equal(p, q) for p, q in zip(parameters, before, strict=True))
    [found] = trainer._metrics["train"]["critic/value_loss"]
    assert found == pytest.approx(loss.item(), rel=1e-4)


def test_a_critic_learns_what_its_returns_are(base, tokenizer, tmp_path):
    trainer, batch = _rollout(base, tokenizer, tmp_path)
    critic = trainer.critic
    critic.factor = lambda update: 1.0
    figures = []
    for update in range(25):
        batch["values"], _ = critic.values(batch)
        figures.append(critic.learn(batch, update)[0])
    losses = [each["critic/value_loss"] for each in figures]
    assert losses[-1] < losses[0] / 20
    live = batch["completion_mask"].bool()
    left, whole = (batch["to_go"] - batch["values"])[live], batch["to_go"][live]
    explained = 1 - (left.var(unbiased=False) / whole.var(unbiased=False)).item()
    assert figures[-1]["critic/explained_variance"] == pytest.approx(explained, abs=1e-5)
    size = (batch["returns"] - batch["values"])[live].abs().mean().item()
    assert figures[-1]["critic/advantage_size"] == pytest.approx(size, rel=1e-5)
    held = [*critic.model.parameters(), *(p.grad for p in critic.model.parameters())]
    held += [x for state in critic.optimizer.state.values() for x in state.values()]
    assert sum(x.nbytes for x in held) == memory.critic(trainer.model.config, PLAIN_ENGINE)


def test_a_killed_run_continues_with_its_critic(base, tokenizer, tmp_path, monkeypatch):
    """Two passes over each generation, so that values are clipped and ratios have left 1."""
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(
        ONCE, objective=dataclasses.replace(PPO, passes=2), save_every=2, sample_every=1
    )
    straight = trained(base, tokenizer, tmp_path / "a", settings)
    with pytest.raises(Killed):
        trained(base, tokenizer, tmp_path / "b", settings, die_at=3)
    continued = trained(base, tokenizer, tmp_path / "b", settings)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], continued[0], strict=True))
    ends = [tmp_path / run / "checkpoints" / "checkpoint-4" for run in "ab"]
    one, other = ((end / WEIGHTS).read_bytes() for end in ends)
    assert one == other
    rows = straight[1]
    assert rows[0]["explained_variance"] == 0, "a critic that has learned nothing says 0"
    # The second pass over a generation has the returns of the first.
    assert rows[1]["value_loss"] < rows[0]["value_loss"]
    assert rows[3]["value_loss"] < rows[2]["value_loss"]
    assert [row["value_loss"] for row in continued[1]] == [row["value_loss"] for row in rows]
    for name in (WEIGHTS, OPTIMIZER):
        (ends[1] / name).unlink()
        with pytest.raises(R1ReproError, match="checkpoint-4 has no critic"):
            _built(base, tokenizer, tmp_path, settings)[0].critic.load(ends[1])
