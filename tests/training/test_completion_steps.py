"""Process supervision in the trainer: which lines are steps, and the tokens at which they end."""

import dataclasses

import pytest
import torch

from r1repro.config import ObjectiveConfig
from r1repro.rewards import rule_rewards
from r1repro.rewards.steps import line_ends, read_steps
from r1repro.training import completion_steps
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, _built, trained


def test_a_step_is_a_line_with_an_equation_and_is_paid_if_it_holds():
    text = (
        "<think>I start with the first.\n12+5=17\n17-8=10\n17-15=2, no\n15-15=0, no\n"
        "9+1=10 and 4\n</think>\n<answer>9</answer>\n1+1=2"
    )
    found = [(step.line, step.reward) for step in read_steps(text)]
    assert found == [(1, 1.0), (2, 0.0), (3, 1.0), (4, 0.0), (5, 0.0)]
    assert read_steps("no step") == read_steps("") == []


def test_a_beginning_ends_with_its_step_and_holds_no_answer():
    found = [
        step.beginning for step in read_steps("<think>5+2=7\nso\n7-3=4</think><answer>4</answer>")
    ]
    assert found == ["5+2=7", "5+2=7\nso\n7-3=4"]


def test_a_line_ends_in_the_token_with_its_break():
    assert line_ends(["1", "+1=2", "\n3", "=3", "\n\n", "x"]) == [2, 4, 4]
    assert line_ends([]) == line_ends(["x"]) == []


def _batch(tokenizer, texts):
    rows = [tokenizer.encode(text) for text in texts]
    width = max(map(len, rows))
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows])
    return {"completion_ids": ids, "completion_mask": mask}, rows


def test_advantages_of_a_group_by_hand(tokenizer):
    """Steps 1 and 0 and the outcome 2, beside an outcome of 0 alone: mean 3/4."""
    first, second, rest = "1+1=2\n", "2+1=4\n", "<answer>4</answer>"
    batch, rows = _batch(tokenizer, [first + second + rest, "计算"])
    found, read = completion_steps.advantages(torch.tensor([2.0, 0.0]), batch, tokenizer, 2)
    assert read == 0
    each = torch.tensor([1.0, 0, 2, 0])
    one, two, outcome, other = ((each - 0.75) / (each.std() + 1e-4)).tolist()
    a, b = len(tokenizer.encode(first)), len(tokenizer.encode(first + second))
    assert len(rows[0]) > b > a
    by_hand = [one + two + outcome] * a + [two + outcome] * (b - a)
    assert found[0].tolist() == pytest.approx(by_hand + [outcome] * (len(rows[0]) - b), abs=1e-5)
    short = len(rows[1])
    assert found[1].tolist() == pytest.approx([other] * short + [0] * (len(rows[0]) - short))


def test_a_judge_rewards_every_step_but_the_outcome(tokenizer):
    first, second, rest = "1+1=2\n", "2+1=4\n", "<answer>4</answer>"
    batch, _ = _batch(tokenizer, ["计算", first + second + rest])
    asked = []

    def judge(given):
        asked.extend(given)
        return [0.25, 0.5], 9

    rewards = torch.tensor([0.0, 2.0])
    found, read = completion_steps.advantages(rewards, batch, tokenizer, 2, ["one", "other"], judge)
    assert read == 9 and asked == [("other", "1+1=2"), ("other", "1+1=2\n2+1=4")]
    each = torch.tensor([0.25, 0.5, 2, 0])
    by_hand = ((each - each.mean()) / (each.std() + 1e-4)).tolist()
    assert found[1, 0].item() == pytest.approx(sum(by_hand[:3]), abs=1e-5)
    assert found[0, 0].item() == pytest.approx(by_hand[3], abs=1e-5)
    with pytest.raises(ValueError, match="shorter"):
        completion_steps.advantages(rewards, batch, tokenizer, 2, ["1", "2", "3"], judge)
    for paid in ([0.1], [0.1, 0.2, 0.3]):
        with pytest.raises(ValueError, match=f"{len(paid)} rewards for 2 steps"):
            completion_steps.advantages(
                rewards, batch, tokenizer, 2, ["one", "other"], lambda given, paid=paid: (paid, 0)
            )


def test_without_steps_it_is_outcome_supervision(base, tokenizer, tmp_path):
    settings = dataclasses.replace(SETTINGS, objective=ObjectiveConfig(advantage="process"))
    trainer, _ = _built(base, tokenizer, tmp_path, settings)
    rewards = [1.0, 0.0, 0.0, 2.0]
    trainer.reward_funcs = [
        lambda completions, **columns: rewards,
        lambda completions, **columns: [0.0] * 4,
    ]
    trainer.model.train()
    batch = trainer._generate_and_score_completions([trainer.train_dataset[0]] * 4)
    each = torch.tensor(rewards)
    group = (each - each.mean()) / (each.std() + 1e-4)
    mask = batch["completion_mask"]
    assert torch.allclose(batch["advantages"], group[:, None] * mask, atol=1e-5)


def test_a_run_by_steps_moves_every_weight(base, tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(rule_rewards, "accuracy", by_length)
    settings = dataclasses.replace(
        SETTINGS, steps=2, sample_every=1, objective=ObjectiveConfig(advantage="process")
    )
    starts = []
    weights, rows, samples = trained(
        base, tokenizer, tmp_path, settings,
        watch=lambda model: starts.extend(p.detach().clone() for p in model.parameters()),
    )  # fmt: skip
    assert not any(torch.equal(x, y) for x, y in zip(weights, starts, strict=True))
    assert len(rows) == 2 and samples and "advantage" not in samples[0]
