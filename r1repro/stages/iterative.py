"""Stage iterative_grpo: iterative RL with a learned reward (DeepSeekMath 4.1.4, Algorithm 1).

The base's answers, graded by the rule, make pairs of a right and a wrong answer to one question. A
reward model learns from these, and for one round it alone rewards the policy. Two second rounds
follow, which differ only in the reward model: one keeps it, the other trains it further on pairs of
the policy's own answers. The rule's accuracy is measured throughout and never rewarded.
"""

import random
import shutil
from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import COMPLETE, Inputs, Progress, StageResult
from r1repro.config import Config, RLConfig, lab
from r1repro.rewards.preference import Preference
from r1repro.stages import answer_pairs, evaluate, models, reward_model, rl
from r1repro.tasks import worlds
from r1repro.tasks.problem import Problem
from r1repro.training import rl as grpo

ROUNDS = {"first": "reward", "kept": "reward", "refreshed": "reward_refreshed"}
"""The reward model that pays in each round; the last two both go on from the first."""


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes four tables.

    rounds.parquet: metrics of every step, by `arm`, a key of ROUNDS; the later rounds count on.
    samples.parquet: completions kept during training, by `arm`.
    pairs.parquet: of both reward models, by `model`: scores of its own and, as `before`, of the one
        that it was trained on from; `replayed` pairs are of the base.
    validation.parquet: each round's policy on the validation problems, by `arm`.
    """
    settings, base = lab.of_round(config.stage.r1_zero), inputs["base"].folder
    count = settings.batches * settings.questions
    problems = list(islice(worlds.of(config.task).train(config.seed), 2 * count))
    first, reward, refreshed = folder / "first", folder / "reward", folder / "reward_refreshed"
    steps = {
        reward: partial(_reward, config, base, None),
        first: partial(_round, config, settings, base, reward, problems[:count]),
        refreshed: partial(_reward, config, first, reward),
        folder / "kept": partial(_round, config, settings, first, reward, problems[count:]),
        folder / "refreshed": partial(
            _round, config, settings, first, refreshed, problems[count:]
        ),
    }  # fmt: skip
    for done, (place, made) in enumerate(steps.items(), start=1):
        if not (place / COMPLETE).exists():
            place.mkdir(exist_ok=True)
            made(place)
            (place / COMPLETE).touch()
        progress.update(done, len(steps) + 1)
    _tables(config, settings, folder)
    # The result is only what is measured; the models would be stored with it.
    for place in steps:
        shutil.rmtree(place)


def _round(
    config: Config,
    settings: RLConfig,
    start: Path,
    judge: Path,
    problems: Sequence[Problem],
    place: Path,
) -> None:
    """GRPO from the policy of `start`, paid by the reward model of `judge`; saved in `place`."""
    rl.train(
        config, "r1_zero", StageResult(start.name, "", start, {}), settings, place,
        Progress(place), problems=problems, preference=learned(config, judge),
    )  # fmt: skip


def learned(config: Config, judge: Path) -> grpo.Preference:
    """The reward function of the reward model of `judge`, which reads the whole answer."""
    model = models.load_reward_model(judge / "model", config.engine)
    scores = Preference(model, models.load_tokenizer(judge / "model")).scores

    def reward(completions: Sequence[str], **columns: Any) -> list[float]:
        asked = zip(columns["question"], completions, strict=True)
        return scores([answer_pairs.shown(*one) for one in asked], columns["finished"])

    return reward


def _reward(config: Config, policy: Path, old: Path | None, place: Path) -> None:
    """A reward model from the policy's answers: new, on the policy's weights, or `old` refreshed.

    A refreshed one learns from pairs of which a share lab.REPLAY are those that `old` learned from.
    """
    rng = random.Random(f"{place.name}-{config.seed}")
    pairs = answer_pairs.sampled(
        config, policy, f"iterative {place.name}", rng, place, Progress(None)
    )
    answer_pairs.require(pairs)
    start = (old or policy) / "model"
    tokenizer = models.load_tokenizer(start)
    if old is None:
        model = models.new_reward_model(start, config.engine, config.seed)
    else:
        past = pd.read_parquet(old / "pairs.parquet")
        past = past[past.split == "train"].drop(columns=["score_chosen", "score_rejected"])
        # The old reward model was trained on these questions, so they are not held out for it.
        seen = pairs.problem_id.isin(past.problem_id)
        pairs.loc[(pairs.split == "held out") & seen, "split"] = "train"
        count = round((pairs.split == "train").sum() * lab.REPLAY / (1 - lab.REPLAY))
        again = past.sample(min(count, len(past)), random_state=rng.randrange(2**32))
        pairs = pd.concat([pairs, again.assign(replayed=True)], ignore_index=True)
        judge = Preference(models.load_reward_model(start, config.engine), tokenizer)
        for side in ("chosen", "rejected"):
            finished = pairs[f"{side}_finished"].tolist()
            pairs[f"before_{side}"] = judge.scores(pairs[side].tolist(), finished)
        model = models.old_reward_model(start, config.engine, config.seed)
    reward_model.fit(config, model, tokenizer, pairs, place, Progress(place))


def _tables(config: Config, settings: RLConfig, folder: Path) -> None:
    tables: dict[str, list[pd.DataFrame]] = {n: [] for n in ("rounds", "samples", "validation")}
    for arm in ROUNDS:
        place, before = folder / arm, 0 if arm == "first" else settings.steps
        for name, file in (("rounds", "metrics"), ("samples", "completions")):
            rows = pd.read_parquet(place / f"{file}.parquet")
            tables[name].append(rows.assign(arm=arm, step=rows["step"] + before))
        rows = evaluate.validated(config, place / "model", Progress(None), place)
        tables["validation"].append(rows.assign(arm=arm))
    tables["pairs"] = [
        pd.read_parquet(folder / name / "pairs.parquet").assign(model=name)
        for name in ("reward", "reward_refreshed")
    ]
    for name, rows in tables.items():
        pd.concat(rows, ignore_index=True).to_parquet(folder / f"{name}.parquet")
