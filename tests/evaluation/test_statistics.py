from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from r1repro.errors import R1ReproError
from r1repro.evaluation.statistics import (
    FEW,
    change_interval,
    cons_at_k,
    exact_interval,
    interval,
    pass_at_k,
    resampled_ratios,
    share_interval,
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
        (["7", "8"], [True, False], 0.5),  # a tie: the expectation of a random choice
        (["7", "8", "9"], [False, True, False], 1 / 3),
        ([None, None, "7"], [False, False, True], 1.0),  # no answer means no vote
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
    # the mistake the test above must detect
    assert _coverage(lambda r: (_problems(r).ravel().astype(float), 0.5)) < 0.7


def _of_share(values):
    """The interval of a share over problems, as `metrics.summarize` builds it."""
    return share_interval(*_interval(values), values.mean(), values)


def _of_change(values):
    return change_interval(*_interval(values), values.mean(), values)


def test_the_exact_interval_is_that_of_the_binomial_distribution():
    assert exact_interval(0, 60) == (0.0, pytest.approx(1 - 0.025 ** (1 / 60)))
    assert exact_interval(60, 60) == (pytest.approx(0.025 ** (1 / 60)), 1.0)
    # By definition, the observed 10 of 40 has probability 2.5 % at either end.
    low, high = exact_interval(10, 40)
    assert stats.binom.sf(9, 40, low) == pytest.approx(0.025)
    assert stats.binom.cdf(10, 40, high) == pytest.approx(0.025)
    assert exact_interval(1, 80)[1] < exact_interval(1.5, 80)[1] < exact_interval(2, 80)[1]


@pytest.mark.parametrize("n", [1, 7, 20, 80, 250])
def test_one_more_right_answer_never_narrows_the_interval_of_a_share(n):
    before = 0.0
    for right in range(n // 2 + 1):
        values = np.repeat([1.0, 0.0], [right, n - right])
        low, high = _of_share(values)
        assert 0 <= low <= right / n <= high <= 1
        assert high - low > before
        before = high - low
        assert _of_share(1 - values) == pytest.approx((1 - high, 1 - low))


@pytest.mark.parametrize("samples", [1, 4, 16])
def test_a_right_sample_never_narrows_the_interval_where_few_problems_have_one(samples):
    values, before = np.zeros(80), 0.0
    for some in range(FEW):
        values[:some] = 1 / samples
        low, high = _of_share(values)
        assert low <= values.mean() < high and high - low > before
        before = high - low


def test_small_shares_are_held_as_often_as_the_interval_says():
    random, truth = np.random.default_rng(0), 0.03
    ends = [
        share_interval(0, 0, values.mean(), values)
        for values in (random.random((2_000, 80)) < truth).astype(float)
    ]
    assert np.mean([low <= truth <= high for low, high in ends]) >= 0.95


def test_where_many_problems_differ_the_bootstrap_stands():
    values = _problems(np.random.default_rng(1)).mean(1)
    assert _of_share(values) == _interval(values)
    changes = values - _problems(np.random.default_rng(2)).mean(1)
    assert _of_change(changes) == _interval(changes)


def test_a_change_that_few_problems_make_is_no_more_certain_than_none():
    bound = exact_interval(0, 60)[1]
    assert _of_change(np.zeros(60)) == (pytest.approx(-bound), pytest.approx(bound))
    changes, before = np.zeros(60), 2 * bound
    for some in range(1, FEW):
        changes[:some] = 1.0
        low, high = _of_change(changes)
        assert low < changes.mean() < high and high - low > before
        before = high - low
    assert _of_change(np.ones(60))[1] == 1.0


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
