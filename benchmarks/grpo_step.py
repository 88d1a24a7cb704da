"""Seconds of a whole GRPO step: ours against a stock TRL GRPOTrainer at its best micro-batch size.

Fixed work on both sides: the mini world's base (built if it is not there), 32 x 16 completions,
the same cap and objective, beta 0.001, every row trained on, the same optimizer at learning rate
zero, so that no step changes the next. Both sides in turn; the last line is the median ratio.

    python benchmarks/grpo_step.py [--rounds 5] [hydra overrides]
"""

import argparse
import dataclasses
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402
from datasets import Dataset  # noqa: E402
from transformers import PreTrainedTokenizerFast, TrainerCallback  # noqa: E402
from transformers.trainer_callback import PrinterCallback  # noqa: E402
from trl import GRPOTrainer  # noqa: E402

from r1repro.config import EngineConfig, RLConfig, compose  # noqa: E402
from r1repro.notebook import open_run  # noqa: E402
from r1repro.rewards import rule_rewards  # noqa: E402
from r1repro.stages.models import load_tokenizer, load_trained  # noqa: E402
from r1repro.tasks import templates, worlds  # noqa: E402
from r1repro.tasks.problem import Problem  # noqa: E402
from r1repro.training import rl  # noqa: E402
from r1repro.training.optimizer import MuonWithAdamW  # noqa: E402

MICRO_BATCHES = (32, 64, 128, 256, 512)
STEPS = 2  # of which the second is timed


class Stopwatch(TrainerCallback):
    """Seconds of each step, the optimizer's included."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_step_begin(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        self.started = time.perf_counter()

    def on_step_end(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        self.seconds.append(time.perf_counter() - self.started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    config = compose(args.overrides)
    base = open_run(overrides=args.overrides, build_missing=True).stage("base").folder / "model"
    tokenizer = load_tokenizer(base)
    settings = dataclasses.replace(
        config.stage.r1_zero,
        questions=32,
        generations=16,
        max_completion_tokens=128,
        beta=0.001,
        steps_per_generation=1,
        steps=STEPS,
        lr_matrices=0.0,
        lr_rest=0.0,
        save_every=10**6,
        sample_every=10**6,
    )
    stream = worlds.of(config.task).train(0)
    problems = [next(stream) for _ in range(STEPS * settings.questions)]
    seconds = measured(
        base, tokenizer, problems, settings, MICRO_BATCHES, args.rounds, config.engine
    )
    print(f"ratio: {statistics.median(theirs / ours for ours, theirs in seconds):.1f}")


def measured(
    base: Path,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    settings: RLConfig,
    sizes: Sequence[int],
    rounds: int,
    engine: EngineConfig,
    template: str = "mini",
) -> list[tuple[float, float]]:
    """Seconds of a step of (ours, stock at the best of these micro-batch sizes) in each round."""
    rows = settings.questions * settings.generations
    with tempfile.TemporaryDirectory() as folder:
        ours, recorder = rl.build(
            load_trained(base, engine, 0), tokenizer, problems, settings,
            template=template, seed=0, folder=Path(folder), engine=engine,
        )  # fmt: skip
        stocks = {
            size: stock(base, tokenizer, problems, settings, size, Path(folder), engine, template)
            for size in sizes
            if size <= rows and rows % size == 0 and size % settings.generations == 0
        }
        trial = {size: timed(trainer) for size, trainer in stocks.items()}
        best = min(trial, key=lambda size: trial[size])
        print("stock by micro-batch size:", {n: f"{s:.1f} s" for n, s in trial.items()})
        timed(ours)  # warm-up
        found = []
        for number in range(1, rounds + 1):
            mine, theirs = timed(ours), timed(stocks[best])
            parts = recorder.rows[-1]
            print(
                f"round {number}: ours {mine:.2f} s (rollout {parts['seconds_rollout']:.2f}, "
                f"reference {parts['seconds_reference']:.2f}, update "
                f"{parts['seconds_update']:.2f}; mean length {parts['length']:.1f})   "
                f"stock, micro-batch {best}: {theirs:.2f} s"
            )
            found.append((mine, theirs))
    return found


def stock(base, tokenizer, problems, settings, size, folder, engine, template):  # type: ignore[no-untyped-def]
    """A stock trainer of the same work with `size` rows a micro-batch."""
    rows = settings.questions * settings.generations
    arguments = rl.trainer_arguments(settings, 0, folder, engine)
    arguments = dataclasses.replace(
        arguments,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=rows // size,
        steps_per_generation=rows // size,
        generation_batch_size=None,
    )
    model = load_trained(base, engine, 0)
    optimizer = MuonWithAdamW(model, 0.0, 0.0)
    trainer = GRPOTrainer(
        model=model,
        args=arguments,
        reward_funcs=[rule_rewards.accuracy, rule_rewards.format],
        train_dataset=Dataset.from_list(
            [
                {"prompt": templates.render(template, p), **rule_rewards.columns_of(p)}
                for p in problems
            ]
        ),
        processing_class=tokenizer,
        optimizers=(optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)),
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def timed(trainer) -> float:  # type: ignore[no-untyped-def]
    """Seconds of the second of two steps."""
    watch = Stopwatch()
    trainer.add_callback(watch)
    trainer.train()
    trainer.remove_callback(watch)
    return watch.seconds[-1]


if __name__ == "__main__":
    main()
