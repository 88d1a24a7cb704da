"""Without a clone: a wheel brings the settings and the notebooks."""

import json
import os
import re
import subprocess
import sys
import sysconfig

import pytest

from r1repro import working_copy
from r1repro.config import ROOT
from r1repro.errors import R1ReproError

LISTED = (ROOT / working_copy.LIST).read_text().split()


def test_a_checkout_writes_one_too(tmp_path):
    assert working_copy.write(tmp_path / "new") == sorted({part.split("/")[0] for part in LISTED})
    assert (tmp_path / "new/conf/config.yaml").is_file()
    with pytest.raises(R1ReproError, match="new is not empty: give a folder"):
        working_copy.write(tmp_path / "new")


def test_every_part_is_tracked_and_in_a_source_distribution():
    manifest = (ROOT / "MANIFEST.in").read_text()
    for part in LISTED:
        assert subprocess.check_output(["git", "-C", ROOT, "ls-files", part], text=True), part
        assert re.search(rf"^(?:graft|include) .*{re.escape(part)}\b", manifest, re.MULTILINE), part


def test_it_has_the_version_that_the_quickstart_reads():
    cells = json.loads((ROOT / "notebooks/quickstart.ipynb").read_text())["cells"]
    code = "".join("".join(cell["source"]) for cell in cells)
    (version,) = (part.split("/")[1] for part in LISTED if part.startswith("reports/"))
    assert f'version = "{version}"' in code


def test_a_wheel_is_enough_to_plan_a_run(tmp_path):
    """Built and installed without a network, beside the packages that are there."""
    source, site = tmp_path / "source", tmp_path / "site"
    files = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z"], text=True).split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "install", *alone, "--target", site, source], check=True)
    # Without the checkout's own .pth file, which an editable install puts into site-packages.
    paths = os.pathsep.join([str(site), sysconfig.get_path("purelib")])
    environment = {**os.environ, "PYTHONPATH": paths}

    def r1repro(place, *words):
        command = [sys.executable, "-S", "-m", "r1repro.cli", *words]
        return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)

    outside = r1repro(tmp_path, "plan", "scale=smoke")
    assert outside.returncode == 2 and "`r1repro notebooks FOLDER`" in outside.stderr
    made = r1repro(tmp_path, "notebooks", "work")
    assert made.returncode == 0 and "next: cd work, then" in made.stdout, made.stderr
    inside = r1repro(tmp_path / "work" / "notebooks", "plan", "scale=smoke", "--no-probe")
    assert inside.returncode == 0 and "r1_zero" in inside.stdout, inside.stderr
    assert not (tmp_path / "work" / "runs").exists()
