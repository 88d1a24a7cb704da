"""Build order, parallel stages, failures, interrupts and messages."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from r1repro import artifacts, code_marks, cores
from r1repro.config import ROOT
from r1repro.errors import R1ReproError, StageFailed
from r1repro.runner import build as builder
from r1repro.runner import processes
from r1repro.runner.build import build
from r1repro.runner.workspace import Workspace
from tests.quiet import Quiet, made

CHAINS = ["left_1", "left_2", "right_1"]


@pytest.fixture
def pair(monkeypatch):
    monkeypatch.setenv("R1REPRO_STAGES", "tests.fake_stages:PAIR")
    monkeypatch.setattr(cores, "at_once", lambda: 2)


def wait_until(condition) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def free(config, name) -> bool:
    work = Workspace(config).work(name)
    with artifacts.lock(work.with_name(work.name + ".lock")) as held:
        return held is not None


def test_two_halves_are_built_at_once(compose, runs, pair):
    config = compose()
    (runs / "meet").touch()  # each stage waits for the other, so they must run in parallel
    together = []
    show = Quiet(lambda names: together.append(sorted(names)))
    found = build(Workspace(config), ["first", *CHAINS], show)
    assert list(found) == ["first", *CHAINS]
    assert {name: result.name for name, result in found.items()} == {name: name for name in found}
    assert ["left_1", "right_1"] in together and all(len(names) <= 2 for names in together)
    assert ["first"] in together, "a stage that is not half runs alone"
    again = Quiet()
    assert build(Workspace(config), CHAINS, again) == {name: found[name] for name in CHAINS}
    assert again.loaded == CHAINS and not again.built


def test_one_after_the_other_where_cores_are_missing(compose, runs, pair, monkeypatch):
    monkeypatch.setattr(cores, "at_once", lambda: 1)
    together = set()
    show = Quiet(lambda names: together.add(len(names)))
    build(Workspace(compose()), ["first", *CHAINS], show)
    assert show.built == ["first", *CHAINS] and together == {1}


def test_when_one_fails_the_other_stops_and_goes_on_later(compose, runs, pair):
    config = compose()
    made(config, "first")
    for word in ("meet", "hold-left_1", "fail-right_1"):
        (runs / word).touch()
    with pytest.raises(StageFailed, match="stage right_1 failed: ValueError: the bridge fell"):
        build(Workspace(config), CHAINS, Quiet())
    assert free(config, "left_1") and free(config, "right_1"), "no stage is running"
    for word in ("meet", "hold-left_1", "fail-right_1"):
        (runs / word).unlink()
    found = build(Workspace(config), CHAINS, Quiet())
    assert (found["left_1"].folder / "begun_at.txt").read_text() == "5"


def test_an_interrupt_stops_both(compose, runs, pair):
    config = compose()
    made(config, "first")
    begun = [runs / f"begun-{name}" for name in ("left_1", "right_1")]
    for name in ("left_1", "right_1"):
        (runs / f"hold-{name}").touch()

    def interrupt():
        wait_until(lambda: all(file.exists() for file in begun))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        build(Workspace(config), CHAINS, Quiet())
    assert free(config, "left_1") and free(config, "right_1")
    space = Workspace(config)
    assert not space.is_done("left_1") and space.work("left_1").is_dir()


def test_a_stage_that_is_killed_says_so_and_continues(compose, fake_graph, runs):
    config = compose()
    (runs / "die").touch()
    known = (
        r"SIGKILL, perhaps because memory ran out: lower stage\.base\.batch_tokens=\d+; "
        r"it had reached 4 of 10, having used up to \d\.\d GB"
    )
    with pytest.raises(StageFailed, match=known):
        made(config, "first")
    (runs / "die").unlink()
    result = made(config, "first")
    assert (result.folder / "begun_at.txt").read_text() == "4"
    assert not (result.folder / "checkpoints").exists()
    facts = "key stage version config inputs code versions hardware seconds files".split()
    assert set(facts) <= set(result.manifest)


@pytest.mark.parametrize(
    "file, said",
    [
        ("crash", r"it was ended by SIGSEGV; it had reached 4 of 10, having used up to \d\.\d GB"),
        (
            "no-memory",
            r"OutOfMemoryError: CUDA out of memory\. Tried to allocate 2\.00 GiB: lower "
            r"stage\.base\.batch_tokens=\d+; it had reached 4 of 10",
        ),
    ],
)
def test_a_stage_that_crashes_or_lacks_memory_says_so_and_continues(
    compose, fake_graph, runs, file, said
):
    config = compose()
    (runs / file).touch()
    with pytest.raises(StageFailed, match=f"stage first failed: {said}"):
        made(config, "first")
    assert not Workspace(config).is_done("first") and free(config, "first")
    (runs / file).unlink()
    assert (made(config, "first").folder / "begun_at.txt").read_text() == "4"


def test_why_a_stage_failed_can_be_asked_later(compose, fake_graph, runs):
    config = compose()
    assert builder.failure(Workspace(config), "first") == ""
    (runs / "fail").touch()
    with pytest.raises(StageFailed, match="ValueError: the tower fell"):
        made(config, "first")
    reason = builder.failure(Workspace(config), "first")
    assert reason == ", since it failed: ValueError: the tower fell"


def test_two_runs_build_a_stage_once(compose, fake_graph, runs):
    config = compose()
    (runs / "slow").touch()
    code = (
        "import sys\nfrom r1repro import config\nfrom tests.quiet import Quiet, made\n"
        "show = Quiet()\nshow.say = lambda said: print(said, flush=True)\n"
        "made(config.compose(sys.argv[1:]), 'first', show=show)"
    )
    command = [sys.executable, "-c", code, "scale=smoke", f"runs={runs}"]
    pair = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)]
    folder = Workspace(config).work("first")
    wait_until(lambda: artifacts.read_progress(folder))
    pair.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    assert "waiting for it" in pair[1].stdout.readline()
    (runs / "slow").unlink()
    said = [other.communicate(timeout=300)[0] for other in pair]
    assert [other.returncode for other in pair] == [0, 0]
    assert "waiting for it" not in said[0]
    lines = artifacts.read_progress(Workspace(config).load("first").folder)
    assert [entry["step"] for entry in lines] == list(range(1, 11))


def test_a_distributed_stage_runs_in_as_many_processes_as_asked(compose, fake_graph):
    config = compose("launch.processes=2")
    assert made(config, "first").manifest["processes"] == 1
    assert made(config, "second").manifest["processes"] == 2


def test_more_processes_than_there_are_gpus(compose, fake_graph, monkeypatch):
    monkeypatch.setattr(processes, "launcher", lambda count: [])  # so one process is started
    config = compose("launch.processes=2")
    made(config, "first")
    with pytest.raises(StageFailed, match="launch.processes=2 started 1"):
        made(config, "second")


def test_a_damaged_result_is_announced_moved_and_built_again(compose, fake_graph):
    config, show = compose(), Quiet()
    result = made(config, "first")
    (result.folder / "begun_at.txt").unlink()
    again = made(config, "first", show=show)
    assert (again.folder / "begun_at.txt").exists()
    assert "has no begun_at.txt" in show.said[0] and "is rebuilt" in show.said[0]


def test_other_code_is_announced_and_the_result_used(compose, fake_graph, monkeypatch):
    config, show = compose(), Quiet()
    before = made(config, "first")
    monkeypatch.setattr(code_marks, "of_function", lambda dotted: "other")
    assert made(config, "first", show=show).manifest == before.manifest
    assert "different code version" in show.said[0]


def test_what_stands_on_an_input_that_was_built_again_is_built_again(compose, fake_graph, runs):
    config = compose()
    space = Workspace(config)
    made(config, "first", "second")
    artifacts.set_aside(space.place("first"), runs)
    assert space.is_done("second")  # the missing input may be restored unchanged
    made(config, "first")
    with pytest.raises(artifacts.Damaged, match="built from another first"):
        space.load("second")
    show = Quiet()
    made(config, "second", show=show)
    assert "built from another first" in show.said[0] and space.is_done("second")


def test_an_input_that_is_missing_is_the_reason(compose, fake_graph):
    with pytest.raises(StageFailed, match="second needs first, which is not built"):
        made(compose(), "second")
    with pytest.raises(R1ReproError, match="no stage third"):
        made(compose(), "third")
