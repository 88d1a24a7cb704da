"""Stage process_model: a learned reward for the steps of an answer (DeepSeekMath 4.1.3).

As in Math-Shepherd (Wang et al., arXiv 2312.08935), which DeepSeekMath follows, nobody labels
steps: a step is good if answers that begin with it end right. From samples of the base, each with
its verdict, the beginnings of a right and of a wrong answer to one question make a pair for every
step that both have, and a reward model learns to tell them apart (Bradley and Terry), as that of
whole answers does. Math-Shepherd instead samples several completions of every beginning and labels
each step by them; here one verdict stands for all beginnings of its answer, so the true first steps
of a wrong answer are on the losing side too.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config
from r1repro.rewards.preference import Preference
from r1repro.rewards.steps import read_steps
from r1repro.stages import answer_pairs, reward_model
from r1repro.stages.models import load_reward_model, load_tokenizer, new_reward_model
from r1repro.training.completion_steps import Judge


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes model/ (the base with a scalar head), pairs.parquet and metrics.parquet.

    pairs.parquet: the rows of reward_model.fit, with the step's number, from 1, as `step`.
    """
    base = inputs["base"].folder
    rng = random.Random(f"process-{config.seed}")
    sampled = answer_pairs.sampled(config, base, "process", rng, folder, progress)
    pairs = by_step(sampled, config.stage.base_rft.keep_all)
    answer_pairs.require(pairs, " with steps")
    place = base / "model"
    model = new_reward_model(place, config.engine, config.seed)
    reward_model.fit(config, model, load_tokenizer(place), pairs, folder, progress)


def by_step(pairs: pd.DataFrame, any_text: bool = False) -> pd.DataFrame:
    """Pairs of beginnings, one for every step that both answers have and that differs.

    pairs: of answer_pairs.sampled, whose texts begin with the question. any_text: a text without
    steps counts as one step, for scale=smoke, where no text has any.
    """
    rows = []
    for pair in pairs.to_dict("records"):
        sides = (
            [step.beginning for step in read_steps(text)] or ([text] if any_text else [])
            for text in (pair["chosen"], pair["rejected"])
        )
        for number, (chosen, rejected) in enumerate(zip(*sides, strict=False), start=1):
            if chosen != rejected:
                begun = {"chosen": chosen, "rejected": rejected, "step": number}
                rows.append(pair | begun | {"chosen_finished": False, "rejected_finished": False})
    return pd.DataFrame(rows, columns=[*pairs.columns, "step"])


def judge(config: Config, folder: Path) -> Judge:
    """The step rewards of the model of a stage's folder: the sigmoid of its score."""
    place = folder / "model"
    model = Preference(load_reward_model(place, config.engine), load_tokenizer(place))

    def rewards(asked: Sequence[tuple[str, str]]) -> tuple[list[float], int]:
        return model.scores_of_beginnings([answer_pairs.shown(*one) for one in asked])

    return rewards
