"""The configured trainer against the paper's formula, written out in float64.

DeepSeekMath Eq. 3 (token-level, mean over a completion's tokens, then over completions; KL inside
the sum) and Eq. 4 (k3), with TRL's advantage (r - mean) / (sample std + 1e-4).
"""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3ForCausalLM

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, RLConfig
from r1repro.errors import R1ReproError
from r1repro.rewards import rule_rewards
from r1repro.stages import rl as stage
from r1repro.stages.models import load_trained
from r1repro.tasks import mini_world
from r1repro.tasks.problem import Problem
from r1repro.training import rl, snapshots
from r1repro.training.logprobs import token_logps
from tests.laptop import laptop
from tests.length_rewarded import by_length

SETTINGS = laptop(
    RLConfig,
    # A random model would earn no reward.
    format_of_right=False,
    steps=4,
    questions=4,
    generations=4,
    max_completion_tokens=12,
    beta=0.04,
    epsilon=0.2,
    steps_per_generation=2,
    save_every=2,
    micro_batch_tokens=100,
)


def _trainer(base, tokenizer, folder, settings):
    return _built(base, tokenizer, folder, settings)[0]


def _built(base, tokenizer, folder, settings):
    model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32)
    world = mini_world.build(0, 20, 20)
    problems = [p for p, _ in zip(world.train(0), range(16), strict=False)]
    return rl.build(model, tokenizer, problems, settings, template="mini", seed=0, folder=folder)


def _ragged_batch(tokenizer, rows=16, prompt=9, completion=12):
    """Off-policy inputs of `_compute_loss`: ragged on both sides, in float32."""
    generator = torch.Generator().manual_seed(1)
    ids = lambda width: torch.randint(2, len(tokenizer), (rows, width), generator=generator)  # noqa: E731
    p_lengths = torch.randint(2, prompt + 1, (rows,), generator=generator)
    c_lengths = torch.randint(1, completion + 1, (rows,), generator=generator)
    rewards = torch.randint(0, 3, (rows // 4, 4), generator=generator).float()
    rewards[0] = 1.0  # zero-variance group
    noise = lambda: torch.randn(rows, completion, generator=generator) * 0.5 - 7.0  # noqa: E731
    return {
        "prompt_ids": ids(prompt),
        "prompt_mask": (torch.arange(prompt) >= prompt - p_lengths[:, None]).long(),
        "completion_ids": ids(completion),
        "completion_mask": (torch.arange(completion) < c_lengths[:, None]).long(),
        "advantages": (
            (rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)
        ).flatten(),
        "old_per_token_logps": noise(),
        "ref_per_token_logps": noise(),
        "num_items_in_batch": torch.tensor(float(c_lengths.sum())),
    }, rewards


def _paper_loss(model, batch, rewards, beta, epsilon):
    """Eq. 3 row by row, no batching, no padding, float64."""
    std = torch.stack([((g - g.mean()) ** 2).sum() / (len(g) - 1) for g in rewards.double()])
    advantage = (rewards.double() - rewards.double().mean(1, keepdim=True)) / (
        std.sqrt()[:, None] + 1e-4
    )
    total = torch.zeros((), dtype=torch.float64)
    for row, a in enumerate(advantage.flatten()):
        prompt = batch["prompt_ids"][row][batch["prompt_mask"][row].bool()]
        said = batch["completion_ids"][row][batch["completion_mask"][row].bool()]
        logits = model(torch.cat([prompt, said])[None]).logits[0, len(prompt) - 1 : -1]
        logp = logits.log_softmax(-1).gather(1, said[:, None])[:, 0]
        old = batch["old_per_token_logps"][row][: len(said)].double()
        reference = batch["ref_per_token_logps"][row][: len(said)].double()
        ratio = (logp - old).exp()
        clipped = ratio.clamp(1 - epsilon, 1 + epsilon)
        surrogate = torch.minimum(ratio * a, clipped * a)
        kl = (reference - logp).exp() - (reference - logp) - 1
        total += (surrogate - beta * kl).mean()
    return -total / len(advantage.flatten())


@pytest.mark.parametrize("beta", [0.04, 0.0])
@pytest.mark.parametrize("micro_batch_tokens", [60, 100_000])
def test_loss_and_gradient_equal_the_paper(base, tokenizer, tmp_path, beta, micro_batch_tokens):
    settings = dataclasses.replace(SETTINGS, beta=beta, micro_batch_tokens=micro_batch_tokens)
    trainer = _trainer(base, tokenizer, tmp_path, settings)
    batch, rewards = _ragged_batch(tokenizer)
    model = trainer.model
    model.train()
    trainer.current_gradient_accumulation_steps = 1
    trainer._prepare_inputs = lambda inputs: inputs
    loss = trainer.training_step(model, batch)
    exact = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float64)
    expected = _paper_loss(exact, batch, rewards, beta, settings.epsilon)
    expected.backward()
    assert abs(loss.item() - expected.item()) < 1e-5 * max(1, abs(expected.item()))
    ratios = [v for v in trainer._metrics["train"]["clip_ratio/region_mean"]]
    assert ratios[-1] > 0, "the batch must be off-policy enough to clip"
    norm = torch.stack([p.grad.norm() for p in exact.parameters()]).norm()
    for (name, ours), theirs in zip(model.named_parameters(), exact.parameters(), strict=True):
        assert (ours.grad.double() - theirs.grad).norm() < 1e-5 * norm, name


def test_advantages_of_the_trainer_as_configured(base, tokenizer, tmp_path):
    """(r - mean) / (sample std + 1e-4) of accuracy + format, over each group of four."""
    trainer, recorder = _built(
        base, tokenizer, tmp_path, dataclasses.replace(SETTINGS, sample_every=1)
    )
    rewards = iter([1.0, 0.0, 0.0, 0.0] * 2 + [1.0] * 4 + [0.0, 1.0, 1.0, 0.0] * 5)
    shapes = iter([0.0, 1.0, 0.0, 0.0] * 8)
    trainer.reward_funcs = [
        lambda completions, **columns: [next(rewards) for _ in completions],
        lambda completions, **columns: [next(shapes) for _ in completions],
    ]
    trainer.model.train()
    row = trainer.train_dataset[0]
    found = trainer._generate_and_score_completions([row] * 12)["advantages"]
    accuracy = torch.tensor([[1.0, 0, 0, 0], [1.0, 0, 0, 0], [1.0, 1, 1, 1]], dtype=torch.float64)
    reward = accuracy + torch.tensor([0.0, 1, 0, 0])
    centred = reward - reward.mean(1, keepdim=True)
    std = (centred.square().sum(1, keepdim=True) / 3).sqrt()
    assert torch.allclose(found.double(), (centred / (std + 1e-4)).flatten(), atol=1e-5)


def test_reference_logps_do_not_depend_on_micro_batches(base, tokenizer, tmp_path):
    trainer = _trainer(base, tokenizer, tmp_path, SETTINGS)
    batch, _ = _ragged_batch(tokenizer)
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    with torch.no_grad():
        ours, entropy, _ = trainer._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, 12, compute_entropy=True
        )
        theirs, their_entropy, _ = super(type(trainer), trainer)._get_per_token_logps_and_entropies(
            trainer.model, ids, mask, 12, compute_entropy=True
        )
    keep = batch["completion_mask"].bool()
    assert torch.allclose(ours[keep], theirs[keep], atol=1e-5)
    assert torch.allclose(entropy[keep], their_entropy[keep], atol=1e-5)


def test_same_seed_same_weights_and_a_broken_run_continues_to_them(
    base, tokenizer, tmp_path, monkeypatch
):
    """Covers a reference sync (every 2 steps) and off-policy halves of a rollout."""
    # A random model earns no rule reward, so its weights would not move.
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(
        SETTINGS, steps=6, reference_sync_steps=2, save_every=2, sample_every=1, snapshot_every=2
    )
    straight = trained(base, tokenizer, tmp_path / "a", settings)
    again = trained(base, tokenizer, tmp_path / "b", settings)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], again[0], strict=True))
    # The same run, killed after step 5 and resumed from step 4.
    with pytest.raises(Killed):
        trained(base, tokenizer, tmp_path / "c", settings, die_at=5)
    continued = trained(base, tokenizer, tmp_path / "c", settings)
    assert all(torch.equal(x, y) for x, y in zip(straight[0], continued[0], strict=True))
    pd.testing.assert_frame_equal(plain(continued[1]), plain(straight[1]))
    pd.testing.assert_frame_equal(pd.DataFrame(continued[2]), pd.DataFrame(straight[2]))
    start = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32).parameters()
    assert not any(torch.equal(x, y) for x, y in zip(straight[0], start, strict=True))
    # The policies kept on the way, without the last one, which is the result.
    kept = [snapshots.of(tmp_path / run) for run in ("a", "c")]
    assert [*kept[0]] == [*kept[1]] == [2, 4]
    for one, other in zip(kept[0].values(), kept[1].values(), strict=True):
        names = [Qwen3ForCausalLM.from_pretrained(place).parameters() for place in (one, other)]
        assert all(torch.equal(x, y) for x, y in zip(*names, strict=True))


def test_what_is_said_does_not_depend_on_how_many_rows_are_sampled_at_a_time(
    base, tokenizer, tmp_path
):
    found = []
    for most in (2_048, 8, 5, 1):
        settings = dataclasses.replace(SETTINGS, rollout_batch=most)
        trainer = _trainer(base, tokenizer, tmp_path / str(most), settings)
        prompts = [row["prompt"] for row in trainer.train_dataset][:4]
        rows = [prompt for prompt in prompts for _ in range(settings.generations)]
        found.append(trainer.rollout_func(rows, trainer)["completion_ids"])
    assert found[0] == found[1] == found[2] == found[3] and len(found[0]) == 16
    parts = [
        dataclasses.replace(SETTINGS, rollout_batch=n).rollout_parts(16) for n in (16, 9, 8, 1)
    ]
    assert SETTINGS.generations == 4 and parts == [1, 2, 2, 4]


def test_ending_early_is_no_result(base, tokenizer, tmp_path):
    """TRL drops an incomplete rollout batch; the untrained policy must not pass as trained."""
    settings = dataclasses.replace(SETTINGS, steps=1, questions=32, steps_per_generation=2)
    with pytest.raises(R1ReproError, match="ended after 0 of 1 steps"):
        trained(base, tokenizer, tmp_path / "a", settings)


def test_learning_rate_is_warmed_up_held_and_lowered_to_a_tenth():
    rates = [rl.schedule(step, 100) for step in range(101)]
    assert rates[0] == 1 / rl.WARMUP_STEPS and rates[rl.WARMUP_STEPS - 1] == 1
    assert set(rates[rl.WARMUP_STEPS : 61]) == {1.0}
    assert rates[60:] == sorted(rates[60:], reverse=True)
    assert rates[80] == pytest.approx(0.55) and rates[100] == pytest.approx(0.1)


def plain(rows):
    """The rows without timings."""
    clocks = ("seconds", "seconds_rollout", "seconds_reference", "seconds_update", "tokens_per_s")
    return pd.DataFrame(rows).drop(columns=list(clocks))


class Killed(Exception):
    pass


def trained(base, tokenizer, folder, settings, die_at=None, engine=PLAIN_ENGINE, watch=None):
    class Mortal(Progress):
        writes = True

        def update(self, step, total, **figures):
            if step == die_at:
                raise Killed

    folder.mkdir(exist_ok=True)
    model = load_trained(base, engine, 0)
    if watch is not None:
        watch(model)
    problems = [p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(24), strict=False)]
    rows, samples = rl.train(
        model,
        tokenizer,
        problems,
        settings,
        template="mini",
        seed=0,
        folder=folder,
        progress=Mortal(None),
        engine=engine,
    )
    return [p.detach().clone() for p in model.parameters()], rows, samples


def paid_for(recorder, texts, step=0):
    """Rewards of these texts by each reward function, in groups of SETTINGS."""
    problem = Problem("p", "arithmetic", "en", 1, "1+1", "2")
    columns = {
        name: [value] * len(texts) for name, value in rule_rewards.columns_of(problem).items()
    }
    columns |= {"completion_ids": [[1]] * len(texts), "prompts": ["p"] * len(texts)}
    state = SimpleNamespace(global_step=step)
    return [f(texts, trainer_state=state, **columns) for f in recorder.reward_functions()]


RIGHT, WRONG, NOTHING = (
    "<think>x</think><answer>2</answer>", "<think>x</think><answer>3</answer>", "nothing",
)  # fmt: skip


def test_permuted_rewards_stay_in_their_groups(base, tokenizer, tmp_path):
    """Each group keeps its reward pairs, permuted by group and step."""
    recorder = _built(base, tokenizer, tmp_path, SETTINGS)[1]
    groups = [[RIGHT, WRONG, NOTHING, NOTHING]] * 6 + [[RIGHT] * 4, [NOTHING] * 4]
    texts = [text for group in groups for text in group]
    plain = paid_for(recorder, texts)
    assert paid_for(recorder, texts, step=1) == plain
    recorder.permuted = 7
    first, other = paid_for(recorder, texts), paid_for(recorder, texts, step=1)
    assert first == paid_for(recorder, texts) and first != plain and first != other
    by_group = [np.array(rewards).T.reshape(8, 4, 2) for rewards in (plain, first, other)]
    for found in by_group[1:]:
        for before, after in zip(by_group[0], found, strict=True):
            # All reward functions use the same permutation, so pairs stay together.
            assert sorted(map(tuple, after)) == sorted(map(tuple, before))
        assert (found[6:].std(axis=1) == 0).all(), "paid alike, they have no advantage still"
        assert found.mean(axis=1) == pytest.approx(by_group[0].mean(axis=1))
    assert len({tuple(map(tuple, group)) for group in by_group[1][:6]}) > 1, "not one order for all"
    assert recorder.batch["correct"].tolist() == [text == RIGHT for text in texts]


def test_permuted_rewards_do_not_depend_on_how_many_processes_share_the_batch():
    whole = rl.within_groups(32, 4, (7, 3))
    halves = [rl.within_groups(16, 4, (7, 3), process) for process in (0, 1)]
    assert whole == halves[0] + [16 + row for row in halves[1]]
    assert sorted(whole) == list(range(32)) and whole != sorted(whole)
    assert [row // 4 for row in whole] == [row // 4 for row in range(32)]
    assert whole != rl.within_groups(32, 4, (8, 3)), "another seed, another order"


def test_format_alone_is_paid_for_and_accuracy_still_measured(
    base, tokenizer, tmp_path, monkeypatch, compose
):
    """The control stage otherwise equals R1-Zero's and starts from the base."""
    asked = {}
    monkeypatch.setattr(stage, "train", lambda *args, **more: asked.update(args=args, more=more))
    config = compose()
    stage.r1_zero_format_only(config, {"base": "the base"}, tmp_path, None)
    _, name, start, settings, *_ = asked["args"]
    assert (name, start, asked["more"]) == ("r1_zero", "the base", {})
    assert settings == dataclasses.replace(
        config.stage.r1_zero, accuracy_weight=0.0, format_of_right=False, snapshot_every=0
    )
    assert rl.weights(settings) == {"accuracy": 0.0, "format": 1.0}

    only = dataclasses.replace(SETTINGS, accuracy_weight=0.0)
    trainer, recorder = _built(base, tokenizer, tmp_path, only)
    texts = [RIGHT, WRONG, NOTHING, RIGHT] * 4
    rewards = torch.tensor(paid_for(recorder, texts)).T
    paid = (rewards * trainer.reward_weights).sum(dim=1)
    assert paid.tolist() == [1.0, 1.0, 0.0, 1.0] * 4, "right and wrong are paid alike"
    assert recorder.batch["correct"].sum() == 8


@pytest.mark.parametrize("architecture", ["qwen3", "llama"])
def test_a_shared_prompt_read_once_gives_the_same_gradients(base, architecture):
    if architecture == "qwen3":
        model = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float64)
    else:
        torch.manual_seed(0)
        sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
        heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 200}
        model = LlamaForCausalLM(LlamaConfig(**sizes, **heads)).double()
    model.train()
    generator = torch.Generator().manual_seed(0)
    vocabulary, groups, rows, prompt, said = 200, 3, 12, 5, 7
    prompts = torch.randint(2, vocabulary, (groups, prompt), generator=generator)
    padding = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1], [0, 1, 1, 1, 1]])
    of = torch.randint(0, groups, (rows,), generator=generator)
    ids = torch.cat(
        [prompts[of], torch.randint(2, vocabulary, (rows, said), generator=generator)], 1
    )
    lengths = torch.randint(1, said + 1, (rows,), generator=generator)
    mask = torch.cat([padding[of], (torch.arange(said) < lengths[:, None]).long()], 1)
    labels, kept = ids[:, -said:], mask[:, -said:]
    signs = torch.linspace(-1, 1, labels.numel()).view_as(labels)

    def gradients(logps):
        model.zero_grad()
        (logps * signs).sum().backward()
        return [p.grad.clone() for p in model.parameters()]

    head = model.get_output_embeddings()
    shared, _, read = token_logps(model.base_model, head, ids, mask, said, 1.0, with_entropy=False)
    logits = model(ids, attention_mask=mask).logits[:, :-1][:, -said:]
    apart = logits.log_softmax(-1).gather(2, labels[:, :, None])[:, :, 0] * kept
    assert torch.allclose(shared, apart, atol=1e-6)  # transformers normalizes in float32
    assert read == padding[of.unique()].sum() + kept[:, :-1].sum()
    for one, other in zip(gradients(shared), gradients(apart), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_rl_to_a_plateau_stops_where_it_gains_no_more(base, tokenizer, tmp_path, monkeypatch):
    """At the first step whose window gains less than PLATEAU_GAIN over the previous one."""
    assert not rl.is_plateau([0.5] * 79), "two whole windows are needed"
    assert rl.is_plateau([0.5] * 80)
    assert rl.is_plateau([0.9] * 40 + [0.1] * 40), "falling is no gain"
    assert not rl.is_plateau([0.5] * 40 + [0.506] * 40)
    assert rl.is_plateau([0.1] * 300 + [0.5] * 40 + [0.504] * 40)
    monkeypatch.setattr(rl, "PLATEAU_WINDOW", 2)
    monkeypatch.setattr(rl, "PLATEAU_GAIN", 2.0)  # more than pass@1 can gain
    rows = _plateau_run(base, tokenizer, tmp_path / "stops")
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    monkeypatch.setattr(rl, "PLATEAU_GAIN", -2.0)
    assert len(_plateau_run(base, tokenizer, tmp_path / "never")) == 6


def _plateau_run(base, tokenizer, folder):
    folder.mkdir()
    model = load_trained(base, PLAIN_ENGINE, 0)
    problems = [p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(24), strict=False)]
    settings = dataclasses.replace(SETTINGS, steps=6, steps_per_generation=1)
    return rl.train(
        model, tokenizer, problems, settings, template="mini", seed=0, folder=folder,
        progress=Progress(None), plateau=True,
    )[0]  # fmt: skip
