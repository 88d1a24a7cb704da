"""How often the claims procedure says "reproduced": without an effect, and with a known one.

Simulated runs have the spread that was measured in our own: R1-Zero's held-out pass@1 differs from
seed to seed by a standard deviation of 1.0 points (three seeds), and a problem's paired change by
28 points from base to R1-Zero (1,000 problems x 16 samples) and 21 from Dev1 to Dev2 (x 4). One
run is judged by the bootstrap over its problems, several by Student's t over the seeds.

    python benchmarks/claims_procedure.py [--tries 1000]
"""

import argparse

import numpy as np

from r1repro.evaluation.claims import verdict
from r1repro.evaluation.statistics import Estimate, interval, power, resampled_ratios, t_interval

SEED_DEVIATION = 0.0105
PROBLEM_DEVIATION = 0.28
PROBLEMS = 1_000
SMALLEST = 0.02


def several_seeds(effect: float, seeds: int, random: np.random.Generator) -> Estimate:
    """A claim's effect by `seeds` runs, each with a true effect of its own, on its problems."""
    noise = PROBLEM_DEVIATION / PROBLEMS**0.5
    values = effect + SEED_DEVIATION * random.normal(size=seeds) + noise * random.normal(size=seeds)
    return Estimate(float(values.mean()), *t_interval(list(values)), seeds)


def one_run(effect: float, random: np.random.Generator, draws: int = 1_000) -> Estimate:
    """The effect in one run, whose own true effect is `effect`, by a bootstrap over problems."""
    changes = effect + PROBLEM_DEVIATION * random.normal(size=(PROBLEMS, 1))
    drawn = resampled_ratios(changes, np.ones_like(changes), draws, int(random.integers(2**31)))
    low, high = interval(drawn)
    return Estimate(float(changes.mean()), float(low[0]), float(high[0]), PROBLEMS)


def found(expected: str, effect: float, seeds: int, tries: int, seed: int = 0) -> float:
    """Share of the tries in which a claim comes out as reproduced."""
    random = np.random.default_rng(seed)
    estimates = (
        one_run(effect, random) if seeds == 1 else several_seeds(effect, seeds, random)
        for _ in range(tries)
    )
    return sum(verdict(expected, SMALLEST, e) == "reproduced" for e in estimates) / tries


def stated_power(effect: float, seeds: int) -> float:
    """How often `seeds` runs are expected to find an effect of this size."""
    deviation = float(np.hypot(SEED_DEVIATION, PROBLEM_DEVIATION / PROBLEMS**0.5))
    return power(effect, deviation, seeds, SMALLEST)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1_000)
    tries = parser.parse_args().tries
    print("expected  true effect  seeds  reproduced  stated power")
    for seeds in (1, 3, 5):
        for expected, effect in (("up", 0.0), ("up", 0.03), ("up", 0.05), ("same", SMALLEST)):
            share = found(expected, effect, seeds, tries)
            stated = f"{stated_power(effect, seeds):.3f}" if expected == "up" and seeds > 1 else "–"
            print(f"{expected:8}  {effect:11.2f}  {seeds:5}  {share:10.3f}  {stated:>12}")


if __name__ == "__main__":
    main()
