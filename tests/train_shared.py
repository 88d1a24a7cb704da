"""`python -m tests.train_shared BASE OUT`: three GRPO steps, in as many processes as launched.

Of the whole model, and then of adapters on it.
"""

import dataclasses
import os
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from r1repro.config import EngineConfig
from r1repro.rewards import rules
from r1repro.stages.models import load_tokenizer
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, trained

ENGINES = {"whole": EngineConfig(), "adapters": EngineConfig(lora_rank=4)}


def main(base: Path, out: Path) -> None:
    rules.accuracy = by_length
    settings = dataclasses.replace(
        SETTINGS, steps=3, steps_per_generation=1, save_every=10, reference_sync_steps=2
    )
    rank = os.environ["RANK"]
    for name, engine in ENGINES.items():
        models = []
        _, rows, _ = trained(
            base, load_tokenizer(base), out / name, settings, engine=engine, watch=models.append
        )
        pd.DataFrame(rows).to_parquet(out / f"rows-{name}-{rank}.parquet")
        save_file(
            {n: p.detach() for n, p in models[0].named_parameters()},
            out / f"weights-{name}-{rank}.safetensors",
        )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
