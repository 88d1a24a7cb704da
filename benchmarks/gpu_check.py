"""What one GPU does with all this, in less than 8 minutes; nothing is installed or downloaded.

First a model of Qwen2.5-0.5B's shape from random weights, whose completions run to their cap:
rollouts against `generate()`, a GRPO step against stock TRL, and its peak of memory against what
`r1repro plan` computes. Then, where Unsloth is installed, the mini sequence up to R1-Zero with it,
which is told and may fail. Then the whole mini sequence at scale=gpu in bfloat16, everything cut to
fit the time. Its report is published as a version, the figures beside it in gpu_check.json.

Exit code 2 without a GPU; 1 if the sequence failed, the report could not be published or the time
ran out, after which the same command goes on from what is finished.

    python -m benchmarks.gpu_check [--rehearse]
"""

import argparse
import dataclasses
import gc
import importlib.util
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM

from benchmarks import grpo_step, rollouts
from r1repro.artifacts import hardware, write_atomically
from r1repro.config import (
    LONGEST_PROMPT,
    ROOT,
    EngineConfig,
    ModelConfig,
    RLConfig,
    compose,
)
from r1repro.errors import R1ReproError
from r1repro.planning import memory
from r1repro.reports.publish import publish
from r1repro.runner.sequence import run_folder
from r1repro.runner.workspace import Workspace
from r1repro.stages.base_model import TOKENIZER_DOCUMENTS
from r1repro.stages.models import load_model, load_tokenizer, load_trained, save_model
from r1repro.tasks import corpus, templates, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl
from r1repro.training.shape import described

SECONDS = 465.0
"""For all of it; what is ended then has some seconds to write its checkpoint's end."""
UNSLOTH_SECONDS = 100.0
FIGURES = "gpu_check.json"
ENGINE = EngineConfig(precision="bfloat16")
LAPTOP = compose()
SETTINGS = dataclasses.replace(
    LAPTOP.stage.r1_zero,
    steps=grpo_step.STEPS,
    questions=8,
    generations=8,
    max_completion_tokens=256,
    lr_matrices=0.0,
    lr_rest=0.0,
    micro_batch_tokens=8_192,
    save_every=10**6,
    sample_every=10**6,
)
STOCK_ROWS = (8, 32)
"""Rows of a micro-batch of stock TRL, of which the faster is taken."""
# A stage is a process, and loading the libraries is the larger part of most.
SEQUENCE = """
    scale=gpu engine.precision=bfloat16 task.test_problems=200
    stage.base.tokens=10000000 stage.qwen_base.tokens=2000000 stage.llama_base.tokens=2000000
    stage.r1_zero.steps=40 stage.r1_zero.questions=32 stage.dev2.steps=12 stage.r1.steps=12
    stage.qwen_rl.steps=8 stage.llama_rl.steps=8
    stage.qwen_distilled_rl.steps=8 stage.llama_distilled_rl.steps=8
    stage.cold_start_data.questions=1000 stage.rejection_sampling.questions=1000
    stage.reward_model.questions=1000
    evaluation.samples=4 evaluation.samples_between=2 evaluation.max_completion_tokens=128
""".split()
REHEARSED = ["scale=smoke"]
TINY = dataclasses.replace(LAPTOP.model, hidden_size=32, layers=2, intermediate_size=48)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rehearse", action="store_true", help="try the script on CPUs, tiny; publishes nothing"
    )
    rehearsed = parser.parse_args(argv).rehearse
    if not torch.cuda.is_available() and not rehearsed:
        print("no GPU is here: gpu-check wants one that torch sees (--rehearse tries the script)")
        return 2
    ends = time.monotonic() + SECONDS
    until = "base" if rehearsed else None
    if rehearsed:
        small = dataclasses.replace(
            SETTINGS, questions=2, generations=4, max_completion_tokens=8, micro_batch_tokens=512
        )
        found, sequence = throughput(TINY, small, (8,), rounds=1), REHEARSED
    else:
        shape = compose(["scale=gpu", "model=qwen2.5-0.5b"]).model
        found, sequence = throughput(shape, SETTINGS, STOCK_ROWS, rounds=2), SEQUENCE
    print(json.dumps(found, indent=1), flush=True)
    if importlib.util.find_spec("unsloth") and not rehearsed:
        started = time.monotonic()
        overrides = [*SEQUENCE, "engine.unsloth=true", "engine.lora_rank=16"]
        finished = ran(overrides, UNSLOTH_SECONDS, "r1_zero")
        found["unsloth"] = {"finished": finished, "seconds": time.monotonic() - started}
    if not ran(sequence, ends - time.monotonic(), until):
        return 1
    folder = run_folder(Workspace(compose(sequence)), until)
    write_atomically(folder / FIGURES, json.dumps(found, indent=1) + "\n")
    print(f"figures: {folder / FIGURES}")
    if rehearsed:
        return 0
    try:
        version = publish(folder, ROOT / "reports")
    except R1ReproError as error:
        print(f"the report is not published: {error}")
        return 1
    write_atomically(version / FIGURES, json.dumps(found, indent=1) + "\n")
    print(f"published: {version}")
    return 0


def throughput(
    shape: ModelConfig, settings: RLConfig, stock_rows: Sequence[int], rounds: int
) -> dict[str, Any]:
    """Figures of a model of that shape from random weights, asked the mini world's questions."""
    world = worlds.of(LAPTOP.task)
    tokenizer = train_tokenizer(islice(corpus.documents(world, 0), TOKENIZER_DOCUMENTS))
    problems = list(islice(world.train(0), grpo_step.STEPS * settings.questions))
    texts = [
        templates.render("mini", problem)
        for problem in problems[: settings.questions]
        for _ in range(settings.generations)
    ]
    described_as = described(
        shape,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with tempfile.TemporaryDirectory() as place:
        base = Path(place) / "model"
        torch.manual_seed(0)
        save_model(
            AutoModelForCausalLM.from_config(described_as, dtype=torch.float32), tokenizer, base
        )
        tokenizer = load_tokenizer(base)
        peak = _peak(base, tokenizer, problems, settings, Path(place) / "peak")
        speeds = rollouts.measured(
            load_model(base, ENGINE).eval(),
            tokenizer,
            texts,
            settings.max_completion_tokens,
            rounds,
        )
        _emptied()
        steps = grpo_step.measured(base, tokenizer, problems, settings, stock_rows, rounds, ENGINE)
        _emptied()
    counts = memory.count(described_as)
    needed = memory.grpo(described_as, counts, settings, ENGINE, 1, LONGEST_PROMPT)
    return {
        "hardware": hardware(),
        "parameters": counts.total,
        "completions": settings.questions * settings.generations,
        "cap": settings.max_completion_tokens,
        "rollout_tokens_per_s": {"ours": _median(speeds, 0), "generate": _median(speeds, 1)},
        "rollout_ratio": statistics.median(ours / theirs for ours, theirs in speeds),
        "grpo_step_seconds": {"ours": _median(steps, 0), "stock": _median(steps, 1)},
        "grpo_step_ratio": statistics.median(theirs / ours for ours, theirs in steps),
        "peak_bytes": {"computed": needed.peak, "measured": peak},
    }


def _peak(
    base: Path, tokenizer: Any, problems: Any, settings: RLConfig, folder: Path
) -> int | None:
    """The most bytes that tensors had in two GRPO steps; None on CPUs, where nobody counts them."""
    if not torch.cuda.is_available():
        return None
    trainer, _ = rl.build(
        load_trained(base, ENGINE, 0), tokenizer, problems, settings,
        template="mini", seed=0, folder=folder, engine=ENGINE,
    )  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    trainer.train()
    found = torch.cuda.max_memory_allocated()
    del trainer
    _emptied()
    return found


def _emptied() -> None:
    """Give the card's memory back: the sequence's own processes need it."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _median(pairs: Sequence[tuple[float, float]], side: int) -> float:
    return statistics.median(pair[side] for pair in pairs)


def ran(overrides: Sequence[str], seconds: float, until: str | None = None) -> bool:
    """Whether `r1repro run` with these settings ended well within that time."""
    words = ["run", *overrides, *(["--until", until] if until else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "r1repro.cli", *words], cwd=ROOT, start_new_session=True
    )
    try:
        return process.wait(timeout=max(1.0, seconds)) == 0
    except subprocess.TimeoutExpired:
        print("the time ran out; the same command goes on from the stages that are finished")
        return False
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    raise SystemExit(main())
