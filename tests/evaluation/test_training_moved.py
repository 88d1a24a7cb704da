import json
import math

import numpy as np
import pandas as pd
import pytest

from r1repro.evaluation import training_moved

NOISE = 0.05


def steps(rise: float = 0.0, count: int = 100, kl: float = 1e-5, seed: int = 0) -> pd.DataFrame:
    noise = np.random.default_rng(seed).normal(0, NOISE, count)
    return pd.DataFrame({
        "step": range(1, count + 1), "reward": 1.0 + np.linspace(0, rise, count) + noise,
        "reward_deviation": 0.5, "reward_accuracy": 0.5 + noise, "kl": kl,
    })  # fmt: skip


def test_a_reward_moves_by_more_than_its_noise_or_not_at_all():
    still = [training_moved.still(training_moved.facts(steps(seed=s), 0.1)) for s in range(200)]
    passed = np.mean([told == "" for told in still])
    assert passed <= 0.10, "about one in twenty that stands still is taken for one that moves"
    assert training_moved.still(training_moved.facts(steps(rise=0.2), 0.1)) == ""
    assert training_moved.still(training_moved.facts(steps(rise=-0.2), 0.1)) == "", (
        "a fall is a movement"
    )


def test_the_noise_is_that_of_the_steps_and_not_of_the_trend():
    flat, steep = (training_moved.curve(steps(rise)["reward"]) for rise in (0.0, 3.0))
    # of the difference of two means over twenty steps each
    assert flat.noise == pytest.approx(NOISE * (2 / 20) ** 0.5, rel=0.2)
    assert steep.noise == pytest.approx(flat.noise, rel=0.2)
    assert steep.change == pytest.approx(3.0 * 0.8, abs=0.1)


def test_kl_is_read_where_it_is_highest_since_a_new_reference_starts_at_zero():
    reset = steps().assign(kl=np.r_[np.linspace(0, 0.02, 80), np.full(20, 1e-6)])
    assert training_moved.facts(reset).kl == pytest.approx(0.0195, abs=5e-4)
    assert training_moved.still(training_moved.facts(reset, 0.1)) == ""
    spike = steps().assign(kl=np.r_[np.zeros(99), 0.004])
    assert training_moved.still(training_moved.facts(spike, 0.1)), "a single step is no policy"


def test_the_preference_is_that_of_the_general_prompts():
    late = np.r_[np.full(75, np.nan), np.full(25, 0.987)]
    table = steps().assign(
        reward_preference=np.r_[np.zeros(75), np.full(25, 0.49)], preference=late
    )
    found = training_moved.facts(table)
    assert found.curves["preference"].start == pytest.approx(0.987)
    assert training_moved.idle(found, "preference").endswith(
        "stands at 0.987 of 1 in its first 5 steps"
    )
    assert "deviation" not in found.curves and "accuracy" in found.curves
    assert "in fewer than 10 steps" in training_moved.idle(found, "language")


def test_fine_tuning_moves_with_its_loss():
    table = pd.DataFrame({"step": range(20), "loss": 1.2 * np.exp(-np.arange(20) / 8)})
    found = training_moved.facts(table, 0.3)
    assert found.learned == "loss" and math.isnan(found.kl) and training_moved.still(found) == ""
    assert "the weights by 0.001 %" in training_moved.still(training_moved.facts(table, 1e-5))
    flat = training_moved.still(training_moved.facts(table.assign(loss=1.2), 0.3))
    assert flat == "the weights by 30 %, the loss by +0, with a standard error of 0"


def test_facts_survive_the_disk(tmp_path):
    found = {
        "r1_zero": training_moved.facts(steps(), 0.1),
        "dev1": training_moved.facts(steps(count=4)),
    }
    training_moved.write(tmp_path / training_moved.FILE, found)
    assert "NaN" not in (tmp_path / training_moved.FILE).read_text()
    again = training_moved.read(tmp_path / training_moved.FILE)
    assert again["r1_zero"] == found["r1_zero"]
    assert math.isnan(again["dev1"].weights) and again["dev1"].curves == {}
    assert training_moved.still(again["dev1"]) == "the reward was logged in fewer than 10 steps"


def test_a_result_without_the_file_tells_nothing_of_its_weights(tmp_path):
    assert math.isnan(training_moved.weights_of(tmp_path))
    (tmp_path / training_moved.FILE).write_text(json.dumps({"weights": 0.25}))
    assert training_moved.weights_of(tmp_path) == 0.25
