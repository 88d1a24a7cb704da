"""A graph of stages that cost nothing, for tests of what goes on around a stage."""

import os
import signal
import time
from pathlib import Path

from torch import OutOfMemoryError

from r1repro.artifacts import Progress, StageResult, write_atomically
from r1repro.config import Config
from r1repro.runner.graph import Stage


def first(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Ten steps with a checkpoint each; files in `config.runs` hold it up, make it fail or die."""
    runs = Path(config.runs)
    checkpoint = folder / "checkpoints" / "step"
    checkpoint.parent.mkdir(exist_ok=True)
    begun_at = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(begun_at + 1, 11):
        if (runs / "slow").exists():
            time.sleep(0.2)
        while step == 10 and (runs / "slow").exists():
            time.sleep(0.05)
        if (runs / "fail").exists() and step == 5:
            raise ValueError("the tower\nfell")
        if (runs / "fill").exists() and step == 5:
            (folder / "large").write_bytes(bytes(4 * 2**20))
        if (runs / "die").exists() and step == 5:
            os.kill(os.getpid(), signal.SIGKILL)
        if (runs / "crash").exists() and step == 5:
            os.kill(os.getpid(), signal.SIGSEGV)
        if (runs / "no-memory").exists() and step == 5:
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        progress.update(step, 10, pass_at_1=step / 20, tokens_per_s=1234.5)
        write_atomically(checkpoint, str(step))
    (folder / "begun_at.txt").write_text(str(begun_at))


def second(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Copies what its input made."""
    text = (inputs["first"].folder / "begun_at.txt").read_text()
    if progress.writes:
        (folder / "copy.txt").write_text(text)


def beside(
    config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress
) -> None:
    """Ten steps; files in `config.runs` make it wait for one of the other chain, stay or fail."""
    runs, name = Path(config.runs), folder.name.rpartition("-")[0]
    checkpoint = folder / "checkpoints" / "step"
    checkpoint.parent.mkdir(exist_ok=True)
    begun_at = int(checkpoint.read_text()) if checkpoint.exists() else 0
    (runs / f"begun-{name}").touch()
    for step in range(begun_at + 1, 11):
        progress.update(step, 10)
        write_atomically(checkpoint, str(step))
        others = {"left_1": "right_1", "right_1": "left_1"}
        end = time.monotonic() + 60
        while step == 5 and (runs / "meet").exists() and name in others:
            if (runs / f"begun-{others[name]}").exists():
                break
            if time.monotonic() > end:
                raise TimeoutError("the other never came")
            time.sleep(0.05)
        while step == 5 and (runs / f"hold-{name}").exists():
            time.sleep(0.05)
        if step == 5 and (runs / f"fail-{name}").exists():
            raise ValueError("the bridge fell")
    (folder / "begun_at.txt").write_text(str(begun_at))


STAGES = (
    Stage(
        name="first",
        version=1,
        run="tests.fake_stages:first",
        config=("stage.base", "base_seed"),
        seconds=lambda config: 20,
        notebook="00_first",
    ),
    Stage(
        name="second",
        version=1,
        run="tests.fake_stages:second",
        config=("stage.r1_zero", "seed"),
        seconds=lambda config: 5,
        inputs=("first",),
        notebook="01_second",
        distributed=True,
    ),
)

CHAINS = (("left_1", "left_2"), ("right_1",))
"""Of stages that may be built side by side."""
PAIR = (
    STAGES[0],
    *(
        Stage(
            name=name,
            version=1,
            run="tests.fake_stages:beside",
            config=("seed",),
            seconds=lambda config: 10,
            inputs=inputs,
            notebook="01_pair",
            half=True,
        )
        for name, inputs in (("left_1", ("first",)), ("left_2", ("left_1",)), ("right_1", ()))
    ),
)
