"""One model on one GPU: rollouts against `generate()`, a GRPO step against stock TRL in the same
precision, and the peak of memory against what `r1repro plan` computes."""

import gc
import statistics
import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from benchmarks import grpo_step, rollouts
from r1repro.config import EngineConfig, ModelConfig, RLConfig, compose
from r1repro.planning import memory
from r1repro.stages.base_model import TOKENIZER_DOCUMENTS
from r1repro.stages.models import load_model, load_tokenizer, load_trained, save_model
from r1repro.tasks import corpus, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl
from r1repro.training.shape import described

ENGINE = EngineConfig(precision="bfloat16")
ROUNDS = 1


def of_shape(
    shape: ModelConfig, settings: RLConfig, stock_rows: Sequence[int] = ()
) -> dict[str, Any]:
    """Figures of a model of that shape from random weights, whose completions run to their cap."""
    world = worlds.of(compose().task)
    tokenizer = train_tokenizer(islice(corpus.documents(world, 0), TOKENIZER_DOCUMENTS))
    config = described(
        shape,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "model"
        torch.manual_seed(0)
        save_model(AutoModelForCausalLM.from_config(config, dtype=torch.float32), tokenizer, base)
        problems = list(islice(world.train(0), grpo_step.STEPS * settings.questions))
        return of_folder(base, problems, settings, stock_rows, "mini")


def of_folder(
    base: Path,
    problems: Sequence[Problem],
    settings: RLConfig,
    stock_rows: Sequence[int],
    template: str,
    engine: EngineConfig = ENGINE,
    rounds: int = ROUNDS,
) -> dict[str, Any]:
    """Figures of the model in a folder, asked the first of `problems` in that template.

    stock_rows: rows of a micro-batch of stock TRL, of which the fastest is taken.
    """
    problems = problems[: grpo_step.STEPS * settings.questions]
    tokenizer = load_tokenizer(base)
    asked = [templates.render(template, problem) for problem in problems]
    with tempfile.TemporaryDirectory() as place:
        peak = _peak(base, tokenizer, problems, settings, template, Path(place), engine)
    speeds = rollouts.measured(
        load_model(base, engine).eval(),
        tokenizer,
        [text for text in asked[: settings.questions] for _ in range(settings.generations)],
        settings.max_completion_tokens,
        rounds,
    )
    _emptied()
    steps = grpo_step.measured(
        base, tokenizer, problems, settings, stock_rows, rounds, engine, template
    )
    _emptied()
    shape = AutoConfig.from_pretrained(base)
    counts = memory.count(shape)
    prompt = max(len(tokenizer.encode(text)) for text in asked)
    needed = memory.grpo(shape, counts, settings, engine, 1, prompt)
    return {
        "parameters": counts.total,
        "completions": settings.questions * settings.generations,
        "cap": settings.max_completion_tokens,
        "longest_prompt": prompt,
        "rollout_tokens_per_s": {"ours": _median(speeds, 0), "generate": _median(speeds, 1)},
        "rollout_ratio": statistics.median(ours / theirs for ours, theirs in speeds),
        "grpo_step_seconds": {"ours": _median(steps, 0), "stock": _median(steps, 1)},
        "grpo_step_ratio": statistics.median(theirs / ours for ours, theirs in steps),
        "peak_bytes": {"computed": needed.peak, "measured": peak},
    }


def _peak(
    base: Path,
    tokenizer: Any,
    problems: Sequence[Problem],
    settings: RLConfig,
    template: str,
    folder: Path,
    engine: EngineConfig,
) -> int | None:
    """The most bytes that tensors had in two GRPO steps; None on CPUs, where nobody counts them."""
    if not torch.cuda.is_available():
        return None
    trainer, _ = rl.build(
        load_trained(base, engine, 0), tokenizer, problems, settings,
        template=template, seed=0, folder=folder, engine=engine,
    )  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    found = torch.cuda.max_memory_allocated()
    del trainer
    _emptied()
    return found


def _emptied() -> None:
    """Give the card's memory back: the stages' own processes need it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _median(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return statistics.median(pair[side] for pair in pairs)
