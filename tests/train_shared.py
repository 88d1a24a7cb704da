"""`python -m tests.train_shared BASE OUT`: three GRPO steps, in as many processes as launched."""

import dataclasses
import os
import sys
from pathlib import Path

import pandas as pd
from safetensors.torch import save_file

from r1repro.rewards import rules
from r1repro.stages.models import load_tokenizer
from tests.length_rewarded import by_length
from tests.training.test_grpo_objective import SETTINGS, trained


def main(base: Path, out: Path) -> None:
    rules.accuracy = by_length
    settings = dataclasses.replace(
        SETTINGS, steps=3, steps_per_generation=1, save_every=10, reference_sync_steps=2
    )
    weights, rows, _ = trained(base, load_tokenizer(base), out, settings)
    rank = os.environ["RANK"]
    pd.DataFrame(rows).to_parquet(out / f"rows-{rank}.parquet")
    save_file(
        {str(i): weight for i, weight in enumerate(weights)}, out / f"weights-{rank}.safetensors"
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
