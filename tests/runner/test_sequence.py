"""The sequence of notebooks: caching, errors and interrupts."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1repro import artifacts
from r1repro.artifacts import StageResult
from r1repro.config import ROOT, load
from r1repro.errors import R1ReproError, StageFailed
from r1repro.runner import sequence
from r1repro.runner.workspace import Workspace


def wait_until(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_run_then_rerun_executes_nothing_again(fake_notebooks, compose, capsys):
    config = compose()
    outcome = sequence.run(config, fake_notebooks)
    assert (outcome.results["second"].folder / "copy.txt").read_text() == "0"
    assert load(outcome.folder / "resolved.yaml").seed == config.seed
    executed = outcome.folder / "notebooks" / "01_second.ipynb"
    assert json.loads(executed.read_text())["metadata"]["r1repro"]["keys"] == Workspace(config).keys
    first = (outcome.folder / "notebooks" / "00_first.ipynb").read_text()
    assert "polyline" in first and "pass@1 5.0 % → 50.0 %" in first
    said = capsys.readouterr().out
    assert re.search(r"first +100 % .* pass@1 50.0 % .*tokens/s 1,234", said)
    assert re.search(r"^total +\d+ s$", said, re.MULTILINE)
    before = executed.stat().st_mtime_ns
    began = time.monotonic()
    sequence.run(config, fake_notebooks)
    assert time.monotonic() - began < 5
    assert executed.stat().st_mtime_ns == before
    assert " cached\n" in capsys.readouterr().out


def test_changed_notebook_is_executed_again_but_builds_nothing(fake_notebooks, compose, capsys):
    config = compose()
    first = sequence.run(config, fake_notebooks)
    made = first.results["first"].folder.stat().st_mtime_ns
    source = fake_notebooks / "00_first.ipynb"
    source.write_text(source.read_text().replace(".key", ".folder.name"))
    capsys.readouterr()
    sequence.run(config, fake_notebooks)
    said = capsys.readouterr().out
    assert "first  cached\n" in said and "100 %" not in said
    assert "first-" in (first.folder / "notebooks" / "00_first.ipynb").read_text()
    assert first.results["first"].folder.stat().st_mtime_ns == made


def test_another_seed_shares_what_does_not_depend_on_it(fake_notebooks, compose):
    one = sequence.run(compose(), fake_notebooks)
    two = sequence.run(compose("seed=1"), fake_notebooks)
    assert one.results["first"].folder == two.results["first"].folder
    assert one.results["second"].folder != two.results["second"].folder
    assert one.folder != two.folder


def test_failing_stage_names_stage_notebook_and_reason(fake_notebooks, compose, runs):
    config = compose()
    (runs / "fail").touch()
    with pytest.raises(StageFailed) as failed:
        sequence.run(config, fake_notebooks)
    for part in ("stage first", "notebook 00_first.ipynb", "ValueError: the tower fell"):
        assert part in str(failed.value)
    copies = sequence.run_folder(Workspace(config)) / "notebooks"
    assert [file.name for file in copies.iterdir()] == ["00_first.failed.ipynb"]
    assert not (runs / "cache").exists()
    (runs / "fail").unlink()
    outcome = sequence.run(config, fake_notebooks)
    assert (outcome.results["first"].folder / "begun_at.txt").read_text() == "4"
    assert not (copies / "00_first.failed.ipynb").exists()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_ending_the_run_ends_the_stage_and_a_rerun_continues(fake_notebooks, compose, runs, sign):
    config = compose()
    (runs / "slow").touch()
    work = Workspace(config).work("first")
    code = (
        "import sys\nfrom pathlib import Path\nfrom r1repro import config\n"
        "from r1repro.runner import sequence\n"
        "try:\n    sequence.run(config.compose(sys.argv[2:]), Path(sys.argv[1]))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)"
    )
    command = [sys.executable, "-c", code, str(fake_notebooks), "scale=smoke", f"runs={runs}"]
    parent = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: len(artifacts.read_progress(work)) >= 3)
    parent.send_signal(sign)
    _, said = parent.communicate(timeout=60)
    if sign == signal.SIGINT:
        assert (parent.returncode, said) == (130, ""), "the kernel prints nothing"

    def is_free() -> bool:
        with artifacts.lock(work.with_name(work.name + ".lock")) as held:
            return held is not None

    wait_until(is_free)
    assert not (runs / "cache").exists()
    (runs / "slow").unlink()
    outcome = sequence.run(config, fake_notebooks)
    assert int((outcome.results["first"].folder / "begun_at.txt").read_text()) >= 2


def test_from_builds_anew_and_until_stops(fake_notebooks, compose, runs):
    early = sequence.run(compose(), fake_notebooks, until="first")
    assert list(early.results) == ["first"]
    made = early.results["first"].folder
    inode = made.stat().st_ino
    outcome = sequence.run(compose(), fake_notebooks, "first")
    assert early.folder.name == f"{outcome.folder.name}-until-first"
    assert made.stat().st_ino != inode
    assert len(list((runs / "replaced").iterdir())) == 1


def test_unknown_stage_and_wrong_order(fake_notebooks, compose):
    with pytest.raises(R1ReproError, match="no stage third: the stages are first, second"):
        sequence.run(compose(), fake_notebooks, "third")
    with pytest.raises(R1ReproError, match="--until first comes before --from second"):
        sequence.run(compose(), fake_notebooks, "second", "first")


def test_missing_notebook(fake_notebooks, compose):
    (fake_notebooks / "01_second.ipynb").unlink()
    with pytest.raises(R1ReproError, match="no notebook 01_second.ipynb"):
        sequence.run(compose(), fake_notebooks)


def test_run_folder_in_use(fake_notebooks, compose):
    config = compose()
    with (
        artifacts.lock(sequence.run_folder(Workspace(config)) / "lock"),
        pytest.raises(R1ReproError, match=f"in use by process {os.getpid()}"),
    ):
        sequence.run(config, fake_notebooks)


def test_the_last_table_has_columns_for_long_names_and_a_total(capsys):
    results = {
        name: StageResult(name, "k", Path(f"{name}-0123"), {"seconds": seconds})
        for name, seconds in (("base", 100.0), ("evaluate_qwen_rl_equal_flops", 20.0))
    }
    sequence._table(results)
    lines = capsys.readouterr().out.splitlines()[1:]
    places = {
        line.index("-0123") - len(name) for line, name in zip(lines[1:], results, strict=False)
    }
    assert len(places) == 1 and lines[0].index("result") in places
    assert lines[-1].split() == ["total", "2:00", "min"]
