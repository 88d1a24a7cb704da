import itertools
import math

import pytest
import torch

from r1repro.lab import advantages
from r1repro.training import objective


@pytest.mark.parametrize("kind", ["group", "centred", "reward"])
def test_expected_advantages_are_means_over_all_groups(kind):
    """Every group of three answers, listed."""
    p, seen = 0.3, {0.0: [0.0, 0.0], 1.0: [0.0, 0.0]}
    for rewards in itertools.product([0.0, 1.0], repeat=3):
        chance = math.prod(p if r else 1 - p for r in rewards)
        rewards = torch.tensor(rewards, dtype=torch.float64)
        for own, found in zip(rewards, objective.advantages_of(rewards, 3, kind), strict=True):
            seen[own.item()][0] += chance * found.item()
            seen[own.item()][1] += chance
    expected = [total / chance for total, chance in seen.values()]
    assert advantages.expected_advantages(p, 3, kind) == pytest.approx(expected)


def test_a_group_by_hand():
    found = advantages.group_by_hand([1, 0, 0, 1, 0, 0], [2, 8, 2, 6, 4, 2])
    std = math.sqrt(4 / 15) + objective.STD_FLOOR
    assert found["r − mean"].tolist() == pytest.approx([2 / 3, *[-1 / 3] * 2, 2 / 3, *[-1 / 3] * 2])
    assert found["a token, by 1/|o|"][1] == pytest.approx(-1 / 3 / std / 8)
    assert found["a token, by the cap"][2] == pytest.approx(-1 / 3 / std / 8)


def test_only_the_mean_over_a_completion_changes_lengths_that_pay_nothing():
    found = advantages.lengths(updates=40)
    shown = advantages.ends(found)
    change = shown.drop("before") - shown.loc["before"]
    for name in ("GRPO without 1/|o|", "Dr. GRPO"):
        for column in ("right", "wrong"):
            assert abs(change.loc[name, column]) < 1e-9, name
    for name in ("GRPO", "GRPO without the deviation"):
        assert change.loc[name, "wrong"] > 0.01 and change.loc[name, "right"] < -0.01, name
    assert len(change) == len(found) == 4 and (change["accuracy"] > 0.01).all()
    assert shown.loc["before", "accuracy"] == pytest.approx(0.2)
    assert shown.loc["GRPO", "wrong"] == found["GRPO"]["wrong"].iloc[-1]


def test_difficulty_by_the_formula():
    """Without the deviation p (1 - p); with it its root, where groups are large."""
    found = advantages.by_difficulty([0.1, 0.5], group_size=200)
    assert found.loc[0.1, "without"] == pytest.approx(0.09 / 0.25)
    assert found.loc[0.1, "with the deviation"] == pytest.approx(math.sqrt(0.09 / 0.25), rel=0.01)


def test_steps_by_hand():
    """Rewards 1, 1, 0, 1, 1, 0, 1, 1: mean 3/4, sample deviation sqrt(1.5 / 7)."""
    texts = ["12+5=17\n17-8=9", "12+5=18\n18-8=10", "12+5=17\n17-8=11", "12-8=4\n4+5=9"]
    found = advantages.steps_by_hand(texts, [True, False, False, True])
    std = math.sqrt(1.5 / 7) + objective.STD_FLOOR
    good, bad = 0.25 / std, -0.75 / std
    assert found["reward of the step"].tolist() == [1, 1, 0, 1, 1, 0, 1, 1]
    assert found["process: sum from here on"].tolist() == pytest.approx(
        [2 * good, good, good + bad, good, good + bad, bad, 2 * good, good]
    )
    outcome = 0.5 / (math.sqrt(1 / 3) + objective.STD_FLOOR)
    assert found["outcome"].tolist() == pytest.approx(
        [outcome] * 2 + [-outcome] * 4 + [outcome] * 2
    )
