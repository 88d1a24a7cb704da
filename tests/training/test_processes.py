"""One batch shared by two processes gives the weights that one process gives it."""

import os
import subprocess
import sys

import pandas as pd
import torch
from safetensors.torch import load_file
from transformers import Qwen3ForCausalLM

from r1repro.config import ROOT


def _train(base, out, processes):
    out.mkdir()
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    launched = subprocess.run(
        [sys.executable, *launcher, "-m", "tests.train_shared", str(base), str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    return [load_file(out / f"weights-{rank}.safetensors") for rank in range(processes)]


def test_two_processes_train_to_the_weights_of_one(base, tmp_path):
    (alone,) = _train(base, tmp_path / "one", 1)
    first, second = _train(base, tmp_path / "two", 2)
    start = Qwen3ForCausalLM.from_pretrained(base, dtype=torch.float32).parameters()
    assert len(alone) == len(first) == len(second)
    for i, before in enumerate(start):
        weight, shared = alone[str(i)], first[str(i)]
        assert torch.equal(shared, second[str(i)]), i
        moved = (weight - before).norm()
        assert moved > 0, i
        assert (shared - weight).norm() < 0.01 * moved, i
    rows = [pd.read_parquet(tmp_path / n / "rows-0.parquet") for n in ("one", "two")]
    told = ["reward", "reward_accuracy", "pass_at_1", "length", "clipped_completions"]
    pd.testing.assert_frame_equal(rows[0][told], rows[1][told])
