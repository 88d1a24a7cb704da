"""The probe trains for real, and briefly."""

import dataclasses

import torch
from transformers import TrainerCallback

from r1repro import cores
from r1repro.planning import probe


def test_every_part_is_timed_for_every_model(compose, monkeypatch):
    monkeypatch.setattr(probe, "PART_SECONDS", 0.01)
    threads = torch.get_num_threads()
    found = probe.probe(compose(), ["model", "student.llama"])
    assert list(found) == ["model", "student.llama"] and torch.get_num_threads() == threads
    for speed in found.values():
        rates = (speed.pretrained, speed.sampled, speed.learned, speed.tuned)
        assert all(10 < rate < 1e7 for rate in rates)
        assert 10 < speed.prompt < 64 and speed.machine and 0 < speed.seconds < 60


def test_several_passes_are_timed_with_a_rollout_in_every_step(compose, monkeypatch):
    monkeypatch.setattr(probe, "PART_SECONDS", 0.01)
    found = probe.probe(compose("stage.r1_zero.objective.passes=2"), ["model"])["model"]
    assert 10 < found.sampled < 1e7 and 10 < found.learned < 1e7


def test_a_student_has_the_threads_that_its_stages_have(compose, monkeypatch):
    seen = []

    def timed(config, key, *more):
        seen.append((key, torch.get_num_threads()))
        return probe.Speed(1, 2, 3, 4, 5, "a machine", 6)

    monkeypatch.setattr(probe, "_speed", timed)
    monkeypatch.setattr(cores, "at_once", lambda: 2)
    before, keys = torch.get_num_threads(), ["student.qwen", "model", "student.llama"]
    torch.set_num_threads(4)
    try:
        found = probe.probe(compose(), keys)
        probe.probe(compose("student.llama.layers=3"), keys)
    finally:
        torch.set_num_threads(before)
    # Of two of one size one is timed.
    assert seen[:2] == [("student.qwen", 2), ("model", 4)] and list(found) == keys
    assert found["student.llama"] == dataclasses.replace(found["student.qwen"], seconds=0)
    assert seen[2:] == [("student.qwen", 2), ("model", 4), ("student.llama", 2)]


def test_completions_of_the_probe_end_at_many_lengths(compose, monkeypatch):
    """Or the batch would not thin out as it does in a run."""
    monkeypatch.setattr(probe, "PART_SECONDS", 0.2)
    lengths = []
    build = probe.rl.build

    def built(*args, **more):
        trainer, recorder = build(*args, **more)
        trainer.add_callback(_Lengths(recorder, lengths))
        return trainer, recorder

    monkeypatch.setattr(probe.rl, "build", built)
    probe.probe(compose("stage.r1_zero.generations=16"), ["model"])
    assert len(set(lengths)) > 8 and max(lengths) == 48, "the cap"


class _Lengths(TrainerCallback):
    def __init__(self, recorder, lengths):
        self.recorder, self.lengths = recorder, lengths

    def on_step_end(self, args, state, control, **kwargs):
        self.lengths += self.recorder.batch.tokens.tolist()


def test_units_are_as_many_as_the_time_has_room_for():
    done = []

    def work(count):
        done.append(count)
        return 0.5 * count

    assert probe._units(work, 100) == int(probe.PART_SECONDS / 0.5) and done == [1]
    assert probe._units(work, 2) == 2 and probe._units(lambda count: 60.0, 9) == 1
