"""What PPO's critic costs in memory on real weights: the peak of a process that makes two steps.

GRPO and PPO (λ = 1, as the lab's arms) make two updates of the same model on the same questions,
each in a process of its own, in turn; whole weights in float32, a reference beside them. The second
step has the optimizer's states. Prints the peak of resident memory less what the process held
before it loaded the model.

    python -m benchmarks.critic_memory MODEL_FOLDER [--rounds 3]
"""

import argparse
import dataclasses
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ARMS = {"GRPO": "grpo", "PPO": "ppo_1_1"}
OVERRIDES = ("model=smollm2-135m-instruct", "engine.lora_rank=0", "engine.precision=float32")
GIB = 2**30
QUESTIONS, ANSWERS, TOKENS = 2, 8, 64
SHAPE = f"{QUESTIONS} x {ANSWERS} answers of at most {TOKENS} tokens a step"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS.values(), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.arm:
        print(peak(args.folder, args.arm))
        return
    command = [sys.executable, "-m", "benchmarks.critic_memory", str(args.folder), "--arm"]
    found: dict[str, list[int]] = {name: [] for name in ARMS}
    for _ in range(args.rounds):
        for name, arm in ARMS.items():
            done = subprocess.run([*command, arm], check=True, stdout=subprocess.PIPE, text=True)
            found[name].append(int(done.stdout.split()[-1]))
            print(f"{name}: {found[name][-1] / GIB:.2f} GiB", flush=True)
    ratios = [ppo / grpo for grpo, ppo in zip(*found.values(), strict=True)]
    print(
        f"PPO takes {statistics.median(ratios):.2f} times as much, median of {args.rounds}; {SHAPE}"
    )


def peak(folder: Path, arm: str) -> int:
    """Bytes that two steps of an arm of the lab add to the process at most."""
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from r1repro.artifacts import Progress
    from r1repro.config import compose, lab
    from r1repro.stages.models import load_tokenizer, load_trained
    from r1repro.tasks import worlds
    from r1repro.training import rl

    config = compose(["scale=pocket", "task=word_problems_en", *OVERRIDES, f"model.path={folder}"])
    start = dataclasses.replace(
        config.stage.r1_zero,
        questions=QUESTIONS,
        generations=ANSWERS,
        max_completion_tokens=TOKENS,
        beta=0.001,
    )
    settings = dataclasses.replace(lab.settings(start, lab.arms()[arm]), steps=2)
    stream = worlds.of(config.task).train(0)
    problems = [next(stream) for _ in range(2 * settings.questions)]
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    model = load_trained(folder, config.engine, 0)
    with tempfile.TemporaryDirectory() as place:
        rl.train(
            model, load_tokenizer(folder), problems, settings, template="r1_zero", seed=0,
            folder=Path(place), progress=Progress(None), engine=config.engine,
        )  # fmt: skip
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before


if __name__ == "__main__":
    main()
