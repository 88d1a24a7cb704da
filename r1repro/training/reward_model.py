"""A preference reward model on TRL: pairs, the Bradley-Terry loss (R1 v2, 3.1)."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RewardModelConfig
from r1repro.errors import R1ReproError
from r1repro.training import sft, sharding


def train(
    model: PreTrainedModel,
    words: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[list[int], list[int]]],
    settings: RewardModelConfig,
    *,
    seed: int,
    folder: Path,
    progress: Progress,
    engine: EngineConfig = PLAIN_ENGINE,
) -> list[dict[str, Any]]:
    """Train a one-label classifier in place on (chosen, rejected) token ids; metrics, a row a log.

    Continues from the newest checkpoint in `folder`, to the same weights as without the break.
    Several processes leave out a last batch that is not whole.
    """
    lengths = [max(len(chosen), len(rejected)) for chosen, rejected in pairs]
    order = sft.epochs(lengths, settings, random.Random(seed))
    if sharding.processes() > 1:
        # Or the last batch, where it is not whole, would be filled up with the first pairs again.
        order = order[: len(order) // settings.batch_size * settings.batch_size]
    if not order:
        raise R1ReproError(
            f"{len(pairs)} pairs do not fill a batch of {settings.batch_size} among several "
            "processes: lower stage.reward_model.batch_size, or raise stage.reward_model.questions"
        )
    data = [{"chosen_ids": pairs[row][0], "rejected_ids": pairs[row][1]} for row in order]
    steps = math.ceil(len(data) / settings.batch_size)
    optimizer, rate = sft.optimizer_and_rate(model, settings, steps)
    told = RewardConfig(
        max_length=None,
        disable_dropout=True,
        **sft.arguments(settings, steps, seed, folder, engine),
    )
    sharding.keep_float32(told, engine)
    trainer = RewardTrainer(
        model=model, args=told, train_dataset=Dataset.from_list(data), processing_class=words
    )
    trainer.optimizer, trainer.lr_scheduler = optimizer, rate
    both = [len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in data]
    recorder = sft.Recorder(settings, both, model, progress)
    return sft.run(trainer, recorder, folder)
