"""Direct preference optimization on TRL (Rafailov et al. 2023, arXiv 2305.18290, Eq. 7).

The loss is TRL's; `paradigm.dpo_loss` on `paradigm.dpo_margin` is the same by formula.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import DPOConfig, DPOTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, SFTConfig
from r1repro.errors import R1ReproError
from r1repro.training import sft

BETA = 0.1
"""The coefficient of the reference, as in that paper's experiments."""


@dataclass(frozen=True)
class Pair:
    """Token ids of a prompt and of two answers to it."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]

    @property
    def tokens(self) -> int:
        """Tokens read: the prompt twice, and both answers."""
        return 2 * len(self.prompt) + len(self.chosen) + len(self.rejected)


class Trainer(DPOTrainer):
    """DPOTrainer on token ids, which TRL would decode and tokenize again."""

    def _prepare_dataset(self, dataset: Dataset, *args: Any, **kwargs: Any) -> Dataset:
        return dataset


def train(
    model: PreTrainedModel,
    reference: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    pairs: Sequence[Pair],
    settings: SFTConfig,
    *,
    seed: int,
    folder: Path,
    progress: Progress,
    engine: EngineConfig = PLAIN_ENGINE,
) -> list[dict[str, Any]]:
    """Train `model` in place; one metrics row per log.

    Resumes from the newest checkpoint in `folder`, to the weights of an uninterrupted run. With
    several processes an incomplete last batch is dropped. Raises R1ReproError if no batch remains.
    """
    lengths = [max(len(pair.chosen), len(pair.rejected)) for pair in pairs]
    order = [pairs[row] for row in sft.whole_batches(lengths, settings, seed)]
    if not order:
        raise R1ReproError(
            f"{len(pairs)} pairs of a right and a wrong answer to a question fill no batch of DPO: "
            "raise stage.r1_zero.questions or stage.r1_zero.generations"
        )
    data = [
        {"prompt_ids": pair.prompt, "chosen_ids": pair.chosen, "rejected_ids": pair.rejected}
        for pair in order
    ]
    recorder = sft.Recorder(settings, [pair.tokens for pair in order], model, progress)
    return sft.fit(
        partial(Trainer, ref_model=reference), DPOConfig, model, tokenizer, data, recorder, seed,
        folder, engine, beta=BETA,
    )  # fmt: skip
