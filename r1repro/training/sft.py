"""Supervised fine-tuning on TRL: loss on completions only, cosine schedule (R1 v2, B.4.2)."""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from trl import SFTConfig as Arguments
from trl import SFTTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, SFTConfig, rows_together
from r1repro.errors import R1ReproError
from r1repro.training import flops, sharding, trainers
from r1repro.training.optimizer import MuonWithAdamW

WARMUP_SHARE = 0.05
FINAL_RATE = 0.1
"""Final learning rate as a share of the peak: the paper decays from 5e-5 to 5e-6."""
IGNORED = -100
POOL = 1024
"""Examples are sorted by length within pools of this size only, which keeps batches varied."""


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    examples: Sequence[tuple[list[int], list[int]]],
    settings: SFTConfig,
    *,
    seed: int,
    folder: Path,
    progress: Progress,
    engine: EngineConfig = PLAIN_ENGINE,
) -> list[dict[str, Any]]:
    """Train `model` in place on (prompt, completion) token ids; one metrics row per log.

    Every epoch has its own order, in batches of similar length. Resumes from the newest checkpoint
    in `folder`, to the weights of an uninterrupted run. Raises R1ReproError without examples.
    """
    if not examples:
        raise R1ReproError(
            "there is no example to train on since the filters dropped every sample; draw more"
        )
    order = epochs([len(p) + len(c) for p, c in examples], settings, random.Random(seed))
    data = [
        {"input_ids": [*p, *c], "labels": [*([IGNORED] * len(p)), *c]}
        for p, c in (examples[row] for row in order)
    ]
    recorder = Recorder(settings, [len(row["input_ids"]) for row in data], model, progress)
    if sharding.processes() > 1:
        # Otherwise the first rows would be repeated to fill the last batch.
        empty = {**data[0], "labels": [IGNORED] * len(data[0]["labels"])}
        data += [empty] * (-len(data) % settings.batch_size)
    return fit(SFTTrainer, Arguments, model, tokenizer, data, recorder, seed, folder, engine)


def fit(
    kind: Any,
    arguments_kind: Any,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    data: list[dict[str, list[int]]],
    recorder: "Recorder",
    seed: int,
    folder: Path,
    engine: EngineConfig,
    **more: Any,
) -> list[dict[str, Any]]:
    """Train with TRL's trainer `kind` on the rows of `data` in order; returns the metrics."""
    settings, processes, steps = recorder.settings, sharding.processes(), recorder.steps
    rows = rows_together(settings, processes)
    arguments = trainers.arguments(
        arguments_kind, settings, rows, steps, seed=seed, folder=folder, engine=engine,
        gradient_accumulation_steps=settings.batch_size // processes // rows,
        train_sampling_strategy="sequential", max_length=None, logging_steps=settings.log_every,
        # Log a non-finite loss instead of the mean of the losses before it.
        logging_nan_inf_filter=False, **more,
    )  # fmt: skip
    optimizer = MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest)
    trainer = kind(
        model=model, args=arguments, train_dataset=Dataset.from_list(data),
        processing_class=tokenizer,
    )  # fmt: skip
    trainers.prepare(trainer, recorder, optimizer, lambda step: schedule(step, steps))
    trainers.run(trainer, recorder, folder)
    return recorder.rows


def epochs(lengths: Sequence[int], settings: SFTConfig, rng: random.Random) -> list[int]:
    """Row numbers of all epochs in sequence, with batches of similar length.

    The trainer cuts this order every `batch_size` rows. An epoch's leftover rows join the first
    pool of the next, so only the very last batch may be incomplete.
    """
    order: list[int] = []
    rest: list[int] = []
    size = settings.batch_size
    for _ in range(settings.epochs):
        rows = list(range(len(lengths)))
        rng.shuffle(rows)
        rows, rest = rest + rows, []
        batches: list[list[int]] = []
        for start in range(0, len(rows), POOL):
            pool = sorted(rest + rows[start : start + POOL], key=lambda row: lengths[row])
            # Leave over rows at random, or the longest would always come last.
            left = sorted(rng.sample(range(len(pool)), len(pool) % size))
            rest = [pool[at] for at in left]
            kept = [row for at, row in enumerate(pool) if at not in left]
            batches += [kept[i : i + size] for i in range(0, len(kept), size)]
        rng.shuffle(batches)
        order += [row for batch in batches for row in batch]
    return order + rest


def whole_batches(lengths: Sequence[int], settings: SFTConfig, seed: int) -> list[int]:
    """`epochs`, with several processes without an incomplete last batch.

    The trainer would repeat the first rows to fill it.
    """
    order = epochs(lengths, settings, random.Random(seed))
    left = len(order) % settings.batch_size if sharding.processes() > 1 else 0
    return order[: len(order) - left]


def schedule(step: int, steps: int) -> float:
    """Learning-rate factor before update `step` (from 0): warm-up, then cosine decay to a tenth."""
    warmup = min(1.0, (step + 1) / max(1.0, WARMUP_SHARE * steps))
    cosine = (1 + math.cos(math.pi * min(1.0, step / max(1, steps - 1)))) / 2
    return warmup * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


class Recorder(trainers.Recorder):
    """Metrics of an SFT or reward-model run; lengths: tokens of each data row, in order."""

    def __init__(
        self,
        settings: SFTConfig,
        lengths: Sequence[int],
        model: PreTrainedModel,
        progress: Progress,
    ):
        super().__init__(settings, model, progress)
        self.lengths, self.steps = lengths, math.ceil(len(lengths) / settings.batch_size)
        # The trainer's checkpoints lack the losses since its last log.
        self.resumable = settings.log_every

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is None or "loss" not in logs:
            return
        seconds, last = self.elapsed(), self.rows[-1] if self.rows else {}
        # TRL's own count restarts when a run is resumed.
        tokens = float(sum(self.lengths[: state.global_step * self.settings.batch_size]))
        since = max(seconds - last.get("seconds", 0.0), 1e-9)
        row = {
            "step": state.global_step,
            "loss": float(logs["loss"]),
            "accuracy": float(logs.get("mean_token_accuracy", logs.get("accuracy", math.nan))),
            "lr": float(logs["learning_rate"]),
            "tokens": tokens,
            "tokens_per_s": (tokens - last.get("tokens", 0.0)) / since,
            "seconds": seconds,
            "flops": flops.trained(self.parameters, self.moved, tokens),
        }
        self.rows.append(row)
        self.progress.update(
            state.global_step, self.steps, loss=row["loss"], **{"tokens/s": row["tokens_per_s"]}
        )
