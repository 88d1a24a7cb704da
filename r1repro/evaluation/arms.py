"""The lab's arms side by side: which are compared, the best of each method, the claims on them."""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from r1repro.config import LABS, Config, RLConfig, lab
from r1repro.config.lab import Arm
from r1repro.evaluation import claim_definitions, metrics
from r1repro.evaluation.checkpoints import key
from r1repro.evaluation.claim_definitions import Change, Claim, Times
from r1repro.evaluation.claim_effects import Light
from r1repro.evaluation.results import Results

PASS = "reasoning/pass@1"
_ALSO = ("clipped", "length_correct", "length_wrong")


def compared(evaluations: Mapping[str, pd.DataFrame]) -> tuple[Results, Results]:
    """(summaries by stage, paired changes of `pairs` by key), over all reasoning problems alone.

    evaluations: rows of evaluation.parquet by the stage that trained the arm, or of `rounds`.
    """
    alone, changes = metrics.compare(evaluations, pairs(evaluations), whole=True)
    return _kept(alone), _kept({key(*pair): change for pair, change in changes.items()})


def _kept(found: Results) -> Results:
    return {
        name: {path: each[path] for path in (*metrics.headline(each), *_ALSO) if path in each}
        for name, each in found.items()
    }


def pairs(evaluated: Container[str]) -> list[tuple[str, str]]:
    """(before, after) of evaluated arms: every arm of a notebook against each trial of GRPO there,
    and the two sides of every claim."""
    grpo = lab.arms()[lab.REFERENCE].method
    found: dict[tuple[str, str], None] = {}
    for notebook in LABS:
        trials = _trials(notebook)
        wanted = [(grpo, method) for method in trials]
        measures = [claim.measure for claim in _of(notebook)]
        wanted += [(one.before, one.after) for one in measures if isinstance(one, Change | Times)]
        for a, b in wanted:
            found |= dict.fromkeys(product(trials.get(a, [a]), trials.get(b, [b])))
    return [(a, b) for a, b in found if a != b and a in evaluated and b in evaluated]


def best(scores: Mapping[str, float]) -> dict[str, str]:
    """The arm of each method with the highest score, by method; the first of equal ones."""
    found: dict[str, str] = {}
    for name, score in scores.items():
        method = lab.arms()[name].method
        if method not in found or score > scores[found[method]]:
            found[method] = name
    return found


def shown(
    notebook: str, runs: Sequence[Results], rates: Container[float] | None = None
) -> dict[str, str]:
    """The stage of each method that a notebook shows: its trial with the highest pass@1.

    pass@1 is averaged over the runs, so that all of them use the same trial. If no trial was
    evaluated in every run, it is the first. rates: the policy's rates that count; None for all.
    """
    scores = {
        name: float(np.mean([run[lab.stage(name)][PASS].value for run in runs]))
        for name, arm in lab.shown_in(notebook).items()
        if (rates is None or arm.offline or rate(arm) in rates)
        and all(lab.stage(name) in run for run in runs)
    }
    chosen = {method: lab.stage(name) for method, name in best(scores).items()}
    return {method: stages[0] for method, stages in _trials(notebook).items()} | chosen


def rate(arm: Arm) -> float:
    """The policy's rate of a trial, as a multiple of R1-Zero's."""
    return float(dict(arm.changes).get("rate", 1.0))


def sampled_an_update(arm: Arm, start: RLConfig) -> float:
    """Completions sampled for an update of `lab.settings`; start: R1-Zero's settings.

    0 for SFT, which reads worked answers.
    """
    if arm.offline == "sft":
        return 0.0
    settings = lab.settings(start, arm)
    return settings.questions * settings.generations / settings.objective.passes


def sampled(arm: Arm, config: Config, steps: int | None = None) -> int:
    """Completions sampled in the updates of an arm, all of them or the first `steps`.

    With those of the base that the model of its steps learned from, where it has one.
    """
    if steps is None:
        steps = lab.settings(config.stage.r1_zero, arm).steps
    pairs = config.stage.reward_model
    before = pairs.questions * pairs.samples if arm.learned_steps else 0
    return round(steps * sampled_an_update(arm, config.stage.r1_zero)) + before


def common_rates(notebook: str, *methods: str) -> set[float]:
    """The policy's rates that all of these methods were tried with, as far as they are RL."""
    every = [arm for arm in lab.shown_in(notebook).values() if arm.offline is None]
    tried = [{rate(arm) for arm in every if arm.method == name} for name in methods]
    found = [rates for rates in tried if rates]
    return set.intersection(*found) if found else set()


def claims_on(chosen: str, runs: Sequence[Light]) -> list[Claim] | None:
    """The claims that lab=`chosen` can judge, with each method's arm of `shown` for its name.

    Trials count at the policy's rates that both sides were tried with, since a rate searched for
    one side alone would be no comparison of methods. None for lab=none, where the stages' own
    claims are judged.
    """
    if chosen == "none":
        return None
    found = []
    for claim in (claim for name in LABS if chosen in (name, "all") for claim in _of(name)):
        named = {
            field: value
            for field in ("before", "after", "checkpoint", "stage")
            if (value := getattr(claim.measure, field, None)) in _trials(claim.lab)
        }
        rates = common_rates(claim.lab, *named.values())
        stages = shown(claim.lab, [run.summaries for run in runs], rates)
        every = lab.shown_in(claim.lab).values()
        trials = [arm.method for arm in every if arm.offline or rate(arm) in rates]
        tuned = "; ".join(
            f"{method} is the best of {trials.count(method)} trials, {stages[method]}"
            for method in named.values()
            if trials.count(method) > 1
        )
        arms = {field: stages[method] for field, method in named.items()}
        measure = replace(claim.measure, **arms)  # type: ignore[type-var]
        found.append(replace(claim, measure=measure, tuned=tuned or claim.tuned))
    return found


def rounds(folder: Path, table: str) -> dict[str, pd.DataFrame]:
    """Rows of a table of stage lab.ITERATIVE by the policy of each round.

    folder: of its result. A policy is named as claims name it, iterative_grpo/ROUND.
    """
    rows = pd.read_parquet(folder / f"{table}.parquet")
    return {f"{lab.ITERATIVE}/{name}": one for name, one in rows.groupby("arm")}


def _of(notebook: str) -> Iterator[Claim]:
    return (
        claim for claim in claim_definitions.load(claim_definitions.LAB) if claim.lab == notebook
    )


def _trials(notebook: str) -> dict[str, list[str]]:
    """The stages of a notebook's arms by method."""
    found: dict[str, list[str]] = {}
    for name, arm in lab.shown_in(notebook).items():
        found.setdefault(arm.method, []).append(lab.stage(name))
    return found
