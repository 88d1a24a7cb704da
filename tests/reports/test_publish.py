import gzip
import html
import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest

from r1repro import artifacts
from r1repro.errors import R1ReproError
from r1repro.evaluation.results import read_adds, read_results
from r1repro.reports import compare, versions
from r1repro.reports.files import SUMS
from r1repro.reports.publish import publish
from r1repro.reports.versions import write_index
from tests.reports.conftest import repository


@pytest.fixture
def checkout(tmp_path):
    return repository(tmp_path / "checkout")


@pytest.fixture
def run(finished_run):
    _edit(finished_run, git={"commit": "c" * 40, "dirty": False})
    return finished_run


def _edit(run_folder, **values):
    file = run_folder / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_results_are_compressed_and_read_as_before(run, checkout):
    version = publish(run, checkout / "reports", checkout)
    assert not (version / "results.json").exists()
    for read in (read_results, read_adds):
        assert str(read(version / "results.json")) == str(read(run / "results.json"))


def test_a_version_is_copied_and_listed(run, checkout):
    version = publish(run, checkout / "reports", checkout)
    created = json.loads((run / "manifest.json").read_text())["created"][:10]
    assert version.name == f"laptop-mini-{created}-0123abcd"
    files = {str(f.relative_to(version)) for f in version.rglob("*") if f.is_file()}
    assert files == {
        "report.html", "results.json.gz", "differences.json.gz", "claims.json", "manifest.json",
        "resolved.yaml", "notebooks/00_base_model.html", "reflection.json", "costs.json",
        "moved.json", "answers.parquet", "curves.parquet", "right.parquet", "taken_back.parquet",
        "SHA256SUMS",
    }  # fmt: skip
    packed = gzip.decompress((version / "differences.json.gz").read_bytes())
    assert packed == (run / "differences.json").read_bytes()
    page = (version / "report.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="(notebooks/[^"]+)"', page)) == {"notebooks/00_base_model.html"}
    assert "data:image/png" not in page and page.count("data:image/webp") == (
        run / "report.html"
    ).read_text(encoding="utf-8").count("data:image/png")
    text = (checkout / "reports" / "README.md").read_text(encoding="utf-8")
    assert f"{version.name}/report.html" in text and "pass@1: Base" in text
    assert re.search(r"Claims of the papers: \d+ reproduced, \d+ contradicted", text)


def test_published_notebooks_do_not_tell_where_they_ran(run, checkout):
    told = {"config_path": str(run / "resolved.yaml"), "字": "等等", "lib": sys.prefix + "/lib"}
    cell = {"cell_type": "raw", "source": json.dumps(told), "metadata": {}, "id": "told"}
    place = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (run / "notebooks" / "00_base_model.ipynb").write_text(json.dumps(place))
    version = publish(run, checkout / "reports", checkout)
    page = html.unescape((version / "notebooks" / "00_base_model.html").read_text("utf-8"))
    told = json.dumps({"config_path": "RUN/resolved.yaml", "字": "等等", "lib": "venv/lib"})
    assert told in page


def test_runs_of_a_joint_report_may_lie_elsewhere(run, checkout):
    given = (
        'runs = ["/else/where/runs/one", "/elsewhere/two"]\nconfig = "/third/runs/resolved.yaml"'
    )
    cell = {"cell_type": "code", "id": "told", "outputs": [], "execution_count": None}
    cell |= {"source": given, "metadata": {"tags": ["injected-parameters"]}}
    place = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (run / "notebooks" / "00_base_model.ipynb").write_text(json.dumps(place))
    version = publish(run, checkout / "reports", checkout)
    page = re.sub(r"<[^>]+>", "", (version / "notebooks" / "00_base_model.html").read_text("utf-8"))
    assert "where/" not in page and "third" not in page
    assert 'runs = ["runs/one", "runs/two"]' in html.unescape(page)


def test_a_version_is_never_overwritten(run, checkout):
    version = publish(run, checkout / "reports", checkout)
    before = (version / "report.html").read_bytes()
    with pytest.raises(R1ReproError, match="never overwritten"):
        publish(run, checkout / "reports", checkout)
    assert (version / "report.html").read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a fork of this process")
@pytest.mark.parametrize(
    "module, name, count",
    [
        (Path, "write_bytes", 2), (Path, "write_text", 1), (Path, "write_text", 4),
        (shutil, "copyfile", 1), (artifacts, "write_sums", 1), (Path, "rename", 1),
        (versions, "write_index", 1),
    ],
)  # fmt: skip
def test_a_publication_that_is_killed_is_done_by_the_next(module, name, count, run, checkout):
    whole = publish(run, checkout.parent / "undisturbed", checkout)
    reports, left = checkout / "reports", [count]
    original = getattr(module, name)

    def killed(*args, **kwargs):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    child = os.fork()
    if child == 0:
        setattr(module, name, killed)
        publish(run, reports, checkout)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    named = [folder.name for folder in reports.iterdir() if not folder.name.startswith(".")]
    if name == "write_index":  # the version is whole and only not yet listed
        with pytest.raises(R1ReproError, match="never overwritten"):
            publish(run, reports, checkout)
    else:
        assert named == [], "half a version has no name"
        publish(run, reports, checkout)
    for file in (*whole.rglob("*"), whole.parent / "README.md"):
        if file.is_file():
            copied = reports / file.relative_to(whole.parent)
            assert copied.read_bytes() == file.read_bytes()
    assert [folder.name for folder in reports.glob(".*")] == []


def test_an_earlier_version_not_yet_committed_is_no_change_of_the_code(run, checkout):
    publish(run, checkout / "reports", checkout)
    _edit(run, hash="89abcdef", created="2099-01-01T00:00:00+00:00")
    publish(run, checkout / "reports", checkout)
    text = (checkout / "reports" / "README.md").read_text(encoding="utf-8")
    assert text.index("89abcdef") < text.index("0123abcd")  # newest first


def test_a_dirty_checkout_is_refused(run, checkout):
    (checkout / "code.py").write_text("2\n")
    with pytest.raises(R1ReproError, match="uncommitted changes"):
        publish(run, checkout / "reports", checkout)
    assert not (checkout / "reports").exists()


def test_a_report_from_a_dirty_checkout_is_refused(run, checkout):
    _edit(run, git={"commit": "c" * 40, "dirty": True})
    with pytest.raises(R1ReproError, match="written with uncommitted changes on cccccccccc"):
        publish(run, checkout / "reports", checkout)


def test_a_report_without_a_commit_is_refused(run, checkout, tmp_path):
    _edit(run, git={"commit": None, "dirty": None})
    with pytest.raises(R1ReproError, match="there is none"):
        publish(run, checkout / "reports", checkout)


def test_an_unfinished_run_is_refused(run, checkout):
    _edit(run, finished=False)
    with pytest.raises(R1ReproError, match="not finished"):
        publish(run, checkout / "reports", checkout)


def test_a_run_that_learned_nothing_is_refused(run, checkout):
    _edit(run, scale="smoke")
    with pytest.raises(R1ReproError, match="scale=smoke, where nothing is learned"):
        publish(run, checkout / "reports", checkout)
    assert not (checkout / "reports").exists()


@pytest.mark.parametrize("name", ["manifest.json", "report.html", "results.json"])
def test_a_missing_file_is_named(run, checkout, name):
    (run / name).unlink()
    with pytest.raises(R1ReproError, match=f"has no {name}"):
        publish(run, checkout / "reports", checkout)


def test_a_changed_report_is_refused(run, checkout):
    (run / "results.json").write_text("{}")
    with pytest.raises(R1ReproError, match="not what the run wrote"):
        publish(run, checkout / "reports", checkout)


def test_a_half_written_manifest_is_refused(run, checkout):
    (run / "manifest.json").write_text("{")
    with pytest.raises(R1ReproError, match="unreadable manifest"):
        publish(run, checkout / "reports", checkout)


def test_too_large_a_version_is_refused(run, checkout):
    cell = {"cell_type": "raw", "source": "x" * (9 * 2**20), "metadata": {}, "id": "big"}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (run / "notebooks" / "01_big.ipynb").write_text(json.dumps(notebook))
    with pytest.raises(R1ReproError, match="at most 2"):
        publish(run, checkout / "reports", checkout)
    assert not list((checkout / "reports").glob("*")) if (checkout / "reports").exists() else True


def test_the_index_can_be_written_anew(run, checkout):
    publish(run, checkout / "reports", checkout)
    before = (checkout / "reports" / "README.md").read_text()
    write_index(checkout / "reports")
    assert (checkout / "reports" / "README.md").read_text() == before
    for ledger in (checkout / "reports").glob("*/claims.json"):  # which old versions lack
        ledger.unlink()
    write_index(checkout / "reports")
    assert "Claims of the papers" not in (checkout / "reports" / "README.md").read_text()


def test_a_version_is_checked_when_it_is_read(run, checkout):
    version = publish(run, checkout / "reports", checkout)
    listed = {line.split("  ", 1)[1] for line in (version / SUMS).read_text().splitlines()}
    files = {str(f.relative_to(version)) for f in version.rglob("*") if f.is_file()}
    assert listed == files - {SUMS}
    compare.read(version)
    file = version / "curves.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    with pytest.raises(R1ReproError, match="curves.parquet is missing or was modified: take"):
        compare.read(version)
