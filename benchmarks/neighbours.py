"""How much slower a stage is beside a busy process, by how its idle threads wait.

Sampling and updates of the mini world's base (built if it is not there), alone and beside a process
that is always busy, under each setting of GNU OpenMP, all in turn. The ratios are to the default
alone: with GOMP_SPINCOUNT unset idle threads wait actively for some milliseconds.

    python benchmarks/neighbours.py [--rounds 3] [hydra overrides]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

SETTINGS = {
    "default": {},
    "GOMP_SPINCOUNT=100000": {"GOMP_SPINCOUNT": "100000"},
    "GOMP_SPINCOUNT=10000": {"GOMP_SPINCOUNT": "10000"},
    "GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "OMP_WAIT_POLICY=PASSIVE": {"OMP_WAIT_POLICY": "PASSIVE"},
}
NAMES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS")
ROWS, CAP, UPDATES = 256, 64, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, help="do the work with the model in this folder")
    parser.add_argument("overrides", nargs="*")
    args = parser.parse_args()
    if args.work is not None:
        print(work(args.work))
        return
    from r1repro.notebook import open_run

    base = open_run(overrides=args.overrides, build_missing=True).stage("base").folder / "model"
    seconds: dict[tuple[str, bool], list[float]] = {}
    for _ in range(args.rounds):
        for name, values in SETTINGS.items():
            for beside in (False, True):
                seconds.setdefault((name, beside), []).append(measured(base, values, beside))
    plain = statistics.median(seconds["default", False])
    print(f"{'':25} alone  beside a busy process")
    for name in SETTINGS:
        ratios = [statistics.median(seconds[name, beside]) / plain for beside in (False, True)]
        print(f"{name:25} {ratios[0]:5.2f}  {ratios[1]:5.2f}", flush=True)
    print(f"1.00 is {plain:.1f} s")


def measured(base: Path, values: dict[str, str], beside: bool) -> float:
    """Seconds of the work in a process of its own."""
    environment = {name: v for name, v in os.environ.items() if name not in NAMES} | values
    busy = [sys.executable, "-c", "while True: pass"]
    neighbour = subprocess.Popen(busy) if beside else None
    try:
        command = [sys.executable, __file__, "--work", str(base)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    finally:
        if neighbour is not None:
            neighbour.kill()
            neighbour.wait()
    return float(done.stdout.split()[-1])


def work(base: Path) -> float:
    """Sample and update; returns the seconds without imports and loading."""
    import torch  # before r1repro, which sets GOMP_SPINCOUNT; libgomp reads it when it is loaded
    from torch.nn.functional import cross_entropy

    from r1repro.config import PLAIN_ENGINE
    from r1repro.generation.rollouts import Sampling, sample
    from r1repro.stages.models import load_model, load_tokenizer

    model, tokenizer = load_model(base, PLAIN_ENGINE), load_tokenizer(base)
    prompts = [tokenizer.encode("1+2")] * ROWS
    pad = tokenizer.pad_token_id
    began = time.perf_counter()
    found = sample(model, prompts, Sampling(CAP), end_ids=[-1], pad_id=pad, seed=0)
    ids = torch.tensor([rollout.token_ids for rollout in found])
    for _ in range(UPDATES):
        logits = model(input_ids=ids).logits
        cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        model.zero_grad()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
