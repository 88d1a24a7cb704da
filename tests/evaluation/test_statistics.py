from itertools import combinations

import numpy as np
import pytest

from r1repro.errors import R1ReproError
from r1repro.evaluation.statistics import (
    cons_at_k,
    interval,
    pass_at_k,
    resampled_ratios,
    unanimous_bound,
    widen_unanimous,
    widen_unanimous_change,
)


@pytest.mark.parametrize(
    ("n", "c", "k", "expected"),
    [
        (16, 4, 1, 0.25),
        (16, 0, 16, 0.0),
        (16, 1, 16, 1.0),
        (4, 2, 2, 5 / 6),
        (5, 1, 2, 0.4),
        (200, 20, 10, 1 - np.prod([(180 - i) / (200 - i) for i in range(10)])),
    ],
)
def test_pass_at_k_known_values(n, c, k, expected):
    assert pass_at_k(n, c, k) == pytest.approx(expected)


def test_pass_at_k_is_the_mean_over_all_choices():
    right = [True, False, False, True, False, False]
    for k in range(1, 7):
        chosen = [any(s) for s in combinations(right, k)]
        assert pass_at_k(6, 2, k) == pytest.approx(np.mean(chosen))


@pytest.mark.parametrize(("n", "c", "k"), [(4, 1, 5), (4, 5, 1), (4, -1, 1), (4, 1, 0)])
def test_pass_at_k_refuses_what_cannot_be(n, c, k):
    with pytest.raises(R1ReproError, match=f"pass@{k} needs"):
        pass_at_k(n, c, k)


@pytest.mark.parametrize(
    ("answers", "correct", "score"),
    [
        (["7", "7", "8"], [True, True, False], 1.0),
        (["7", "8", "8"], [True, False, False], 0.0),
        (["7", "8"], [True, False], 0.5),  # a tie: what drawing one at random gives
        (["7", "8", "9"], [False, True, False], 1 / 3),
        ([None, None, "7"], [False, False, True], 1.0),  # no answer, no vote
        ([None, ""], [False, False], 0.0),
        ([" 7", "7 ", "8"], [True, True, False], 1.0),
    ],
)
def test_majority_vote(answers, correct, score):
    assert cons_at_k(answers, correct) == pytest.approx(score)


def _interval(values, draws=800, seed=0):
    """The interval of a mean over problems, as `metrics.summarize` builds it."""
    low, high = interval(resampled_ratios(values[:, None], np.ones((len(values), 1)), draws, seed))
    return low[0], high[0]


def _coverage(make, times=300):
    inside = 0
    for seed in range(times):
        values, truth = make(np.random.default_rng(seed))
        low, high = _interval(values, seed=seed)
        inside += low <= truth <= high
    return inside / times


def _problems(random, problems=60, samples=16):
    chance = random.beta(0.5, 0.5, problems)  # mean one half, problems differ much
    return random.random((problems, samples)) < chance[:, None]


def test_interval_over_problems_holds_the_truth_as_often_as_it_says():
    coverage = _coverage(lambda r: (_problems(r).mean(1), 0.5))
    assert 0.91 <= coverage <= 0.98


def test_interval_over_samples_would_be_too_narrow():
    # the mistake that the one above must not make: this is what shows that the test can fail
    assert _coverage(lambda r: (_problems(r).ravel().astype(float), 0.5)) < 0.7


def test_unanimous_problems_do_not_claim_certainty():
    assert widen_unanimous(1.0, 1.0, 1.0, 1.0, 60) == (pytest.approx(0.025 ** (1 / 60)), 1.0)
    assert widen_unanimous(0.0, 0.0, 0.0, 0.0, 60) == (0.0, pytest.approx(unanimous_bound(60)))
    assert widen_unanimous(0.2, 0.4, 0.0, 1.0, 60) == (0.2, 0.4)
    low, high = widen_unanimous_change(0.0, 60)
    assert low == pytest.approx(-unanimous_bound(60)) and high == pytest.approx(unanimous_bound(60))


def test_same_seed_same_interval_and_no_values_no_interval():
    values = np.random.default_rng(3).random(50)
    assert _interval(values, seed=1) == _interval(values, seed=1)
    assert _interval(values, seed=1) != _interval(values, seed=2)
    empty = np.zeros((2, 1))
    assert all(np.isnan(end).all() for end in interval(resampled_ratios(empty, empty, 10)))


def test_pairing_narrows_the_interval():
    """Two calls with one seed draw the same problems, so their difference is paired."""
    random = np.random.default_rng(0)
    before = random.random(200)
    after = before + 0.1 + 0.01 * random.standard_normal(200)
    one = np.ones((200, 1))
    draws = [resampled_ratios(values[:, None], one, 800) for values in (before, after)]
    (low,), (high,) = interval(draws[1] - draws[0])
    assert low > 0.09 and high < 0.11
    wide_low, wide_high = _interval(after)
    assert high - low < 0.2 * (wide_high - wide_low)
