"""What one GPU does with all this, in less than 7 minutes; nothing is installed or downloaded.

First a model of Qwen2.5-0.5B's shape from random weights, whose completions run to their cap:
rollouts against `generate()`, a GRPO step against stock TRL, and its peak of memory against what
`r1repro plan` computes. With `--smollm2 FOLDER` (or FILE.gguf) the same of SmolLM2-135M-Instruct on
generated word problems, then R1-Zero from it: accuracy, format and length by step, pass@1 before
and after. Beside that runs the mini sequence at scale=gpu in bfloat16, everything cut to fit the
time: up to R1-Zero beside SmolLM2, whole without. Where Unsloth is installed, it is tried before.

Each part has its time and may fail alone; what is known is in runs/gpu_check.json as soon as it is.
The mini sequence's report is published as a version, the figures beside it.

Exit code 2 without a GPU; 1 if a part failed, the report could not be published or the time ran
out, after which the same command goes on from the stages that are finished.

    python -m benchmarks.gpu_check [--smollm2 FOLDER] [--rehearse]
"""

import argparse
import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"

import torch  # noqa: E402

from benchmarks import gpu_smollm2, gpu_speed, grpo_step  # noqa: E402
from r1repro.artifacts import hardware, versions, write_atomically  # noqa: E402
from r1repro.config import ROOT, compose, runs_folder  # noqa: E402
from r1repro.errors import R1ReproError  # noqa: E402
from r1repro.reports.publish import publish  # noqa: E402
from r1repro.runner.sequence import run_folder  # noqa: E402
from r1repro.runner.workspace import Workspace  # noqa: E402

SECONDS = 420.0
"""For all of it; what is ended then has some seconds to write its checkpoint's end."""
SHAPE_SECONDS, SPEED_SECONDS, UNSLOTH_SECONDS = 120.0, 90.0, 100.0
"""For the model of Qwen's shape, SmolLM2's speed, and Unsloth."""
LEFT = 20.0
"""Kept at the end for the sequence, whose report is written last."""
FIGURES = "gpu_check.json"
LAPTOP = compose()
SETTINGS = dataclasses.replace(
    LAPTOP.stage.r1_zero,
    steps=grpo_step.STEPS,
    questions=8,
    generations=8,
    max_completion_tokens=128,
    lr_matrices=0.0,
    lr_rest=0.0,
    micro_batch_tokens=8_192,
    save_every=10**6,
    sample_every=10**6,
)
SMALL = dataclasses.replace(
    SETTINGS, questions=2, generations=4, max_completion_tokens=8, micro_batch_tokens=2_048
)
STOCK_ROWS = (16, 64)
"""Rows of a micro-batch of stock TRL, of which the faster is taken."""
# A stage is a process, and its start and each token's launch of kernels are the larger part.
SEQUENCE = """
    scale=gpu engine.precision=bfloat16 task.test_problems=200 task.validation_problems=40
    stage.base.tokens=10000000 stage.qwen_base.tokens=2000000 stage.llama_base.tokens=2000000
    stage.r1_zero.steps=40 stage.r1_zero.questions=32 stage.r1_zero.max_completion_tokens=128
    stage.dev2.steps=8 stage.r1.steps=8 stage.qwen_rl.steps=8 stage.llama_rl.steps=8
    stage.qwen_distilled_rl.steps=4 stage.llama_distilled_rl.steps=4
    stage.cold_start_data.questions=1000 stage.rejection_sampling.questions=1000
    stage.reward_model.questions=1000
    evaluation.samples=4 evaluation.samples_between=2 evaluation.max_completion_tokens=96
""".split()
REHEARSED = ["scale=smoke"]
TINY = dataclasses.replace(LAPTOP.model, hidden_size=32, layers=2, intermediate_size=48)


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    if not torch.cuda.is_available() and not args.rehearse:
        print("no GPU is here: gpu-check wants one that torch sees (--rehearse tries the script)")
        return 2
    slower = 30.0 if args.rehearse else 1.0  # a rehearsal is no race, on CPUs that others use too
    ends = time.monotonic() + slower * SECONDS
    smollm2 = args.smollm2
    if smollm2 and not Path(smollm2).exists():
        print(f"--smollm2 {smollm2}: there is no such folder or file")
        return 2
    if smollm2 is None:
        print("SmolLM2 is left out: --smollm2 FOLDER names it")
    sequence = REHEARSED if args.rehearse else SEQUENCE
    until = "base" if args.rehearse else "r1_zero" if smollm2 else None
    runs = runs_folder(compose(sequence))
    found: dict[str, Any] = {"hardware": hardware(), "versions": versions()}
    add = partial(part, found, runs / FIGURES)
    settings, rows = (SMALL, (8,)) if args.rehearse else (SETTINGS, STOCK_ROWS)
    shape = TINY if args.rehearse else compose(["scale=gpu", "model=qwen2.5-0.5b"]).model
    of_shape = partial(gpu_speed.of_shape, shape, settings, rows)
    done = [add("qwen_shape", slower * SHAPE_SECONDS, of_shape)]
    if importlib.util.find_spec("unsloth") and not args.rehearse:
        add("unsloth", UNSLOTH_SECONDS + LEFT, with_unsloth)
    if smollm2 is not None:
        words = gpu_smollm2.overrides(smollm2, runs, args.rehearse)
        speed = partial(gpu_smollm2.speed, words, settings, rows)
        done.append(add("smollm2_speed", slower * SPEED_SECONDS, speed))
    mini = begun(sequence, until)
    try:
        if smollm2 is not None:
            left = ends - LEFT - time.monotonic()
            done.append(add("smollm2_r1_zero", left, partial(gpu_smollm2.trained, words)))
    except KeyboardInterrupt:
        ended(mini, 0)
        raise
    done.append(ended(mini, ends - time.monotonic()))
    if done[-1] and not args.rehearse:
        done.append(published(run_folder(Workspace(compose(sequence)), until), found))
    return 0 if all(done) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--smollm2", metavar="FOLDER", help="SmolLM2-135M-Instruct, a model folder or a GGUF file"
    )
    parser.add_argument(
        "--rehearse", action="store_true", help="try the script on CPUs, tiny; publishes nothing"
    )
    return parser


def part(
    found: dict[str, Any],
    file: Path,
    name: str,
    seconds: float,
    figures_of: Callable[[], dict[str, Any]],
) -> bool:
    """Add a part's figures, or why there are none, to `found` and to the file.

    Returns whether it succeeded within that time; a part that fails ends no other.
    """
    started = time.monotonic()
    try:
        with within(seconds):
            figures = figures_of()
    except Exception as error:
        traceback.print_exc()
        figures = {"failed": f"{type(error).__name__}: {error}"}
    found[name] = figures | {"seconds": round(time.monotonic() - started, 1)}
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, json.dumps(found, indent=1) + "\n")
    print(f"{name}: {json.dumps(found[name], indent=1)}\nfigures: {file}", flush=True)
    return "failed" not in figures


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in the block if it takes longer."""

    def over(*_: Any) -> None:
        raise TimeoutError(f"not finished in {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def with_unsloth() -> dict[str, Any]:
    """Whether the mini sequence up to R1-Zero ends well with Unsloth, which it may not."""
    overrides = [*SEQUENCE, "engine.unsloth=true", "engine.lora_rank=16"]
    return {"finished": ended(begun(overrides, "r1_zero"), UNSLOTH_SECONDS)}


def begun(overrides: Sequence[str], until: str | None) -> subprocess.Popen[bytes]:
    """The started `r1repro run` with these settings."""
    words = ["run", *overrides, *(["--until", until] if until else [])]
    return subprocess.Popen(
        [sys.executable, "-m", "r1repro.cli", *words], cwd=ROOT, start_new_session=True
    )


def ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Whether the process ended well within that time; it is ended then."""
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


def published(run: Path, found: dict[str, Any]) -> bool:
    """Publish the run's report with the figures beside it; returns whether it could be."""
    try:
        version = publish(run, ROOT / "reports")
    except R1ReproError as error:
        print(f"the report is not published: {error}\nit is in {run}")
        return False
    write_atomically(version / FIGURES, json.dumps(found, indent=1) + "\n")
    print(f"published: {version}")
    return True


if __name__ == "__main__":
    raise SystemExit(main())
