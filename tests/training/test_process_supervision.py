"""Process supervision against values computed by hand."""

import math

import pytest
import torch

from r1repro.training import objective, process_supervision


def test_a_group_by_hand():
    """Two completions with steps 1, 0 and 1: mean 2/3, sample deviation sqrt(1/3).

    The first has steps ending at tokens 1 and 3, the second one step ending at token 0.
    """
    rewards = torch.tensor([[1.0, 0], [1, 99]], dtype=torch.float64)
    ends = torch.tensor([[1, 3], [0, -1]])
    std = math.sqrt(1 / 3) + objective.STD_FLOOR
    good, bad = (1 - 2 / 3) / std, (0 - 2 / 3) / std
    steps = process_supervision.normalized_steps(rewards, ends, 2)
    assert steps.flatten().tolist() == pytest.approx([good, bad, good, 0])
    found = process_supervision.process_advantages(rewards, ends, 2, tokens=5)
    assert found[0].tolist() == pytest.approx([good + bad, good + bad, bad, bad, 0])
    assert found[1].tolist() == pytest.approx([good, 0, 0, 0, 0])


def test_groups_do_not_mix():
    rewards = torch.tensor([[1.0], [0], [5], [5]])
    ends = torch.zeros(4, 1, dtype=torch.long)
    std = math.sqrt(0.5) + objective.STD_FLOOR
    found = process_supervision.process_advantages(rewards, ends, 2, tokens=1)[:, 0]
    assert found.tolist() == pytest.approx([0.5 / std, -0.5 / std, 0, 0])


def test_one_step_at_the_end_is_outcome_supervision():
    rewards = torch.tensor([1.0, 0, 0, 0, 1, 1, 0, 1])
    ends = torch.tensor([2, 0, 1, 2] * 2)[:, None]
    found = process_supervision.process_advantages(rewards[:, None], ends, 4, tokens=3)
    group = objective.group_advantages(rewards, 4)
    mask = torch.arange(3) <= ends
    assert torch.allclose(found, group[:, None] * mask)


def test_a_group_with_a_single_step_teaches_nothing():
    ends = torch.tensor([[0], [-1]])
    assert process_supervision.process_advantages(torch.ones(2, 1), ends, 2, 1).tolist() == [
        [0],
        [0],
    ]
