"""The groups of conf/ that a run chooses from: a scale is a file, all others are tables."""

from functools import cache
from pathlib import Path
from typing import Any

from r1repro.config.ranges import refused
from r1repro.errors import R1ReproError, offered

OWN = "conf/working_copy.txt"
"""The file that marks a conf/ as r1repro's; other projects have a conf/ too."""


def _root() -> Path:
    own, here = Path(__file__).resolve().parents[2], Path.cwd()
    return next((p for p in (own, here, *here.parents) if (p / OWN).is_file()), here)


ROOT = _root()
"""The checkout, or a working copy around the current folder where the package is installed alone.

conf/, notebooks/ and a relative `runs` are resolved against it.
"""


def check_root() -> None:
    """Raise R1ReproError if there is neither a checkout nor a working copy."""
    if not (ROOT / OWN).is_file():
        raise R1ReproError(
            f"no {OWN} in {ROOT}: make a working copy with `r1repro notebooks FOLDER` and "
            "run the command there, or in a clone"
        )


TABLES = ("model", "task", "student", "ablation")
"""Groups whose choices, with the settings of each, are in conf/GROUPs.yaml."""
GROUPS = ("scale", *TABLES)
_FOR_OWN_FILES = {
    "model": "; for a folder write scale=gpu model=local model.path=FOLDER, for a model of the hub "
    "see docs/extend.md",
    "task": "; for a file of your own write task=own task.path=FILE",
}


@cache
def table(group: str) -> dict[str, dict[str, Any]]:
    """The settings of every choice of a group in TABLES, with its name among them."""
    from omegaconf import OmegaConf

    check_root()
    found: Any = OmegaConf.to_container(OmegaConf.load(ROOT / "conf" / f"{group}s.yaml"))
    return {name: {"name": name, **(settings or {})} for name, settings in found.items()}


def choices(group: str) -> list[str]:
    """The choices in conf/ for one of GROUPS."""
    if group in TABLES:
        return sorted(table(group))
    return sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


def check_choice(group: str, name: object) -> None:
    """Raise R1ReproError unless the group has that choice."""
    names = choices(group)
    if name not in names:
        where = f"conf/{group}s.yaml has" if group in TABLES else f"conf/{group}/ has"
        own = _FOR_OWN_FILES.get(group, "")
        raise refused(group, name, f"one of {offered(str(name), names, where)}{own}")


def register() -> None:
    """Make the tables' choices known to Hydra.

    A model that is not trained here brings the students of the hub.
    """
    from hydra.core.config_store import ConfigStore

    models = table("model")
    for group in TABLES:
        for name, settings in table(group).items():
            if group == "student":
                shapes = {
                    key: models[settings[key]] for key in ("qwen", "llama") if key in settings
                }
                settings = settings | shapes
            node: dict[str, Any] = {group: settings}
            if group == "model" and ("hub" in settings or "path" in settings):
                node["defaults"] = [{"override /student": "hub"}]
            ConfigStore.instance().store(name=name, node=node, group=group, package="_global_")
