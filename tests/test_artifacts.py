import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from r1repro import artifacts
from r1repro.artifacts import Damaged, Progress
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.runner import progress

KEY = "0123456789abcdef"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    work = artifacts.work_folder(tmp_path, "base", KEY)
    (work / "model").mkdir(parents=True)
    (work / "checkpoints").mkdir()
    (work / "checkpoints" / "step").write_text("3")
    (work / "model" / "weights").write_bytes(b"1234")
    (work / "log.txt").write_text("said")
    pd.DataFrame({"step": [1], "loss": [0.5]}).to_parquet(work / "metrics.parquet")
    artifacts.publish(work, tmp_path, "base", KEY, {"version": 1})
    return artifacts.result_folder(tmp_path, "base", KEY)


def test_published_result_is_loaded(tmp_path, published):
    result = artifacts.load(tmp_path, "base", KEY)
    assert result.folder == published and result.manifest["version"] == 1
    assert set(result.manifest["files"]) == {"model/weights", "metrics.parquet"}
    assert result.metrics()["loss"].tolist() == [0.5]
    assert not (published / "checkpoints").exists()
    assert not artifacts.work_folder(tmp_path, "base", KEY).exists()
    with pytest.raises(R1ReproError, match="stage base has no evaluation.parquet; its files"):
        result.evaluation()


def test_nothing_there(tmp_path):
    assert artifacts.load(tmp_path, "base", KEY) is None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda f: (f / "manifest.json").unlink(), "has no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "unreadable manifest.json"),
        (lambda f: (f / "manifest.json").write_text("[]"), "unreadable manifest.json"),
        (lambda f: (f / "model" / "weights").unlink(), "has no model/weights"),
        (lambda f: (f / "model" / "weights").write_bytes(b"123"), "3 bytes instead of 4"),
        (lambda f: (f / "model" / "weights").write_bytes(b"1235"), "model/weights in the result"),
    ],
)
def test_half_written_result_is_never_taken(tmp_path, published, damage, said):
    damage(published)
    with pytest.raises(Damaged) as refused:
        artifacts.load(tmp_path, "base", KEY)
    assert said in str(refused.value) and "rebuild it" in str(refused.value)


def test_every_byte_of_a_manifest_counts(tmp_path, published):
    file = published / "manifest.json"
    whole = file.read_bytes()
    for at in range(len(whole)):
        for changed in (bytes([whole[at] ^ 1]), bytes([whole[at] ^ 128]), b""):
            file.write_bytes(whole[:at] + changed + whole[at + 1 :])
            with pytest.raises(Damaged, match="manifest.json"):
                artifacts.load(tmp_path, "base", KEY)


def test_a_large_file_is_hashed_only_where_it_is_an_input(tmp_path, published, monkeypatch):
    monkeypatch.setattr(artifacts, "HASHED_BYTES", 3)
    (published / "model" / "weights").write_bytes(b"1235")
    assert artifacts.load(tmp_path, "base", KEY) is not None
    with pytest.raises(Damaged, match="weights in .* was modified"):
        artifacts.load(tmp_path, "base", KEY, whole=True)
    (published / "model" / "weights").write_bytes(b"12356")
    with pytest.raises(Damaged, match="5 bytes instead of 4"):
        artifacts.load(tmp_path, "base", KEY)


def test_result_of_another_key(tmp_path, published):
    with pytest.raises(Damaged, match="another key"):
        artifacts.load(tmp_path, "base", KEY[:12] + "ffff")


def test_killed_between_manifest_and_rename(tmp_path, published):
    work = artifacts.work_folder(tmp_path, "base", KEY)
    published.rename(work)
    assert artifacts.is_complete(work, KEY)
    artifacts.publish(work, tmp_path, "base", KEY, {"version": 2})
    assert artifacts.load(tmp_path, "base", KEY).manifest["version"] == 1


def test_set_aside_keeps_everything(tmp_path, published):
    moved = artifacts.set_aside(published, tmp_path)
    assert not published.exists() and (moved / "model" / "weights").read_bytes() == b"1234"


def test_progress_lines(tmp_path):
    written = Progress(tmp_path)
    written.update(1, 3, loss=1)
    written.update(2, 3, loss=float("nan"))
    with (tmp_path / "progress.jsonl").open("a") as file:
        file.write('{"step": 3, "tot')  # killed while writing
    lines = artifacts.read_progress(tmp_path)
    assert [(line["step"], line["total"]) for line in lines] == [(1, 3), (2, 3)]
    Progress(tmp_path).update(3, 3, loss=2)
    assert [line["step"] for line in artifacts.read_progress(tmp_path)] == [1, 2, 3]


def test_the_ends_of_every_session_tell_the_pace(tmp_path):
    assert artifacts.read_progress(tmp_path, ends=True) == []
    lines = [
        {"started": started, "time": started + step, "step": step, "total": 9}
        for started, steps in ((10.5, range(1, 5)), (20.5, [3]), (30.5, range(4, 8)))
        for step in steps
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "progress.jsonl").write_text(text + json.dumps(lines[0])[:20])
    ends = artifacts.read_progress(tmp_path, ends=True)
    assert [(line["started"], line["step"]) for line in ends] == [
        (10.5, 1), (10.5, 4), (20.5, 3), (30.5, 4), (30.5, 7),
    ]  # fmt: skip
    everything = artifacts.read_progress(tmp_path)
    assert progress.pace(ends, 40.0) == progress.pace(everything, 40.0)
    assert progress.worked(ends) == progress.worked(everything)
    Progress(None).update(1, 3)


def test_digest_is_that_of_the_content():
    assert artifacts.digest({"a": 1, "b": [1.5]}) == artifacts.digest({"b": [1.5], "a": 1})
    assert artifacts.digest({"a": 1}) != artifacts.digest({"a": 2})


def test_lock_is_held_once_and_ends_with_its_process(tmp_path):
    path = tmp_path / "work" / "x.lock"
    code = (
        "import sys, pathlib\nfrom r1repro import artifacts\n"
        "with artifacts.lock(pathlib.Path(sys.argv[1])) as held:\n"
        "    print(held is not None, flush=True)\n    sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout.readline().strip() == "True"
    with artifacts.lock(path) as held:
        assert held is None
    other.kill()
    other.communicate()
    with artifacts.lock(path) as held:
        assert held is not None
        assert path.read_text().strip() == str(os.getpid())


def test_write_atomically_leaves_nothing_else(tmp_path):
    artifacts.write_atomically(tmp_path / "a" / "x.json", "1")
    artifacts.write_atomically(tmp_path / "a" / "x.json", "2")
    assert [f.name for f in (tmp_path / "a").iterdir()] == ["x.json"]
    assert (tmp_path / "a" / "x.json").read_text() == "2"


def test_facts_are_plain_data():
    facts = {"versions": artifacts.versions(), "hardware": artifacts.hardware()}
    assert json.loads(json.dumps(facts)) == facts
    assert facts["hardware"]["cores"] >= 1 and "numpy" in facts["versions"]
