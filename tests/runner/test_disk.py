"""A full or read-only disk is one sentence, and what was there before is untouched."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from r1repro import cli, config
from r1repro.errors import StageFailed
from r1repro.runner.workspace import Workspace
from tests.quiet import Quiet, made


@pytest.fixture
def disk(tmp_path):
    """A file system of two megabytes."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def _fill(place):
    with suppress(OSError), (place / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk(disk, fake_graph):
    runs = disk / "runs"
    runs.mkdir()
    found = config.compose(["scale=smoke", f"runs={runs}"])
    (runs / "fill").touch()
    with pytest.raises(StageFailed, match=r"No space left on device.*it had reached 4 of 10"):
        made(found, "first")
    (runs / "fill").unlink()
    shutil.rmtree(Workspace(found).work("first"))
    first = made(found, "first")
    before = {file: file.stat().st_mtime_ns for file in first.folder.rglob("*")}
    _fill(disk)
    with pytest.raises((StageFailed, OSError), match="No space left on device"):
        made(found, "second")
    (disk / "filler").unlink()
    result = made(found, "second")
    assert (result.folder / "copy.txt").read_text() == "0"
    assert {file: file.stat().st_mtime_ns for file in first.folder.rglob("*")} == before


def test_a_read_only_disk(disk, capsys):
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for debug in ([], ["--debug"]):
        assert cli.main(["run", "scale=smoke", f"runs={disk / 'runs'}", *debug]) == 2
        said = capsys.readouterr().err
        assert "Read-only file system" in said and str(disk) in said.splitlines()[-1]
        assert ("Traceback" in said) == bool(debug)


def test_five_seeds_at_once_build_their_base_once(fake_graph, tmp_path):
    seeds = [config.compose(["scale=smoke", f"runs={tmp_path}", f"seed={n}"]) for n in range(5)]
    shows = [Quiet() for _ in seeds]
    with ThreadPoolExecutor(5) as pool:
        jobs = [
            pool.submit(made, found, "first", "second", show=show)
            for found, show in zip(seeds, shows, strict=True)
        ]
        results = [job.result() for job in jobs]
    assert len({result.key for result in results}) == 5
    assert sum("first" in show.built for show in shows) >= 1
    begun = [f for f in (tmp_path / "cache").glob("first-*/progress.jsonl")]
    assert len(begun) == 1 and len(begun[0].read_text().splitlines()) == 10
