"""How much of its maximum work a stage is expected to do, by results or by our laptop runs."""

from dataclasses import dataclass

import pandas as pd

from r1repro.config import Config
from r1repro.evaluation.checkpoints import BASES, about
from r1repro.planning.work import Work, kind, sampled_for
from r1repro.runner.graph import Stage, graph
from r1repro.runner.workspace import Workspace
from r1repro.stages.models import load_tokenizer
from r1repro.tasks.problem import GENERAL

BASE, ALONE, TAUGHT, GENERAL_ANSWER, EXAMPLE = 22, 31, 53, 14, 42
"""Mean tokens in our laptop runs, assumed without a result: of a base's answer, of one in RL from a
base, after fine-tuning, to a general item, and of a fine-tuning example."""
KEPT, PAIRED = 0.53, 0.73
"""Shares of the possible examples and pairs that were kept in those runs."""
ASSUMED = (
    f"{BASE} tokens a completion of a base, {ALONE} in RL from one, {TAUGHT} after fine-tuning, "
    f"{100 * KEPT:.0f} % of the possible examples, as in our laptop runs"
)


@dataclass(frozen=True)
class Expected:
    """Expected work of a stage.

    length: tokens of a sampled completion; rows: training rows, whose completions have `row`
    tokens; assumed: whether this is based on our runs rather than on results.
    """

    length: float
    rows: float
    row: float
    assumed: bool


def expected(config: Config, stage: Stage, most: Work) -> Expected:
    """The expected part of `most`, the stage's maximum work."""
    named = kind(stage)
    if named == "sft":
        return _examples(config, stage, most)
    if most.completions == 0:
        return Expected(0, 0, 0, False)
    found = _length(config, stage, most.cap)
    length = min(_typical(stage) if found is None else found, most.cap)
    if named == "rl":
        return Expected(length, most.learned, length, found is None)
    if named == "reward_model":
        # It reads a question and the answer without its thinking, about as long as a prompt.
        return Expected(length, PAIRED * most.learned, 0, True)
    general = most.general / most.completions
    length = (1 - general) * length + general * min(GENERAL_ANSWER, most.cap)
    return Expected(length, 0, 0, found is None)


def _examples(config: Config, stage: Stage, most: Work) -> Expected:
    data = _table(config, stage.inputs[1], "dataset.parquet")
    if data is None or not Workspace(config).is_done("base"):
        kept = 1.0 if sampled_for(config, stage.inputs[1]).keep_all else KEPT
        return Expected(0, kept * most.learned, min(EXAMPLE, most.longest), True)
    tokenizer = load_tokenizer(Workspace(config).place("base") / "model")
    tokens = sum(len(ids) for ids in tokenizer(data.completion.tolist())["input_ids"])
    return Expected(0, most.learned, tokens / len(data), False)


def _length(config: Config, stage: Stage, cap: int) -> float | None:
    """Mean tokens of a completion by a result; None without one.

    A policy's answers are as long as in the RL that trained it, else as in its evaluation. RL
    starts from the length of its policy, unless that is a base, whose answers RL changes.
    """
    named, policy = kind(stage), stage.inputs[0]
    if named == "rl" and policy in BASES:
        return None
    steps = _table(config, policy, "metrics.parquet")
    sampled = named in ("evaluate", "cold_start_data", "rejection_sampling")
    if sampled and steps is not None and "length" in steps:
        return float(steps.length.mean())
    if named == "evaluate":
        return None
    asked = _table(config, f"evaluate_{policy}", "evaluation.parquet")
    if asked is None:
        return None
    rows = asked[asked.task.isin(GENERAL) == (named == "reward_model")]
    return float(rows.tokens.clip(upper=cap).mean())


def _typical(stage: Stage) -> float:
    if kind(stage) == "reward_model":
        return GENERAL_ANSWER
    policy = stage.inputs[0]
    if policy in BASES:
        return ALONE if kind(stage) == "rl" else BASE
    return TAUGHT if about(policy).chat else ALONE


def _table(config: Config, name: str, file: str) -> pd.DataFrame | None:
    """A table of a stage's result; None if there is none."""
    if name not in graph(config) or not Workspace(config).is_done(name):
        return None
    place = Workspace(config).place(name) / file
    return pd.read_parquet(place) if place.is_file() else None
