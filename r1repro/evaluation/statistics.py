"""Statistics of evaluations: pass@k, cons@k and bootstrap intervals over problems.

The unit that is drawn again is the problem, never the sample: samples of one problem resemble each
other, and an interval over samples would be too narrow. Such an interval speaks of one trained
model on another draw of problems; it says nothing about training again with another seed.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from r1repro.errors import R1ReproError

DRAWS = 10_000
LEVEL = 0.95
FEW = 10
"""Of fewer problems a bootstrap knows too little of how many more there might have been: of none
it would claim certainty, and of one a narrower interval than of none."""


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval (NaN where there is none).

    n: over how many problems; of several seeds' mean, of the seed with the fewest.
    """

    value: float
    low: float
    high: float
    n: int

    def as_dict(self) -> dict[str, float | int]:
        return asdict(self)


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: int) -> NDArray[np.float64]:
    """Unbiased estimate of the chance that one of `k` samples is right, for each problem.

    samples, correct: integers of shape [N] (or scalars), the samples drawn and those right.
    Source: Chen et al. 2021 (arXiv 2107.03374), equation 1: 1 - C(n - c, k) / C(n, k).
    """
    n, c = np.broadcast_arrays(np.asarray(samples, dtype=int), np.asarray(correct, dtype=int))
    if k < 1 or (n < k).any() or (c < 0).any() or (c > n).any():
        raise R1ReproError(
            f"pass@{k} needs 1 <= k <= samples and 0 <= correct <= samples for every problem, but "
            f"there are {n.min()} to {n.max()} samples with {c.min()} to {c.max()} right; "
            "choose a smaller k or draw more samples."
        )
    none_right = np.ones(n.shape)
    for i in range(k):
        none_right *= np.clip(n - c - i, 0, None) / (n - i)
    return 1.0 - none_right


def cons_at_k(answers: Sequence[str | None], correct: Sequence[bool]) -> float:
    """Score of the majority vote over all samples of one problem, in 0 to 1.

    Samples without an answer (None) abstain. Where several answers are tied for first place the
    score is the share of them that is right, which is what drawing one at random gives on average.
    No vote at all scores 0.
    """
    votes: dict[str, list[bool]] = {}
    for answer, right in zip(answers, correct, strict=True):
        if isinstance(answer, str) and answer.strip():
            votes.setdefault(answer.strip(), []).append(bool(right))
    if not votes:
        return 0.0
    most = max(map(len, votes.values()))
    return float(np.mean([np.mean(v) for v in votes.values() if len(v) == most]))


def resampled_ratios(
    numerators_N_M: NDArray[np.float64],
    denominators_N_M: NDArray[np.float64],
    draws: int = DRAWS,
    seed: int = 0,
) -> NDArray[np.float64]:
    """Ratios of sums over `draws` resamples of the N problems, of shape [draws, M].

    The same problems are drawn for every column, and for every call with the same N and seed, so
    that differences of two results are paired. NaN where a draw's denominator is zero.
    """
    n = len(numerators_N_M)
    random = np.random.default_rng(seed)
    # Most denominators are one for every problem, and their sum is n in every draw.
    varying = (denominators_N_M != 1.0).any(axis=0)
    both = np.concatenate([numerators_N_M, denominators_N_M[:, varying]], axis=1)
    sums = np.empty((draws, both.shape[1]))
    chunk = max(1, 100_000 // max(n, 1))
    for start in range(0, draws, chunk):
        size = min(chunk, draws - start)
        drawn = random.integers(0, n, (size, n)) + np.arange(size)[:, None] * n
        times = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        sums[start : start + size] = times.astype(np.float64) @ both
    top = sums[:, : numerators_N_M.shape[1]]
    bottom = np.full_like(top, n)
    bottom[:, varying] = sums[:, numerators_N_M.shape[1] :]
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def ratio_of_sums(
    numerators_N_M: NDArray[np.float64], denominators_N_M: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum over problems of the numerators by that of the denominators, of shape [M]."""
    top, bottom = numerators_N_M.sum(axis=0), denominators_N_M.sum(axis=0)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def interval(
    draws: NDArray[np.float64], level: float = LEVEL
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each column of [draws, M], draws without a value left out."""
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    some = ~np.isnan(draws).all(axis=0)
    if some.any():
        tail = (1 - level) / 2
        low[some], high[some] = np.nanquantile(draws[:, some], [tail, 1 - tail], axis=0)
    return low, high


def exact_interval(count: float, n: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval of a share, `count` of `n`, by the binomial distribution.

    Sources: Clopper and Pearson 1934 (Biometrika 26:404); for a count that is no whole number, such
    as a sum of the problems' shares, Korn and Graubard 1998 (Survey Methodology 24:193).
    """
    tail = (1 - level) / 2
    low = special.betaincinv(count, n - count + 1, tail) if count > 0 else 0.0
    high = special.betaincinv(count + 1, n - count, 1 - tail) if count < n else 1.0
    return float(low), float(high)


def share_interval(
    low: float, high: float, share: float, each_N: NDArray[np.float64]
) -> tuple[float, float]:
    """The interval of a share from the bootstrap's, as wide as it has to be where few carry it.

    each_N: the problems' own shares. Where every problem is wholly right or wrong, and counts
    alike, the exact interval stands. Where fewer than FEW differ from 0 the upper end, and where
    fewer than FEW differ from 1 the lower one, reaches at least as far as that does.
    """
    exact_low, exact_high = exact_interval(share * len(each_N), len(each_N))
    if np.isin(each_N, (0.0, 1.0)).all() and math.isclose(share, each_N.mean()):
        return exact_low, exact_high
    if (each_N < 1).sum() < FEW:
        low = min(low, exact_low)
    if (each_N > 0).sum() < FEW:
        high = max(high, exact_high)
    return low, high


def change_interval(
    low: float, high: float, change: float, each_N: NDArray[np.float64]
) -> tuple[float, float]:
    """The same of a share's change, in -1 to 1.

    Few are those that changed more, or less, than the median problem.
    """
    n, most = len(each_N), float(np.median(each_N))
    above, below = (np.clip(sign * (each_N - most), 0, 1) for sign in (1, -1))
    reach = [exact_interval(float(s.sum()), n)[1] - float(s.mean()) for s in (above, below)]
    if (above > 0).sum() < FEW:
        high = max(high, min(1.0, change + reach[0]))
    if (below > 0).sum() < FEW:
        low = min(low, max(-1.0, change - reach[1]))
    return low, high


def t_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float]:
    """The interval of the mean of a few runs' values, by Student's t; NaN for fewer than two."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    mean = float(np.mean(values))
    return mean - float(half), mean + float(half)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """second - first of independent estimates: their half-widths add up as squares."""
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(value, value - below, value + above, min(first.n, second.n))


def over_seeds(runs: Sequence[Estimate]) -> Estimate:
    """The mean of several runs' estimates; one run's own, where there is one.

    The seeds' spread is Student's t. All are asked the same problems, so that the problems' spread
    does not average out: the mean half-width of the runs' own intervals is added as a square (where
    they have one). NaN where neither gives any width.
    """
    if len(runs) == 1:
        return runs[0]
    values = [run.value for run in runs]
    mean = float(np.mean(values))
    half = t_interval(values)[1] - mean
    below = np.nan_to_num([run.value - run.low for run in runs]).mean()
    above = np.nan_to_num([run.high - run.value for run in runs]).mean()
    low, high = mean - math.hypot(half, below), mean + math.hypot(half, above)
    fewest = min(run.n for run in runs)
    return (
        Estimate(mean, low, high, fewest)
        if high > low
        else Estimate(mean, math.nan, math.nan, fewest)
    )


def sign_flip(changes_N: NDArray[np.float64], draws: int = DRAWS, seed: int = 0) -> float:
    """Two-sided permutation test of paired changes: the share of random signs that give as much.

    Under no effect a problem's change is as likely to have either sign. What was observed counts as
    one of the draws, so that p is never zero.
    """
    random = np.random.default_rng(seed)
    seen = abs(changes_N.sum())
    signs = random.integers(0, 2, (draws, len(changes_N))) * 2 - 1
    return float((1 + (abs(signs @ changes_N) >= seen - 1e-12).sum()) / (1 + draws))


def power(
    effect: float, deviation: float, runs: int, smallest: float, half_width: float = 0.0
) -> float:
    """How often `runs` seeds, two at least, find an effect.

    Found: `over_seeds` lies above zero and its mean is at least `smallest`. deviation: from seed to
    seed, on given problems; half_width: of the problems' own interval, which all seeds share. By
    integration over the deviation that the runs happen to show.
    """
    freedom = runs - 1
    scale = deviation / math.sqrt(runs)
    shown = np.sqrt(stats.chi2.ppf((np.arange(2_000) + 0.5) / 2_000, freedom) / freedom)
    needed = np.hypot(stats.t.ppf((1 + LEVEL) / 2, freedom) * scale * shown, half_width)
    spread = math.hypot(scale, half_width / stats.norm.ppf((1 + LEVEL) / 2))
    return float(np.mean(stats.norm.sf(np.maximum(needed, smallest), loc=effect, scale=spread)))
