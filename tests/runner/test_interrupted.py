"""An interrupt saves a checkpoint between the scheduled ones, from which the same weights come."""

import signal
import subprocess
import sys
import time

import pytest
import torch

from r1repro import artifacts, config
from r1repro.config import ROOT
from r1repro.runner.workspace import Workspace
from r1repro.training import resume
from tests.quiet import Quiet, made

SMALL = ["scale=smoke", "stage.r1_zero.steps=12", "stage.r1_zero.save_every=12"]
NEVER = ["stage.base.save_every=1000"]


def _compose(runs):
    return config.compose([*SMALL, *NEVER, f"runs={runs}"])


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    found = _compose(tmp_path_factory.mktemp("straight"))
    made(found, "base", "r1_zero")
    return found


def _same(one, other):
    """Whether two results have the same weights and, but for times, the same metrics."""
    weights = [artifacts.sha256(r.folder / "model" / "model.safetensors") for r in (one, other)]
    rows = [
        r.metrics().drop(
            columns=[c for c in r.metrics() if c.startswith(("seconds", "tokens_per"))]
        )
        for r in (one, other)
    ]
    return weights[0] == weights[1] and rows[0].equals(rows[1])


@pytest.mark.parametrize(("name", "step"), [("base", 5), ("r1_zero", 3)])
def test_a_checkpoint_is_saved_at_the_step_of_the_interrupt(straight, tmp_path, name, step):
    broken = _compose(tmp_path)
    space = Workspace(broken)
    if name != "base":
        made(broken, "base")

    def interrupt(names):
        lines = artifacts.read_progress(space.work(name))
        if lines and lines[-1]["step"] >= step:
            raise KeyboardInterrupt

    show, began = Quiet(interrupt), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        made(broken, name, show=show)
    assert time.monotonic() - began < 120
    [saved] = artifacts.checkpoints(space.work(name))
    assert saved >= step
    assert show.said[-1] == f"{name} was stopped; it resumes from step {saved}"
    result = made(broken, name)
    log = (result.folder / "log.txt").read_text()
    assert f"stopped on request after step {saved}" in log and "Traceback" not in log
    assert _same(result, Workspace(straight).load(name))


@pytest.mark.parametrize(
    ("sign", "signals"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGHUP, 1)]
)
def test_the_command_ends_within_seconds_and_says_how_to_go_on(tmp_path, sign, signals):
    words = ["scale=smoke", "stage.base.tokens=3000000", f"runs={tmp_path}"]
    work = Workspace(config.compose(words)).work("base")
    run = subprocess.Popen(
        [sys.executable, "-m", "r1repro.cli", "run", *words], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    until = time.monotonic() + 120
    while not artifacts.read_progress(work):
        assert time.monotonic() < until and run.poll() is None
        time.sleep(0.1)
    began = time.monotonic()
    for _ in range(signals):
        run.send_signal(sign)
        time.sleep(0.2)
    run.wait(timeout=60)
    took = time.monotonic() - began
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in said and "Warning" not in said
    assert "interrupted: run the same command without --from to resume" in said
    assert took < (5 if signals == 1 else 2)
    if signals == 1:
        assert "base was stopped; it resumes from step" in said
        assert artifacts.checkpoints(work)


def test_a_damaged_checkpoint_is_replaced_at_its_step(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    for rows in ([1], [2]):
        resume.save(tmp_path, 5, model, optimizer, rows)
        saved = resume.newest_checkpoint(tmp_path)
        assert resume.restore(tmp_path, model, optimizer)[:2] == (5, rows)
        (saved / "rows.json").write_text("[3]")
        assert resume.newest_checkpoint(tmp_path) is None
        resume.mark_complete(saved)  # as a trainer that saves into the folder again
        assert resume.newest_checkpoint(tmp_path) == saved


def test_a_damaged_checkpoint_is_left_out_and_named(tmp_path, capsys):
    for step in (5, 10):
        checkpoint = tmp_path / "checkpoints" / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / "model.safetensors").write_bytes(bytes(100))
        (checkpoint / "rows.json").write_text("[]")
        resume.mark_complete(checkpoint)
    assert resume.newest_checkpoint(tmp_path).name == "checkpoint-10"
    for name, harm in (("model.safetensors", bytes(99) + b"\1"), ("rows.json", None)):
        file = tmp_path / "checkpoints" / "checkpoint-10" / name
        before = file.read_bytes()
        file.unlink() if harm is None else file.write_bytes(harm)
        assert resume.newest_checkpoint(tmp_path).name == "checkpoint-5"
        said = capsys.readouterr().out
        assert "checkpoint-10 is not used" in said and name in said
        file.write_bytes(before)
    (tmp_path / "checkpoints" / "checkpoint-10" / "complete").write_text("{}")
    assert resume.newest_checkpoint(tmp_path).name == "checkpoint-5"
