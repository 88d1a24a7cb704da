"""The worked example agrees with the functions of the objective."""

import dataclasses

import torch
from transformers import Qwen3ForCausalLM

from r1repro.rewards import rule_rewards
from r1repro.tasks import mini_world, templates
from r1repro.training import objective, worked_group
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS


def test_a_group_is_rewarded_and_updates_the_policy_once(base, tokenizer, monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(SETTINGS, generations=6, lr_matrices=1e-3, lr_rest=1e-3)
    problems = mini_world.build(0, 20, 20).validation
    policy, reference = (Qwen3ForCausalLM.from_pretrained(base) for _ in range(2))
    group = worked_group.work(
        policy, reference, tokenizer, problems, templates.asked("mini"), settings
    )
    paid = torch.tensor(group.rewards["accuracy"]) + torch.tensor(group.rewards["format"])
    assert torch.equal(group.advantages_K, objective.group_advantages(paid, 6))
    assert group.problem == problems[0]
    assert group.advantages_K.any() and len(group.completions()) == 6
    # The policy equals the reference before the update and differs from it after.
    kept = group.mask_K_T.bool()
    assert torch.allclose(group.before_K_T[kept], group.reference_K_T[kept], atol=1e-5)
    assert (group.after_K_T - group.before_K_T)[kept].abs().max() > 1e-4
    better = group.advantages_K == group.advantages_K.max()
    moved = ((group.after_K_T - group.before_K_T) * group.mask_K_T).sum(1)
    assert moved[better].mean() > moved[~better].mean()
    shown = group.tokens_of(0, settings.epsilon)
    assert "".join(shown["token"]).strip() and (shown["KL to the reference (k3)"] < 1e-6).all()
    assert (shown["ratio"] - 1).abs().max() > 1e-4


def test_groups_of_equal_rewards_are_passed_over_before_the_one_update(
    base, tokenizer, monkeypatch
):
    asked: list[str] = []

    def second(completions, **columns):
        asked.append(columns["problem_id"][0])
        return [float(len(asked) == 2 and i == 0) for i in range(len(completions))]

    monkeypatch.setattr(rule_rewards, "accuracy", second)
    settings = dataclasses.replace(SETTINGS, generations=4, format_weight=0.0)
    problems = mini_world.build(0, 20, 20).validation[:4]
    policy, reference = (Qwen3ForCausalLM.from_pretrained(base) for _ in range(2))
    form = templates.asked("mini")
    group = worked_group.work(policy, reference, tokenizer, problems, form, settings)
    assert group.problem == problems[1] and len(asked) == 2
    moved = (group.after_K_T - group.before_K_T)[group.mask_K_T.bool()]
    assert moved.abs().max() > 0
    # With none among the problems, the last one's group is shown, whose advantages are zero.
    alike = worked_group.work(policy, reference, tokenizer, problems[2:], form, settings)
    assert alike.problem == problems[3] and not alike.advantages_K.any()
