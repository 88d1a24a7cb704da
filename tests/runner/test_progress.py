"""Progress, time estimates and their display."""

import json
import re
import time

from r1repro import artifacts, cores
from r1repro.duration import duration
from r1repro.runner import progress
from r1repro.runner.progress import line, page
from r1repro.runner.sequence import Terminal
from r1repro.runner.workspace import Workspace
from tests.quiet import made


def test_pace_and_display():
    lines = [
        {"started": 0.0, "time": 50.0, "step": 5, "total": 20, "figures": {}},
        {"started": 100.0, "time": 110.0, "step": 4, "total": 20, "figures": {}},
        {"started": 100.0, "time": 130.0, "step": 8, "total": 20, "figures": {"pass_at_1": 0.5}},
    ]
    found = progress.pace(lines, now=130.0)
    assert (found.step, found.total, found.elapsed, found.left) == (8, 20, 80.0, 60.0)
    assert "pass@1 50.0 %" in line("r1_zero", found, lines[-1]["figures"], 90.0, 80.0)
    assert line("r1_zero ", None, {}, 90.0, 187.0) == "r1_zero      –   3:07 min  starting"
    assert [duration(s) for s in (9.4, 187, 3900)] == ["9 s", "3:07 min", "1:05 h"]
    assert duration(None) == duration(float("nan")) == "–"
    assert "polyline" in page("<r1>", lines, found) and "<r1>" not in page("<r1>", lines, found)


def test_estimate_follows_the_speed_of_this_machine(compose, fake_graph, monkeypatch):
    found, names = compose(), ["first", "second"]
    space = Workspace(found)
    assert progress.run_left(space, names, progress.seconds_taken(space, names), 0.0) == 25
    made(found, "first")
    taken = progress.seconds_taken(space, names)
    assert list(taken) == ["first"]
    assert progress.run_left(space, names, taken, 0.0) == 5  # too short to calibrate
    monkeypatch.setattr(progress, "TELLING", 10.0)
    assert progress.run_left(space, names, {"first": 40.0}, 0.0) == 10


def test_two_at_once_take_half_of_the_time(compose, monkeypatch):
    monkeypatch.setenv("R1REPRO_STAGES", "tests.fake_stages:PAIR")
    monkeypatch.setattr(cores, "at_once", lambda: 2)
    space, names = Workspace(compose()), ["first", "left_1", "left_2", "right_1"]
    assert progress.run_left(space, names, {}, 0.0) == 20 + 3 * 10 / 2
    monkeypatch.setattr(cores, "at_once", lambda: 1)
    assert progress.run_left(space, names, {}, 0.0) == 20 + 3 * 10


def test_a_stage_that_is_silent_shows_how_long(compose, fake_graph):
    space, now = Workspace(compose()), time.time()
    work = space.work("first")
    work.mkdir(parents=True)
    terminal = Terminal(space, ["first", "second"])

    def show():
        return terminal._line("first", now - 187)

    assert re.match(r"first      –   3:0\d min  starting$", show())
    old = {"started": now - 40_000, "time": now - 36_000, "step": 4, "total": 10, "figures": {}}
    (work / "progress.jsonl").write_text(json.dumps(old) + "\n")
    assert "starting" in show(), "of an earlier session"
    artifacts.Progress(work).update(6, 10)
    assert re.match(r"first   60 %     1:06 h", show())


def test_the_terminal_writes_over_what_runs_at_once(compose, fake_graph, monkeypatch, capsys):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    space = Workspace(compose())
    terminal, names = Terminal(space, ["first", "second"]), ["first", "second"]
    terminal.running(names)
    for name in names:
        space.work(name).mkdir(parents=True)
        artifacts.Progress(space.work(name)).update(5, 10, loss=1.5)
    terminal.every = 0.0
    capsys.readouterr()
    terminal.running(names)
    terminal.running(names)
    frames = capsys.readouterr().out.split("\x1b[2F\x1b[J")
    assert len(frames) == 2, "two lines are overwritten"
    for frame in frames:
        assert [text.split()[:2] for text in frame.splitlines()] == [
            ["first", "50"],
            ["second", "50"],
        ]
