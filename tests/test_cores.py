"""Who shares the cores of a machine, and how."""

import os
import sys

import pytest
import torch

from r1repro import cores
from r1repro.config import compose
from r1repro.runner.graph import STAGES, graph


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(cores, "_GPUS", ())


def test_two_at_once_on_several_cores_and_one_on_a_gpu(no_gpu, monkeypatch):
    for count, expected in ((1, 1), (2, 2), (16, 2)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=count: set(range(n)))
        assert cores.at_once() == expected
    monkeypatch.setattr(cores, "_GPUS", ("/",))
    assert cores.gpu_in_sight() and cores.at_once() == 1
    monkeypatch.setattr(cores, "_GPUS", ())
    assert cores.at_once() == 2
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cores.at_once() == 1


def test_half_of_the_threads(monkeypatch):
    before = torch.get_num_threads()
    try:
        for at_once, threads, left in ((2, 4, 2), (2, 3, 1), (2, 1, 1), (1, 4, 4)):
            monkeypatch.setattr(cores, "at_once", lambda n=at_once: n)
            torch.set_num_threads(threads)
            cores.take_half()
            assert torch.get_num_threads() == left
    finally:
        torch.set_num_threads(before)


def test_the_students_and_their_evaluations_are_made_for_it():
    students = ("qwen_", "llama_", "evaluate_qwen_", "evaluate_llama_")
    for stage in STAGES:
        assert stage.half == stage.name.startswith(students), stage.name
    # The arms of the lab wait for the base alone.
    for stage in graph(compose(["lab=all"])).values():
        assert stage.half == (stage.name != "base"), stage.name
