"""How often the claims procedure gives a verdict: without an effect, and with a known one.

Simulated runs have the spread of our own (world 2): held-out pass@1 of R1-Zero differs from seed
to seed by a standard deviation of 1.05 points (three seeds), and a problem's paired change from
base to R1-Zero by 28 points, of which 16 are the chance of 16 samples and the rest the problem's
own, shared by every seed. Several seeds are judged as a report of seeds judges them. One run is
judged by the bootstrap over its problems, and speaks of that run: the true effect is the run's
("this run"), or that of the recipe, from which a seed moves the run's ("any seed"); no interval of
one run covers the latter.

    python benchmarks/claims_procedure.py [--tries 1000]
"""

import argparse
import math

import numpy as np

from r1repro.evaluation.claims import verdict
from r1repro.evaluation.statistics import (
    Estimate,
    interval,
    over_seeds,
    power,
    resampled_ratios,
)

SEED_DEVIATION = 0.0105
SAMPLES_DEVIATION, SHARED_DEVIATION = 0.16, 0.23
PROBLEMS = 1_000
SMALLEST = 0.02
HALF_WIDTH = 1.96 * math.hypot(SAMPLES_DEVIATION, SHARED_DEVIATION) / math.sqrt(PROBLEMS)


def several_seeds(
    effect: float, seeds: int, random: np.random.Generator, deviation: float = SEED_DEVIATION
) -> Estimate:
    """A claim's effect by `seeds` runs, each with an effect of its own, on the same problems."""
    root = math.sqrt(PROBLEMS)
    values = (
        effect
        + SHARED_DEVIATION / root * random.normal()
        + math.hypot(deviation, SAMPLES_DEVIATION / root) * random.normal(size=seeds)
    )
    return over_seeds([Estimate(v, v - HALF_WIDTH, v + HALF_WIDTH, PROBLEMS) for v in values])


def one_run(effect: float, random: np.random.Generator, draws: int = 1_000) -> Estimate:
    """The effect in one run, whose own true effect is `effect`, by a bootstrap over problems."""
    deviation = math.hypot(SAMPLES_DEVIATION, SHARED_DEVIATION)
    changes = effect + deviation * random.normal(size=(PROBLEMS, 1))
    drawn = resampled_ratios(changes, np.ones_like(changes), draws, int(random.integers(2**31)))
    low, high = interval(drawn)
    return Estimate(float(changes.mean()), float(low[0]), float(high[0]), PROBLEMS)


def estimates(effect: float, seeds: int, tries: int, any_seed: bool = False) -> list[Estimate]:
    """`tries` simulated effects; with `any_seed` the one run's own effect is moved by its seed."""
    random = np.random.default_rng(0)
    if seeds > 1:
        return [several_seeds(effect, seeds, random) for _ in range(tries)]
    moved = SEED_DEVIATION if any_seed else 0.0
    return [one_run(effect + moved * random.normal(), random) for _ in range(tries)]


def share(wanted: str, expected: str, found: list[Estimate], smallest: float = SMALLEST) -> float:
    """How often the verdict is the wanted one."""
    return sum(verdict(expected, smallest, one)[0] == wanted for one in found) / len(found)


def stated_power(effect: float, seeds: int) -> float:
    """How often `seeds` runs are expected to find a rise of this size."""
    deviation = math.hypot(SEED_DEVIATION, SAMPLES_DEVIATION / math.sqrt(PROBLEMS))
    return power(effect, deviation, seeds, SMALLEST, HALF_WIDTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=1_000)
    tries = parser.parse_args().tries
    print(f"smallest effect that counts, and margin: {SMALLEST}; {tries} tries")
    print("runs          expected  true effect  reproduced  contradicted  stated power")
    for seeds, any_seed in ((1, False), (1, True), (3, False), (5, False)):
        name = f"{seeds} seeds" if seeds > 1 else "1, any seed" if any_seed else "1, this run"
        for expected, effects in (("up", (0.0, 0.02, 0.03, 0.05)), ("same", (0.0, 0.02))):
            for effect in effects:
                found = estimates(effect, seeds, tries, any_seed)
                stated = (
                    f"{stated_power(effect, seeds):.3f}" if expected == "up" and seeds > 1 else "–"
                )
                print(
                    f"{name:12}  {expected:8}  {effect:11.2f}  "
                    f"{share('reproduced', expected, found):10.3f}  "
                    f"{share('contradicted', expected, found):12.3f}  {stated:>12}"
                )


if __name__ == "__main__":
    main()
