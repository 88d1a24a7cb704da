"""constraints.txt pins everything that a fresh install brings, at what is installed here."""

import re
from importlib import metadata

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from r1repro.config import ROOT

PINNED = dict(
    (canonicalize_name(name), version)
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE
    )
)
OF_TORCH = ("nvidia-", "cuda-", "triton", "setuptools", "pip")
"""What torch's CUDA builds bring, pinned by torch itself, and what installs."""


def needed(name: str, extras: frozenset[str], seen: set[tuple[str, frozenset[str]]]) -> set[str]:
    """The package and all that it requires on this machine."""
    if (name, extras) in seen or name.startswith(OF_TORCH):
        return set()
    seen.add((name, extras))
    found = {name}
    for text in metadata.requires(name) or ():
        one = Requirement(text)
        places = [default_environment() | {"extra": extra} for extra in extras or {""}]
        if one.marker is None or any(map(one.marker.evaluate, places)):
            found |= needed(canonicalize_name(one.name), frozenset(one.extras), seen)
    return found


def test_every_package_of_a_fresh_install_is_pinned_at_its_version():
    names = needed("r1repro", frozenset({"test"}), set()) - {"r1repro"}
    assert len(names) > 100 and "torch" in names
    assert sorted(names - PINNED.keys()) == []
    other = {n: metadata.version(n) for n in names}
    wrong = {n: v for n, v in other.items() if Version(v).public != PINNED[n]}
    if wrong.keys() == {"torch"}:  # any from 2.11 on is supported; see docs/status.md
        pytest.skip(f"another torch is installed on purpose: {wrong}")
    assert wrong == {}
