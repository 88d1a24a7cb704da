"""Pairs of a right and a wrong answer of a policy to one question, for learned rewards and DPO."""

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress
from r1repro.config import Config
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.rewards.correctness import is_correct
from r1repro.stages import samples
from r1repro.stages.reward_model import HELD_OUT, Answer
from r1repro.stages.samples import Answer as Sampled
from r1repro.tasks.problem import Problem


def shown(question: str, text: str) -> str:
    """What a reward model reads of an answer or its beginning."""
    return f"{question}\n{text}"


def require(pairs: pd.DataFrame, steps: str = "") -> None:
    """Raise R1ReproError if no pair is left to train on."""
    if "train" not in set(pairs.split):
        raise R1ReproError(
            f"no question has both a right and a wrong answer{steps} among its samples, so there "
            "is no pair to learn a reward from: raise stage.reward_model.questions or "
            "stage.reward_model.samples"
        )


def sampled(
    config: Config, policy: Path, stream: str, rng: random.Random, place: Path, progress: Progress
) -> pd.DataFrame:
    """Pairs of the policy's answers to training questions, with a share HELD_OUT of these held out.

    stream: seeds the questions; place: a stage's folder, which keeps the samples until it is done.
    """
    cap = config.stage.r1_zero.max_completion_tokens
    settings = replace(config.stage.reward_model, max_completion_tokens=cap)
    problems = samples.training_problems(config, stream, settings.questions)
    # Not vLLM, which would not free its memory for the training that follows
    own = replace(config, engine=replace(config.engine, rollouts="own"))
    answers, _ = samples.draw(
        own, policy / "model", checkpoints.form(config, "r1_zero"), problems, settings,
        progress, place,
    )  # fmt: skip
    found = paired(answers, config.stage.base_rft.keep_all)
    found = rng.sample(found, min(len(found), settings.questions))
    names = sorted({problem.id for problem, _, _ in found})
    held_out = set(rng.sample(names, round(HELD_OUT * len(names))))
    columns = "problem_id chosen rejected chosen_finished rejected_finished split replayed".split()
    rows = [
        (
            problem.id, shown(problem.prompt, right), shown(problem.prompt, wrong), ended, other,
            "held out" if problem.id in held_out else "train", False,
        )
        for problem, (right, ended), (wrong, other) in found
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def paired(answers: Sequence[Sampled], any_answer: bool) -> list[tuple[Problem, Answer, Answer]]:
    """Each right answer with the wrong one closest in length, so that length predicts little.

    any_answer: an answer counts as right if its number is even, for scale=smoke, where none is
    right.
    """
    found = []
    for problem, group in groupby(answers, key=lambda answer: answer[0]):
        sides: dict[bool, set[Answer]] = {True: set(), False: set()}
        for _, number, said in group:
            right = number % 2 == 0 if any_answer else is_correct(problem, said.text)
            sides[right].add((said.text, said.finished))
        wrong = sorted(sides[False] - sides[True])
        found += [
            (problem, right, min(wrong, key=lambda w: abs(len(w[0]) - len(right[0]))))
            for right in sorted(sides[True])
            if wrong
        ]
    return found
