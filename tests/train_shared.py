"""`python -m tests.train_shared BASE OUT`: three GRPO steps, in as many processes as launched."""

import os
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from r1repro.artifacts import Progress
from r1repro.config import R1ZeroConfig
from r1repro.rewards import rules
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import mini_world
from r1repro.training import grpo
from tests.length_rewarded import by_length

RANK = os.environ.get("RANK", "0")
SETTINGS = R1ZeroConfig(
    steps=3,
    questions=4,
    generations=4,
    max_completion_tokens=12,
    beta=0.04,
    reference_sync_steps=2,
    save_every=10,
    micro_batch_tokens=100,
    lr_matrices=1e-3,
    lr_rest=1e-3,
)


def main(base: Path, out: Path) -> None:
    rules.accuracy = by_length
    model, words = load_model(base), load_tokenizer(base)
    problems = [p for p, _ in zip(mini_world.build(0, 20, 20).train(0), range(12), strict=False)]
    rows, _ = grpo.train(
        model,
        words,
        problems,
        SETTINGS,
        template="mini",
        seed=0,
        folder=out,
        progress=Progress(None),
    )
    pd.DataFrame(rows).to_parquet(out / f"rows-{RANK}.parquet")
    weights = {name: p.detach().clone() for name, p in model.named_parameters()}
    save_file(weights, out / f"weights-{RANK}.safetensors")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
