"""What TRL's trainers share in every stage: arguments, recorded metrics, and resuming."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from transformers import PreTrainedModel, TrainerCallback
from transformers.trainer_callback import PrinterCallback

from r1repro.artifacts import Progress, renamed
from r1repro.config import EngineConfig, RLConfig, SFTConfig
from r1repro.training import sharding
from r1repro.training.resume import mark_complete, newest_checkpoint, stop, stop_asked


def arguments(
    kind: Any,
    settings: RLConfig | SFTConfig,
    rows: int,
    steps: int,
    *,
    seed: int,
    folder: Path,
    engine: EngineConfig,
    **more: Any,
) -> Any:
    """A trainer's arguments, of TRL's class `kind`, for `rows` at once in each process."""
    found = kind(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=rows,
        max_steps=steps,
        learning_rate=settings.lr_matrices,
        max_grad_norm=1.0,
        seed=seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=engine.precision == "bfloat16",
        gradient_checkpointing=engine.gradient_checkpointing,
        save_strategy="steps",
        save_steps=settings.save_every,
        # Keep the previous checkpoint until the new one is complete.
        save_total_limit=2,
        report_to=engine.report_to,
        run_name=folder.name,
        project="r1repro",
        disable_tqdm=True,
        **sharding.arguments(engine),
        **more,
    )
    sharding.keep_float32(found, engine)
    return found


class Recorder(TrainerCallback):
    """Metrics of a run, one row per log, saved with every checkpoint.

    tables: the attributes that are saved, lists of rows.
    resumable: training can resume after multiples of this many steps.
    """

    tables: tuple[str, ...] = ("rows",)
    resumable = 1

    def __init__(self, settings: Any, model: PreTrainedModel, progress: Progress):
        self.settings, self.progress = settings, progress
        self.parameters = model.num_parameters()
        self.moved = model.num_parameters(only_trainable=True)
        self.rows: list[dict[str, Any]] = []
        self.before, self.started = 0.0, time.perf_counter()
        self.stop_asked: Callable[[], bool] = lambda: False
        self.stopping = False

    def elapsed(self) -> float:
        """Seconds of training, including those before an interruption."""
        return self.before + time.perf_counter() - self.started

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.check(args, kwargs["model"])

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.log_history.clear()  # it grows with every step, and `tables` hold what is needed
        over = state.global_step >= state.max_steps or control.should_training_stop
        if self.stop_asked() and state.global_step % self.resumable == 0 and not over:
            control.should_save = self.stopping = True

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        sharding.wait()
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        for name in self.tables:
            pd.DataFrame(getattr(self, name)).to_parquet(folder / f"{name}.parquet")
        mark_complete(folder)
        if self.stopping:
            stop(state.global_step)

    def restore(self, checkpoint: Path) -> None:
        """Restore the tables saved with a checkpoint."""
        for name in self.tables:
            saved = renamed(pd.read_parquet(checkpoint / f"{name}.parquet"))
            setattr(self, name, saved.to_dict("records"))
        self.before = self.rows[-1]["seconds"] if self.rows else 0.0


def prepare(
    trainer: Any,
    recorder: Recorder,
    optimizer: torch.optim.Optimizer,
    factor: Callable[[int], float],
) -> None:
    """Give the trainer its optimizer, the learning rate's factor by update, and its recorder."""
    # After construction: TRL rejects an optimizer among its arguments for sharded weights.
    trainer.optimizer = optimizer
    trainer.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(recorder)
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:
            # TRL makes them bfloat16 next to 4-bit weights, which would round most updates away.
            parameter.data = parameter.data.float()


def run(trainer: Any, recorder: Recorder, folder: Path) -> None:
    """Train to the end, from the newest checkpoint in `folder` if there is one."""
    newest = newest_checkpoint(folder)
    if newest is not None:
        recorder.restore(newest)
    with stop_asked() as recorder.stop_asked:
        trainer.train(resume_from_checkpoint=str(newest) if newest else None)
