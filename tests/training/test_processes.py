"""One batch shared by two processes gives the same weights as one process."""

import os
import subprocess
import sys

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from r1repro.config import PLAIN_ENGINE, ROOT
from r1repro.runner.processes import launcher
from r1repro.stages.models import load_model, new_reward_model


def _train(base, out, processes):
    out.mkdir()
    launched = subprocess.run(
        [sys.executable, *launcher(processes), "-m", "tests.train_shared", str(base), str(out)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TRL_EXPERIMENTAL_SILENCE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert launched.returncode == 0, launched.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def runs(base, tmp_path_factory):
    out = tmp_path_factory.mktemp("shared")
    return [_train(base, out / f"of-{count}", count) for count in (1, 2)]


def _weights(folder, method, name, rank=0):
    return load_file(folder / f"weights-{method}-{name}-{rank}.safetensors")


@pytest.mark.parametrize(
    ("method", "shared", "alone"),
    [
        ("grpo", "whole", "whole"),
        ("grpo", "adapters", "adapters"),
        ("grpo", "sharded", "whole"),
        ("fine_tuning", "whole", "whole"),
        ("fine_tuning", "sharded", "whole"),
        ("fine_tuning", "untied", "untied-whole"),
        ("preference", "whole", "whole"),
        ("preference", "sharded", "whole"),
    ],
)
def test_two_processes_train_to_the_weights_of_one(base, runs, method, shared, alone):
    one, two = runs
    expected = _weights(one, method, alone)
    first, second = (_weights(two, method, shared, rank) for rank in (0, 1))
    place = one / "untied" if shared == "untied" else base
    model = new_reward_model(base, PLAIN_ENGINE, 0) if method == "preference" else load_model(place)
    start = dict(model.named_parameters())
    assert expected.keys() == first.keys() == second.keys() == start.keys()
    assert any((expected[name] - start[name]).norm() > 0 for name in start)
    for name, weight in expected.items():
        assert torch.equal(first[name], second[name]), name
        moved = (weight - start[name]).norm()
        assert (first[name] - weight).norm() <= 0.01 * moved, name
    rows = [
        pd.read_parquet(folder / f"rows-{method}-{name}-0.parquet")
        for folder, name in ((one, alone), (two, shared))
    ]
    told = ["reward", "pass_at_1", "length", "clipped", "kl", "entropy"]
    if method != "grpo":
        told = ["step", "tokens", "flops", "loss"]
    pd.testing.assert_frame_equal(rows[0][told], rows[1][told], rtol=1e-4)


def test_what_is_shared_out_continues_to_the_same_bits(runs):
    """Killed at step 3, resumed from the checkpoint of step 2."""
    whole, continued = (_weights(runs[1], "grpo", name) for name in ("sharded", "continued"))
    assert all(torch.equal(weight, continued[name]) for name, weight in whole.items())


def test_bfloat16_is_of_the_gathered_weights_only(base, runs):
    """Weights stay float32 and move about as much as in float32 training."""
    start = dict(load_model(base).named_parameters())
    exact, rounded = (_weights(runs[1], "fine_tuning", name) for name in ("sharded", "bfloat16"))
    assert all(weight.dtype == torch.float32 for weight in rounded.values())
    moves = [
        torch.cat([(weights[n] - start[n]).detach().flatten() for n in start])
        for weights in (exact, rounded)
    ]
    alike = torch.cosine_similarity(*moves, dim=0)
    assert 0.9 < alike < 1
