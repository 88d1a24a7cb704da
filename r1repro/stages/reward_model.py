"""Stage reward_model: a preference reward model of general answers, from pairs (R1 v2, 3.1)."""

import random
from collections.abc import Container, Sequence
from itertools import chain, permutations
from pathlib import Path

import pandas as pd
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config, RewardModelConfig
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.rewards.preference import Preference, encoded, grade, shown
from r1repro.stages import samples
from r1repro.stages.models import (
    load_model,
    load_reward_model,
    load_tokenizer,
    new_reward_model,
    save_model,
)
from r1repro.tasks import general, own_general, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.training import reward_model, sharding

HELD_OUT = 0.2
"""Share of the questions whose pairs are held out."""
Answer = tuple[str, bool]
"""A text, and whether it ended by itself rather than at the length cap."""
Grades = dict[Answer, float]
WRITERS = ("dev2", "dev3")
"""Policies whose answers are compared: one without and one with general training data."""


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes model/ (dev3 with a scalar head), pairs.parquet and metrics.parquet.

    pairs.parquet: chosen, rejected, whether each ended by itself, split, and the model's scores.
    """
    settings = config.stage.reward_model
    own = config.general.pairs is not None
    pairs = pd.DataFrame(own_pairs(config) if own else _pairs(config, inputs, settings))
    if pairs.empty or "train" not in set(pairs.split):
        raise R1ReproError(
            "there is no preference pair to learn from: raise stage.reward_model.questions or "
            "stage.reward_model.temperature, or give a longer file in general.pairs"
        )
    place = inputs["dev3"].folder / "model"
    model = new_reward_model(place, config.engine, config.seed)
    fit(config, model, load_tokenizer(place), pairs, folder, progress)


def fit(
    config: Config,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    pairs: pd.DataFrame,
    folder: Path,
    progress: Progress,
) -> None:
    """Train `model` on the pairs whose split is "train"; writes what `run` writes."""
    reward_model.pad_apart(model, tokenizer)
    learned = pairs[pairs.split == "train"]
    sides = [
        [
            encoded(tokenizer, *one)
            for one in zip(learned[side], learned[f"{side}_finished"], strict=True)
        ]
        for side in ("chosen", "rejected")
    ]
    rows = reward_model.train(
        model, tokenizer, list(zip(*sides, strict=True)),
        config.stage.reward_model, seed=config.seed, folder=folder, progress=progress,
        engine=config.engine,
    )  # fmt: skip
    save_model(model, tokenizer, folder / "model", progress.writes)
    if not progress.writes:
        return
    judge = Preference(load_reward_model(folder / "model", config.engine), tokenizer)
    for side in ("chosen", "rejected"):
        finished = pairs[f"{side}_finished"].tolist()
        pairs[f"score_{side}"] = judge.scores(pairs[side].tolist(), finished)
    pairs.to_parquet(folder / "pairs.parquet")
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")


def _pairs(config: Config, inputs: Inputs, settings: RewardModelConfig) -> list[dict[str, object]]:
    """At most one pair per question, of two answers that the rule grades differently; see `pick`.

    Held-out pairs are of questions that Dev3 was not fine-tuned on.
    """
    rng, world = random.Random(f"pairs-{config.seed}"), worlds.of(config.task)
    items = samples.general_items(world, settings.questions, rng)
    problems = [general.problem(item) for item in items]
    rng.shuffle(problems)
    answers = _answers(config, inputs, settings, problems)
    # By id, which the translations of a question share.
    names = {problem.id for problem in problems}
    data = pd.read_parquet(inputs["rejection_sampling"].folder / "dataset.parquet")
    unseen = sorted(names - set(data.problem_id))
    held_out = set(rng.sample(unseen, min(len(unseen), round(HELD_OUT * len(names)))))
    found = ((problem, pick(problem, answers[i])) for i, problem in enumerate(problems))
    return [_row(problem, *pair, held_out) for problem, pair in found if pair is not None]


def _row(
    problem: Problem, chosen: Answer, rejected: Answer, held_out: Container[str]
) -> dict[str, object]:
    return {
        "problem_id": problem.id,
        "task": problem.task,
        "language": problem.language,
        "chosen": chosen[0],
        "rejected": rejected[0],
        "chosen_finished": chosen[1],
        "rejected_finished": rejected[1],
        "split": "held out" if problem.id in held_out else "train",
    }


def own_pairs(config: Config) -> list[dict[str, object]]:
    """At most `questions` pairs of the user's file without held-out questions.

    A share HELD_OUT of the questions, with all their pairs, is held out.
    """
    rng = random.Random(f"pairs-{config.seed}")
    found = own_general.pairs(config.general)
    questions = [asked.prompt for asked, _, _ in found]
    flags = worlds.of(config.task).overlapping(questions, [chosen for _, chosen, _ in found])
    clean = [pair for pair, held in zip(found, flags, strict=True) if not held]
    clean = rng.sample(clean, min(len(clean), config.stage.reward_model.questions))
    names = sorted({asked.id for asked, _, _ in clean})
    held_out = set(rng.sample(names, round(HELD_OUT * len(names))))
    return [
        _row(asked, (shown(asked, chosen), True), (shown(asked, rejected), True), held_out)
        for asked, chosen, rejected in clean
    ]


def _answers(
    config: Config, inputs: Inputs, settings: RewardModelConfig, problems: Sequence[Problem]
) -> dict[int, Grades]:
    """Graded answers of the writers by problem number; every process samples a share."""
    rank, processes = sharding.rank(), sharding.processes()
    numbers = range(rank, len(problems), processes)
    answers: dict[int, Grades] = {number: {} for number in numbers}
    for writer in WRITERS:
        policy = inputs[writer].folder / "model"
        # not vLLM, which would not free its memory for the training that follows
        batches = ask(
            load_model(policy, config.engine).eval(), load_tokenizer(policy),
            problems[rank::processes],
            Sampling(settings.max_completion_tokens, settings.temperature),
            form=templates.asked(checkpoints.form(config, writer)), samples=settings.samples,
            rollout_batch=settings.rollout_batch, seed=config.seed + 2 + 1_000_003 * rank,
        )  # fmt: skip
        for position, (problem, _, said) in enumerate(chain.from_iterable(batches)):
            number = numbers[position // settings.samples]
            answers[number][said.text, said.finished] = grade(problem, said.text)
    return {number: graded for part in sharding.gather(answers) for number, graded in part.items()}


def pick(problem: Problem, grades: Grades) -> tuple[Answer, Answer] | None:
    """(chosen, rejected) as shown to the reward model, None if no two answers differ in grade.

    The pair closest in length is chosen, so that length does not predict preference.
    """
    pairs = [
        ((shown(problem, better[0]), better[1]), (shown(problem, worse[0]), worse[1]))
        for better, worse in permutations(sorted(grades), 2)
        if grades[better] > grades[worse]
    ]
    pairs = [(chosen, rejected) for chosen, rejected in pairs if chosen != rejected]
    return min(pairs, key=lambda pair: (abs(len(pair[0][0]) - len(pair[1][0])), pair), default=None)
