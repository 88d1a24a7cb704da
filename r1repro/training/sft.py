"""Supervised fine-tuning on TRL: loss on completions only, cosine schedule (R1 v2, B.4.2)."""

import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerFast, TrainerCallback
from transformers.trainer_callback import PrinterCallback
from trl import SFTConfig as Arguments
from trl import SFTTrainer

from r1repro.artifacts import Progress
from r1repro.config import PLAIN_ENGINE, EngineConfig, SFTConfig, rows_together
from r1repro.errors import R1ReproError
from r1repro.training import adapters, flops, sharding
from r1repro.training.checkpoints import COMPLETE, newest_checkpoint
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
    in `folder` and ends with the same weights as an uninterrupted run. Raises R1ReproError without
    examples.
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
    lengths = [len(row["input_ids"]) for row in data]
    if sharding.processes() > 1:
        # Otherwise the first rows would be repeated to fill the last batch.
        empty = {"input_ids": data[0]["input_ids"], "labels": [IGNORED] * lengths[0]}
        data += [empty] * (-len(data) % settings.batch_size)
    recorder = Recorder(settings, lengths, model, progress)
    steps = recorder.steps
    optimizer, rate = optimizer_and_rate(model, settings, steps)
    config = Arguments(max_length=None, **arguments(settings, steps, seed, folder, engine))
    sharding.keep_float32(config, engine)
    trainer = SFTTrainer(
        model=model, args=config, train_dataset=Dataset.from_list(data), processing_class=tokenizer
    )
    # Set after construction: TRL rejects these arguments for sharded weights.
    trainer.optimizer, trainer.lr_scheduler = optimizer, rate
    return run(trainer, recorder, folder)


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
            whole = len(pool) // size
            # Leave over rows at random, or the longest would always come last.
            rest = sorted(rng.sample(range(len(pool)), len(pool) - whole * size))
            kept = [row for at, row in enumerate(pool) if at not in set(rest)]
            rest = [pool[at] for at in rest]
            batches += [kept[i : i + size] for i in range(0, len(kept), size)]
        rng.shuffle(batches)
        order += [row for batch in batches for row in batch]
    return order + rest


def arguments(
    settings: SFTConfig,
    steps: int,
    seed: int,
    folder: Path,
    engine: EngineConfig,
) -> dict[str, Any]:
    """Arguments shared by TRL's SFT and reward trainers; rows come in our order."""
    processes = sharding.processes()
    rows = rows_together(settings, processes)
    return dict(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=settings.batch_size // processes // rows,
        max_steps=steps,
        learning_rate=settings.lr_matrices,
        max_grad_norm=1.0,
        train_sampling_strategy="sequential",
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=engine.precision == "bfloat16",
        gradient_checkpointing=engine.gradient_checkpointing,
        logging_steps=settings.log_every,
        # Log a non-finite loss instead of the mean of the losses before it.
        logging_nan_inf_filter=False,
        save_strategy="steps",
        save_steps=settings.save_every,
        # Keep the previous checkpoint until the new one is complete.
        save_total_limit=2,
        report_to=engine.report_to,
        run_name=folder.name,
        project="r1repro",
        disable_tqdm=True,
        **sharding.arguments(engine),
    )


def optimizer_and_rate(
    model: torch.nn.Module, settings: SFTConfig, steps: int
) -> tuple[MuonWithAdamW, torch.optim.lr_scheduler.LambdaLR]:
    """The optimizer of every stage, with a cosine schedule over `steps`."""
    optimizer = MuonWithAdamW(model, settings.lr_matrices, settings.lr_rest)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: schedule(step, steps)
    )


def schedule(step: int, steps: int) -> float:
    """Learning-rate factor before update `step` (from 0): warm-up, then cosine decay to a tenth."""
    warmup = min(1.0, (step + 1) / max(1.0, WARMUP_SHARE * steps))
    cosine = (1 + math.cos(math.pi * min(1.0, step / max(1, steps - 1)))) / 2
    return warmup * (FINAL_RATE + (1 - FINAL_RATE) * cosine)


def run(trainer: Any, recorder: "Recorder", folder: Path) -> list[dict[str, Any]]:
    """Train to the end from the newest checkpoint, if any; returns the recorded rows."""
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(recorder)
    adapters.to_float32(trainer.model)
    newest = newest_checkpoint(folder)
    if newest is not None:
        recorder.restore(newest)
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    return recorder.rows


class Recorder(TrainerCallback):
    """Metrics of an SFT or reward-model run, one row per log.

    lengths: tokens of each data row, in order.
    """

    def __init__(
        self,
        settings: SFTConfig,
        lengths: Sequence[int],
        model: PreTrainedModel,
        progress: Progress,
    ):
        self.settings, self.lengths, self.progress = settings, lengths, progress
        self.steps = math.ceil(len(lengths) / settings.batch_size)
        self.parameters = model.num_parameters()
        self.moved = model.num_parameters(only_trainable=True)
        self.rows: list[dict[str, Any]] = []
        self.before = 0.0
        self.started = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs is None or "loss" not in logs:
            return
        seconds = self.before + time.perf_counter() - self.started
        # TRL's own count restarts when a run is resumed.
        tokens = float(sum(self.lengths[: state.global_step * self.settings.batch_size]))
        seen = tokens - (self.rows[-1]["tokens"] if self.rows else 0.0)
        since = seconds - (self.rows[-1]["seconds"] if self.rows else 0.0)
        row = {
            "step": state.global_step,
            "loss": float(logs["loss"]),
            "accuracy": float(logs.get("mean_token_accuracy", logs.get("accuracy", math.nan))),
            "lr": float(logs["learning_rate"]),
            "tokens": tokens,
            "tokens_per_s": seen / max(since, 1e-9),
            "seconds": seconds,
            "flops": flops.trained(self.parameters, self.moved, tokens),
        }
        self.rows.append(row)
        self.progress.update(
            state.global_step, self.steps, loss=row["loss"], **{"tokens/s": row["tokens_per_s"]}
        )

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.check(args, kwargs["model"])

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.wait()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        pd.DataFrame(self.rows).to_parquet(folder / "rows.parquet")
        (folder / COMPLETE).touch()

    def restore(self, checkpoint: Path) -> None:
        """Restore the metrics saved with a checkpoint."""
        self.rows = pd.read_parquet(checkpoint / "rows.parquet").to_dict("records")
        self.before = self.rows[-1]["seconds"] if self.rows else 0.0
