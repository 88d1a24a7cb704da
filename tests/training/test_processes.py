"""One batch shared by two processes gives the weights that one process gives it."""

import os
import subprocess
import sys

import pandas as pd
import torch
from safetensors.torch import load_file

from r1repro.config import ROOT
from r1repro.stages.models import load_trained
from tests.train_shared import ENGINES


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
    return {
        name: [load_file(out / f"weights-{name}-{rank}.safetensors") for rank in range(processes)]
        for name in ENGINES
    }


def test_two_processes_train_to_the_weights_of_one(base, tmp_path):
    """The whole model, and adapters on it."""
    one, two = _train(base, tmp_path / "one", 1), _train(base, tmp_path / "two", 2)
    for name, engine in ENGINES.items():
        (alone,), (first, second) = one[name], two[name]
        assert len(alone) == len(first) == len(second)
        start = load_trained(base, engine, 0)
        trained = {n: p.detach() for n, p in start.named_parameters() if p.requires_grad}
        for parameter, before in trained.items():
            weight, shared = alone[parameter], first[parameter]
            assert torch.equal(shared, second[parameter]), parameter
            moved = (weight - before).norm()
            assert moved > 0, parameter
            assert (shared - weight).norm() < 0.01 * moved, parameter
        rows = [pd.read_parquet(tmp_path / n / f"rows-{name}-0.parquet") for n in ("one", "two")]
        told = ["reward", "reward_accuracy", "pass_at_1", "length", "clipped_completions"]
        pd.testing.assert_frame_equal(rows[0][told], rows[1][told])
