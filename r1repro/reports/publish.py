"""Publishing: a finished report is copied once into a folder under version control."""

import json
import shutil
from pathlib import Path
from typing import Any

from r1repro import artifacts
from r1repro.code_marks import git_state
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.reports import FILES
from r1repro.reports.files import SUMS, check_sums

LARGEST = 2 * 2**20
"""Maximum size of a version in bytes: it stays in the repository."""


def publish(run_folder: Path, reports_folder: Path, checkout: Path = ROOT) -> Path:
    """Copy the finished report of a run to reports_folder/<scale>-<task>-<date>-<hash>/.

    A version of the lab ends with -lab-<lab>, one of a run cut short with -until-<stage>. README.md
    of the folder is rewritten. Raises R1ReproError if the report is unfinished, modified or at
    scale=smoke, the checkout has uncommitted changes or had them when the report was written, or
    the version exists or is too large. Returns the version's folder.
    """
    manifest = _finished(run_folder)
    _require_clean(manifest, checkout)
    lab = manifest["config"].get("lab", "none")
    parts = [manifest["scale"], manifest["task"], manifest["created"][:10], manifest["hash"]]
    parts += [] if lab == "none" else ["lab", lab]
    parts += ["until", manifest["until"]] if manifest.get("until") else []
    name = "-".join(parts)
    # Imported here, since it takes seconds, and a refusal should not.
    from r1repro.reports import versions

    version = reports_folder / name
    if version.exists():
        versions.write_index(reports_folder)  # a kill may have left it without this version
        raise R1ReproError(
            f"the version {version} exists, and versions are never overwritten: "
            "link to it, or change the run"
        )
    part = reports_folder / f".{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    versions.copy(run_folder, part, checkout, manifest)
    size = sum(file.stat().st_size for file in part.rglob("*") if file.is_file())
    if size > LARGEST:
        shutil.rmtree(part)
        raise R1ReproError(
            f"the report has {size / 2**20:.1f} MB and a version may have at most "
            f"{LARGEST / 2**20:.0f}: make its executed notebooks or figures smaller"
        )
    artifacts.write_sums(part / SUMS, artifacts.files_in(part))
    part.rename(version)
    versions.write_index(reports_folder)
    return version


def _finished(run_folder: Path) -> dict[str, Any]:
    """A run's manifest. Raises R1ReproError if the report is unfinished, modified or of smoke."""
    advice = "let `r1repro run` finish, then publish again"
    try:
        manifest = json.loads((run_folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["scale"] == "smoke":
            raise R1ReproError(
                f"the run {run_folder} is at scale=smoke, where nothing is learned: publish a run "
                "of another scale"
            )
        if not manifest["finished"]:
            raise R1ReproError(
                f"the run {run_folder} is not finished (it has {len(manifest['stages'])} stages): "
                f"{advice}"
            )
        check_sums(run_folder)
        for name in FILES:
            if manifest["files"][name] != artifacts.sha256(run_folder / name):
                raise R1ReproError(
                    f"{run_folder / name} is not what the run wrote: rewrite it with `r1repro run` "
                    "and the same settings"
                )
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise R1ReproError(f"the run {run_folder} has no {missing}: {advice}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise R1ReproError(
            f"the run {run_folder} has an unreadable manifest.json: {advice}"
        ) from error
    return manifest


def _require_clean(manifest: dict[str, Any], checkout: Path) -> None:
    recorded, now = manifest["git"], git_state(checkout)
    # A joint report is clean only if all its runs are.
    runs = [run["git"] for run in manifest.get("runs", ())]
    recorded = next((git for git in runs if git["dirty"] or git["commit"] is None), recorded)
    advice = "commit, run again (finished stages are loaded), and publish that"
    if recorded["commit"] is None or now["commit"] is None:
        raise R1ReproError(f"a version needs a git commit to point to, and there is none: {advice}")
    if recorded["dirty"]:
        raise R1ReproError(
            f"the report was written with uncommitted changes on {recorded['commit'][:10]}: "
            f"{advice}"
        )
    if now["dirty"]:
        raise R1ReproError(f"the checkout has uncommitted changes: {advice}")
