"""Six kills in one run, without a network; `python -m tests.crash --kills 60` makes sixty."""

import random
import sys

import pytest

from r1repro import artifacts
from r1repro.config import compose
from r1repro.errors import R1ReproError
from r1repro.reports.files import check_sums
from r1repro.runner import sequence
from r1repro.runner.workspace import Workspace
from tests.crash.__main__ import Kill, differences, disturbed, execute, results

SMALL = [
    "scale=smoke", "stage.base.tokens=20000", "stage.base.save_every=5", "evaluation.problems=8",
    "evaluation.general_items=8", "evaluation.max_completion_tokens=24",
    "evaluation.search_samples=1",
]  # fmt: skip
UNTIL = ["--until", "r1_zero"]
KILLS = (
    Kill("pretraining", 7, "stage"),
    Kill("checkpoint", 1, "all"),
    Kill("rollout", 2, "runner"),
    Kill("update", 3, "stage"),
    Kill("evaluation", 20, "runner"),
    Kill("notebook", 1, "kernel"),
)
FLIPS = 100


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The runs folder of an undisturbed run, made without a network."""
    runs = tmp_path_factory.mktemp("straight")
    code, said = execute([*SMALL, f"runs={runs}", *UNTIL], None)
    assert code == 0, said
    return runs


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds kernels in /proc")
def test_six_kills_change_no_weight_and_no_row(straight, tmp_path):
    made = disturbed([*SMALL, f"runs={tmp_path / 'broken'}", *UNTIL], KILLS, tmp_path / "traps")
    assert made == [*KILLS]
    expected = results(straight)
    assert len(expected) > 10
    assert differences(expected, results(tmp_path / "broken")) == []


def _found(space, runs, file, mark):
    """Whether reading the damaged file's folder says so and names the file.

    mark: a notebook's before; one whose mark differs is executed again.
    """
    if file.suffix == ".ipynb":
        return sequence.recorded(file) != mark
    try:
        if file.is_relative_to(runs / "cache"):
            folder = runs / "cache" / file.relative_to(runs / "cache").parts[0]
            name = next(n for n in space.stages if space.place(n) == folder)
            artifacts.load(runs, name, space.keys[name], whole=True)
        else:
            check_sums(file.parent)
    except R1ReproError as error:
        return file.name in str(error)
    return False


def test_a_flipped_or_missing_byte_is_found(straight):
    space = Workspace(compose([*SMALL, f"runs={straight}"]))
    [run] = straight.glob("smoke-*")
    files = [f for f in (straight / "cache").rglob("*") if f.is_file() and f.name != "log.txt"]
    listed = [line.split("  ", 1)[1] for line in (run / "SHA256SUMS").read_text().splitlines()]
    files += [run / name for name in listed] + [*(run / "notebooks").glob("*.ipynb")]
    assert {"model.safetensors", "manifest.json", "results.json"} <= {f.name for f in files}
    rng, missed = random.Random(0), []
    mark = {file: sequence.recorded(file) for file in files if file.suffix == ".ipynb"}
    assert mark and None not in mark.values()
    assert not any(_found(space, straight, file, mark.get(file)) for file in files)
    for number in range(FLIPS):
        file = files[number % len(files)]
        whole = file.read_bytes()
        at = rng.randrange(len(whole))
        flipped = bytes([whole[at] ^ 1 << rng.randrange(8)]) if number % 4 else b""
        file.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        if not _found(space, straight, file, mark.get(file)):
            missed.append((file.name, at, whole[max(0, at - 20) : at + 20]))
        file.write_bytes(whole)
    assert missed == []
