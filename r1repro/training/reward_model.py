"""Preference reward model trained with TRL on pairs, Bradley-Terry loss (R1 v2, 3.1)."""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RewardModelConfig
from r1repro.errors import R1ReproError
from r1repro.training import sft, sharding


def train(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[tuple[list[int], list[int]]],
    settings: RewardModelConfig,
    *,
    seed: int,
    folder: Path,
    progress: Progress,
    engine: EngineConfig = PLAIN_ENGINE,
) -> list[dict[str, Any]]:
    """Train a one-label classifier in place on (chosen, rejected) token ids; one metrics row per
    log.

    Resumes from the newest checkpoint in `folder` and ends with the same weights as an
    uninterrupted run. With several processes an incomplete last batch is dropped. Raises
    R1ReproError if no batch remains.
    """
    lengths = [max(len(chosen), len(rejected)) for chosen, rejected in pairs]
    order = sft.epochs(lengths, settings, random.Random(seed))
    if sharding.processes() > 1:
        # Otherwise the first pairs would be repeated to fill the last batch.
        order = order[: len(order) // settings.batch_size * settings.batch_size]
    if not order:
        raise R1ReproError(
            f"{len(pairs)} pairs do not fill a batch of {settings.batch_size} across several "
            "processes; lower stage.reward_model.batch_size or raise stage.reward_model.questions"
        )
    data = [{"chosen_ids": pairs[row][0], "rejected_ids": pairs[row][1]} for row in order]
    both = [len(row["chosen_ids"]) + len(row["rejected_ids"]) for row in data]
    return sft.fit(
        RewardTrainer, RewardConfig, model, tokenizer, data,
        sft.Recorder(settings, both, model, progress), seed, folder, engine, disable_dropout=True,
    )  # fmt: skip
