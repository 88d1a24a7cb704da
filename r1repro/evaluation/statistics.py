"""Evaluation statistics: pass@k, cons@k and bootstrap intervals over problems.

Resamples problems, not samples: samples of one problem are correlated, and an interval over samples
would be too narrow. The interval covers one trained model on new problems; it does not cover
training with another seed.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from r1repro.errors import R1ReproError

DRAWS = 10_000
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
FEW = 10
"""Below this count of problems a bootstrap interval is too narrow: with none it has zero width,
with one it is narrower than the exact interval for none."""


@dataclass(frozen=True)
class Estimate:
    """A value with its 95 % interval (NaN if there is none).

    n: number of problems; for a mean over seeds, the smallest of the seeds.
    each: the seeds' own values, if the interval over them was clipped to what is possible.
    """

    value: float
    low: float
    high: float
    n: int
    each: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, without `each` where it is empty."""
        return {name: value for name, value in asdict(self).items() if value != ()}


def pass_at_k(samples: ArrayLike, correct: ArrayLike, k: int) -> NDArray[np.float64]:
    """Unbiased estimate of the probability that one of `k` samples is right, per problem.

    samples, correct: integers of shape [N] (or scalars), the samples drawn and the correct ones.
        Raises R1ReproError unless 1 <= k <= samples and 0 <= correct <= samples. Source: Chen et
        al. 2021 (arXiv 2107.03374), equation 1: 1 - C(n - c, k) / C(n, k).
    """
    n, c = np.broadcast_arrays(np.asarray(samples, dtype=int), np.asarray(correct, dtype=int))
    if k < 1 or (n < k).any() or (c < 0).any() or (c > n).any():
        raise R1ReproError(
            f"pass@{k} needs 1 <= k <= samples and 0 <= correct <= samples for every problem, but "
            f"problems have {n.min()} to {n.max()} samples with {c.min()} to {c.max()} correct; "
            "choose a smaller k or draw more samples"
        )
    none_right = np.ones(n.shape)
    for i in range(k):
        none_right *= np.clip(n - c - i, 0, None) / (n - i)
    return 1.0 - none_right


def cons_at_k(answers: Sequence[str | None], correct: Sequence[bool]) -> float:
    """Score of the majority vote over one problem's samples, in 0 to 1.

    Samples without an answer (None) abstain. If several answers tie for first place, the score is
    the share of them that is right, the expected score of a random choice. Returns 0 without votes.
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

    All columns, and all calls with the same N and seed, use the same resamples, so differences are
    paired. NaN where a resample's denominator is zero.
    """
    n = len(numerators_N_M)
    random = np.random.default_rng(seed)
    # Most denominators are one for every problem; their sum is n in every draw.
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
    """Sum of the numerators over problems divided by that of the denominators, of shape [M]."""
    top, bottom = numerators_N_M.sum(axis=0), denominators_N_M.sum(axis=0)
    return np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom > 0)


def interval(draws: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile interval of each column of [draws, M], ignoring NaN."""
    low, high = np.full(draws.shape[1], np.nan), np.full(draws.shape[1], np.nan)
    some = ~np.isnan(draws).all(axis=0)
    if some.any():
        low[some], high[some] = np.nanquantile(draws[:, some], [TAIL, 1 - TAIL], axis=0)
    return low, high


def exact_interval(count: float, n: int) -> tuple[float, float]:
    """Exact binomial interval of the share `count` / `n`.

    Sources: Clopper and Pearson 1934 (Biometrika 26:404); for a fractional count, such as a sum of
    per-problem shares, Korn and Graubard 1998 (Survey Methodology 24:193).
    """
    low = special.betaincinv(count, n - count + 1, TAIL) if count > 0 else 0.0
    high = special.betaincinv(count + 1, n - count, 1 - TAIL) if count < n else 1.0
    return float(low), float(high)


def share_interval(
    low: float, high: float, share: float, each_N: NDArray[np.float64]
) -> tuple[float, float]:
    """Bootstrap interval of a share, widened where few problems contribute.

    each_N: per-problem shares. If each is 0 or 1 with equal weight, returns the exact interval. If
        fewer than FEW are above 0, the upper end is at least the exact one; if fewer than FEW are
        below 1, the lower end is at most the exact one.
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
    """`share_interval` for a change of a share, in -1 to 1.

    Widens an end if fewer than FEW problems lie beyond the median change on that side.
    """
    n, most = len(each_N), float(np.median(each_N))
    above, below = (np.clip(sign * (each_N - most), 0, 1) for sign in (1, -1))
    reach = [exact_interval(float(s.sum()), n)[1] - float(s.mean()) for s in (above, below)]
    if (above > 0).sum() < FEW:
        high = max(high, min(1.0, change + reach[0]))
    if (below > 0).sum() < FEW:
        low = min(low, max(-1.0, change - reach[1]))
    return low, high


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Student's t interval of the mean of a few runs; NaN for fewer than two."""
    if len(values) < 2:
        return math.nan, math.nan
    half = stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values)
    mean = float(np.mean(values))
    return mean - float(half), mean + float(half)


def difference(first: Estimate, second: Estimate) -> Estimate:
    """second - first for independent estimates, adding half-widths in quadrature."""
    value = second.value - first.value
    below = math.hypot(second.value - second.low, first.high - first.value)
    above = math.hypot(second.high - second.value, first.value - first.low)
    return Estimate(value, value - below, value + above, min(first.n, second.n))


def over_seeds(runs: Sequence[Estimate]) -> Estimate:
    """The mean of several runs' estimates; a single run's own estimate.

    Student's t covers the spread over seeds. All seeds share the same problems, so the problems'
    spread does not average out: the mean half-width of the runs' own intervals is added in
    quadrature. NaN if neither has any width.
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
    if not high > low:
        low = high = math.nan
    return Estimate(mean, low, high, fewest)


def sign_flip(changes_N: NDArray[np.float64], draws: int = DRAWS) -> float:
    """p-value of a two-sided sign-flip permutation test of paired changes.

    With no effect, either sign of a problem's change is equally likely. The observed value counts
    as one draw, so p is never zero.
    """
    random = np.random.default_rng(0)
    seen = abs(changes_N.sum())
    signs = random.integers(0, 2, (draws, len(changes_N))) * 2 - 1
    return float((1 + (abs(signs @ changes_N) >= seen - 1e-12).sum()) / (1 + draws))


def power(
    effect: float, deviation: float, runs: int, smallest: float, half_width: float = 0.0
) -> float:
    """Probability that `runs` >= 2 seeds detect an effect.

    Detected: the interval of `over_seeds` is above zero and its mean is at least `smallest`.
    Integrates over the sample deviation of the runs.
    deviation: standard deviation over seeds on fixed problems.
    half_width: half-width of the problems' interval, shared by all seeds.
    """
    freedom = runs - 1
    scale = deviation / math.sqrt(runs)
    shown = np.sqrt(stats.chi2.ppf((np.arange(2_000) + 0.5) / 2_000, freedom) / freedom)
    needed = np.hypot(stats.t.ppf((1 + LEVEL) / 2, freedom) * scale * shown, half_width)
    spread = math.hypot(scale, half_width / stats.norm.ppf((1 + LEVEL) / 2))
    return float(np.mean(stats.norm.sf(np.maximum(needed, smallest), loc=effect, scale=spread)))
