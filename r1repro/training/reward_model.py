"""Preference reward model trained with TRL on pairs, Bradley-Terry loss (R1 v2, 3.1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import RewardConfig, RewardTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, RewardModelConfig
from r1repro.errors import R1ReproError
from r1repro.training import sft


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
    """Train a model with one output in place on (chosen, rejected) token ids; a row per log.

    Resumes from the newest checkpoint in `folder`, to the weights of an uninterrupted run. With
    several processes an incomplete last batch is dropped. Raises R1ReproError if no batch remains.
    """
    lengths = [max(len(chosen), len(rejected)) for chosen, rejected in pairs]
    order = sft.whole_batches(lengths, settings, seed)
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


def pad_apart(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Give both a padding token that is not the end token, in place.

    The score is read at the last token that is not padding. If the end token were padding, as in
    Llama, it would be read before the end, and a cut-off answer would score as a finished one.
    """
    if tokenizer.pad_token_id in (None, tokenizer.eos_token_id):
        tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
        special = [*tokenizer.all_special_tokens, *tokens]
        tokenizer.pad_token = next(token for token in special if token != tokenizer.eos_token)
    model.config.pad_token_id = tokenizer.pad_token_id
