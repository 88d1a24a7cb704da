"""Several seeds: their runs, then one report."""

import pytest

from r1repro import launch
from r1repro.errors import R1ReproError
from r1repro.reports import seeds
from r1repro.runner import sequence


def test_several_seeds_are_run_and_then_joined(fake_graph, compose, monkeypatch, tmp_path):
    ran, aside = [], []

    def run(config, until):
        ran.append((config.seed, until))
        return tmp_path / f"run-{config.seed}" / "report.html"

    monkeypatch.setattr(launch, "run", run)
    monkeypatch.setattr(
        sequence, "set_aside_from", lambda space, name: aside.append((space.config.seed, name))
    )
    monkeypatch.setattr(seeds, "join", lambda folders, target, execute: (folders, target.name))
    configs = [compose(f"seed={seed}") for seed in (0, 1)]
    folders, name = launch.run_seeds(configs, "second")
    assert aside == [(0, "second"), (1, "second")], "set aside before any of them runs"
    assert ran == [(0, None), (1, None)]
    assert folders == [tmp_path / "run-0", tmp_path / "run-1"] and "-2seeds-" in name
    with pytest.raises(R1ReproError, match="several seeds"):
        launch.run_seeds(configs[:1])
    _, name = launch.run_seeds(configs, until="second")
    assert name.endswith("-until-second")
