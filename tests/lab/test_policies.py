import math

import pytest
import torch

from r1repro.lab import policies
from r1repro.training.objective import STD_FLOOR

RATIOS = [0.2, -0.4, 0.0, 0.5]


def test_the_table_has_every_method():
    found = policies.table()
    assert list(found.index) == ["SFT", "RFT", "DPO", "Online RFT", "PPO", "GRPO"]
    assert found.loc["RFT", "gradient coefficient"] == found.loc["Online RFT"].iloc[-1]
    assert found.loc["RFT", "completions"] != found.loc["Online RFT", "completions"]


def test_coefficients_by_hand():
    found = policies.by_hand([True, False, False, True], [2, 4, 30, 30], RATIOS, [0.5] * 4)
    assert found["SFT, if a person wrote it"].tolist() == [1] * 4
    assert found["RFT, offline or online"].tolist() == [1, 0, 0, 1]
    pair = 1 / (1 + math.exp(0.1 * 0.6))
    assert found["DPO"].tolist() == pytest.approx([pair, -pair, 0, 0])
    assert found["PPO, λ 1"].tolist() == [0.5, -0.5, -0.5, 0.5]
    faded = [0.5 * 0.95, -0.5 * 0.95**3, -0.5 * 0.95**29, 0.5 * 0.95**29]
    assert found["PPO, λ 0.95"].tolist() == pytest.approx(faded)
    one = 0.5 / (math.sqrt(1 / 3) + STD_FLOOR)
    expected = [
        a + 0.1 * (math.exp(-x) - 1) for a, x in zip([one, -one, -one, one], RATIOS, strict=True)
    ]
    assert found["GRPO, β 0.1"].tolist() == pytest.approx(expected)


def test_offline_and_online_start_alike_and_part():
    """d log-odds is p0 (1 - p) offline and p (1 - p) online."""
    found = policies.offline_and_online(updates=2)
    odds = math.log(0.1 / 0.9) + 0.5 * 0.1 * 0.9
    first = 1 / (1 + math.exp(-odds))
    assert found.loc[1, "RFT"] == found.loc[1, "Online RFT"] == pytest.approx(first)
    assert found.loc[2, "Online RFT"] > found.loc[2, "RFT"]
    again = 1 / (1 + math.exp(-(odds + 0.5 * 0.1 * (1 - first))))
    assert found.loc[2, "RFT"] == pytest.approx(again)
    assert found.loc[1, "GRPO"] > found.loc[1, "Online RFT"]


START, RIGHT = [0.05, 0.15, 0.3, 0.5], [True, True, False, False]


def test_every_sample_is_listed_once():
    """Two draws from three answers: six counts, and the policy's mean is the policy."""
    found = policies._samples(2, 3)
    assert sorted(map(tuple, found.tolist())) == [
        (0, 0, 2), (0, 1, 1), (0, 2, 0), (1, 0, 1), (1, 1, 0), (2, 0, 0)
    ]  # fmt: skip


def test_the_first_update_by_hand():
    """Two draws from two answers, p = 1/2: only a sample of one each moves, by sqrt(1/2) / 2.

    Advantages are 1/2 and -1/2 over sqrt(1/2), so each answer's logit moves by its half of that,
    and the gradient of log-odds is that of 2 logits.
    """
    found = policies.on_one_rollout(
        [0.5, 0.5], [True, False], {"any": 0.2}, size=2, updates=1, rate=1.0
    )["any"]
    advantage = 0.5 / (math.sqrt(0.5) + STD_FLOOR)
    odds = 2 * (0.5 * advantage)
    moved = 1 / (1 + math.exp(-odds))
    assert found["accuracy"][0] == pytest.approx(0.5)
    assert found["accuracy"][1] == pytest.approx(0.5 * moved + 0.5 * 0.5)
    assert found["largest ratio"][1] == pytest.approx(0.5 * moved / 0.5 + 0.5)


def test_a_narrow_clip_stops_and_a_wide_one_forgets():
    found = policies.on_one_rollout(START, RIGHT, {"narrow": 0.2, "wide": 10.0}, updates=40)
    narrow, wide, fresh = found["narrow"], found["wide"], found["fresh samples"]
    assert narrow["accuracy"].iloc[-1] == pytest.approx(narrow["accuracy"].iloc[-2], abs=1e-3)
    assert narrow["accuracy"].iloc[-1] < wide["accuracy"].iloc[-1]
    assert narrow["right answers"].iloc[-1] > wide["right answers"].iloc[-1]
    assert narrow["clipped"].iloc[-1] > wide["clipped"].iloc[-1] and not fresh["clipped"].any()
    for rows in found.values():
        assert rows["accuracy"][0] == pytest.approx(0.2)
        entropy = -0.25 * math.log(0.25) - 0.75 * math.log(0.75)
        assert rows["right answers"][0] == pytest.approx(math.exp(entropy))
    shown = policies.after(found, [1, 40])
    assert shown.loc[("wide", 40), "accuracy"] == wide["accuracy"].iloc[-1]


def test_fresh_samples_have_the_advantage_expected_over_every_sample():
    policy, right = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64), torch.tensor([1, 0, 0]) > 0
    counts = policies._samples(4, 3)
    chance = torch.distributions.Multinomial(4, probs=policy).log_prob(counts).exp()
    drawn = (counts / 4) * policies._advantages(counts / 4, right, 4, fresh=False)
    fresh = policy[None] * policies._advantages(policy[None], right, 4, fresh=True)
    assert torch.allclose((chance[:, None] * drawn).sum(0), fresh[0])
