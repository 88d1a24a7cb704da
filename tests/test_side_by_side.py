"""Two chains of stages at once: their order, failure, interrupt, and how they are shown."""

import os
import signal
import sys
import threading
import time

import pytest

from r1repro import artifacts, notebook, pipeline
from r1repro.errors import R1ReproError, StageFailed
from r1repro.notebook import Run
from r1repro import cores
from r1repro.runner import processes
from r1repro.runner.workspace import Workspace
from r1repro.runner.graph import graph
from tests.fake_stages import CHAINS


@pytest.fixture(autouse=True)
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


def test_chains_are_built_at_once_and_shown_by_the_main_thread(compose, runs, monkeypatch, capsys):
    config, shown_by = compose(), set()
    (runs / "meet").touch()  # alone, each would wait in vain for the other
    page = notebook.page

    def shown(*words):
        shown_by.add(threading.current_thread())
        return page(*words)

    monkeypatch.setattr(notebook, "page", shown)
    found = Run(config, build_missing=True).side_by_side(*CHAINS)
    assert list(found) == ["left_1", "left_2", "right_1"]
    assert {name: result.name for name, result in found.items()} == {name: name for name in found}
    assert shown_by == {threading.main_thread()}
    assert capsys.readouterr().out.count("IPython.core.display.HTML") >= 3
    again = Run(config, build_missing=False).side_by_side(*CHAINS)
    assert again == found and capsys.readouterr().out.count("loaded") == 3


def test_one_after_the_other_where_cores_are_missing(compose, runs, monkeypatch):
    monkeypatch.setattr(cores, "at_once", lambda: 1)
    config, order = compose(), []
    build = notebook.build

    def noted(config, name, **ways):
        order.append((name, threading.current_thread() is threading.main_thread()))
        return build(config, name, **ways)

    monkeypatch.setattr(notebook, "build", noted)
    found = Run(config, build_missing=True).side_by_side(*CHAINS)
    assert order == [(name, True) for name in ("first", "left_1", "left_2", "right_1")]
    assert list(found) == ["left_1", "left_2", "right_1"]


def test_what_is_missing_is_asked_for_before_anything_starts(compose, runs):
    wanted = "what this cell builds is made from first, not built yet"
    with pytest.raises(R1ReproError, match=wanted):
        Run(compose(), build_missing=False).side_by_side(*CHAINS)
    with pytest.raises(R1ReproError, match="no stage left_3"):
        Run(compose()).side_by_side(("left_3",), ("right_1",))
    assert not (runs / "begun-right_1").exists()


def test_when_one_fails_the_other_stops_and_goes_on_later(compose, runs):
    config = compose()
    process.build(config, "first")
    for word in ("meet", "hold-left_1", "fail-right_1"):
        (runs / word).touch()
    with pytest.raises(StageFailed, match="stage right_1 failed: ValueError: the bridge fell"):
        Run(config).side_by_side(*CHAINS)
    assert free(config, "left_1") and free(config, "right_1"), "nothing runs any more"
    for word in ("meet", "hold-left_1", "fail-right_1"):
        (runs / word).unlink()
    found = Run(config).side_by_side(*CHAINS)
    assert (found["left_1"].folder / "begun_at.txt").read_text() == "5"


def test_an_interrupt_stops_both(compose, runs):
    config = compose()
    process.build(config, "first")
    begun = [runs / f"begun-{name}" for name in ("left_1", "right_1")]
    for name in ("left_1", "right_1"):
        (runs / f"hold-{name}").touch()

    def interrupt():
        wait_until(lambda: all(file.exists() for file in begun))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        Run(config).side_by_side(*CHAINS)
    assert free(config, "left_1") and free(config, "right_1")
    assert not Workspace(config).is_done("left_1") and Workspace(config).work("left_1").is_dir()


def test_the_terminal_shows_what_runs_at_once(compose, monkeypatch, capsys):
    config = compose()
    names = ["left_1", "left_2", "right_1"]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    stop = threading.Event()
    follower = threading.Thread(target=pipeline._follow, args=(config, names, names, stop))
    for name in ("left_1", "right_1"):
        Workspace(config).work(name).mkdir(parents=True)
    follower.start()
    time.sleep(0.7)  # lines from before would be those of an earlier run
    for name in ("left_1", "right_1"):
        artifacts.Progress(Workspace(config).work(name)).update(5, 10, loss=1.5)
    time.sleep(2.5)
    stop.set()
    follower.join()
    frames = capsys.readouterr().out.split("\x1b[2F\x1b[J")
    assert len(frames) >= 2, "two lines are written over"
    for frame in frames:
        assert [text.split()[:2] for text in frame.splitlines()] == [
            ["left_1", "50"],
            ["right_1", "50"],
        ]


def test_two_at_once_take_half_of_the_time(compose, monkeypatch):
    config, names = compose(), ["first", "left_1", "left_2", "right_1"]
    assert progress.run_left(Workspace(config), names, {}, now=0.0) == 20 + 3 * 10 / 2
    monkeypatch.setattr(cores, "at_once", lambda: 1)
    assert progress.run_left(Workspace(config), names, {}, now=0.0) == 20 + 3 * 10


def test_the_error_names_the_stage_that_failed(compose, runs, tmp_path, monkeypatch):
    config = compose()

    def failed(*words):
        raise StageFailed("cell 2 stopped: stage right_1 failed: ValueError: the bridge fell")

    monkeypatch.setattr(pipeline, "_papermill", failed)
    names = list(graph(config))
    with pytest.raises(StageFailed, match=r"^stage right_1, notebook 01_pair.ipynb"):
        source = tmp_path / "01_pair.ipynb"
        source.write_text("{}")
        pipeline._execute(config, tmp_path, source, names[1:], names)
