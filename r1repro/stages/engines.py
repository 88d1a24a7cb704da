"""Checks that a configuration's engine is installed, without importing it."""

import importlib
import subprocess
import sys
from importlib.util import find_spec

from r1repro import cores
from r1repro.config import ROOT, Config
from r1repro.errors import R1ReproError

REPORTERS = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
}
"""Packages, any one of which is enough, by the value of engine.report_to."""
INSTALL = {
    "bitsandbytes": 'pip install -e ".[quantized]" -c constraints.txt',
    "unsloth": 'pip install -e ".[unsloth]" -c constraints.txt',
    # requires an older NumPy than constraints.txt has
    "vllm": 'pip install -e ".[vllm]"',
    # built against the installed torch
    "flash_attn": "pip install flash-attn --no-build-isolation",
}


def check_engine(config: Config) -> None:
    """Raise R1ReproError, before any stage starts, if this machine cannot run the engine."""
    engine = config.engine
    if engine.sharded and not cores.gpu_in_sight():
        raise R1ReproError(
            "engine.sharded=true needs GPUs to shard the weights over, and this machine has none: "
            "run it on one that has, or set it to false"
        )
    if engine.quantized:
        _require("engine.quantized=true", "bitsandbytes")
    if engine.rollouts != "own":
        _require(f"engine.rollouts={engine.rollouts}", "vllm")
    if engine.attention == "flash_attention_2":
        _require("engine.attention=flash_attention_2", "flash_attn")
    names = REPORTERS.get(engine.report_to, ())
    if names and not any(map(find_spec, names)):
        raise R1ReproError(
            f"engine.report_to={engine.report_to} needs the package {names[0]}, which is not "
            f"installed: pip install {names[0]}, or leave engine.report_to=none"
        )
    if engine.unsloth:
        _require("engine.unsloth=true", "unsloth")
        _try_unsloth()


def import_unsloth() -> None:
    """Import Unsloth in a stage's process, before TRL, which it patches.

    Raises R1ReproError if TRL is already imported or Unsloth cannot be.
    """
    if "trl" in sys.modules:
        raise R1ReproError(
            "engine.unsloth=true must be set before TRL is imported: run the stage with "
            "`r1repro run`, in its own process"
        )
    try:
        importlib.import_module("unsloth")
    except Exception as error:  # NotImplementedError without a GPU, anything from dependencies
        reason = " ".join(str(error).split())
        raise R1ReproError(
            f"engine.unsloth=true is not available here, since importing unsloth raised "
            f"{type(error).__name__} ({reason}): install the extra [unsloth] on a machine with a "
            "GPU, or leave the setting out"
        ) from error


def _try_unsloth() -> None:
    """Check in a subprocess that Unsloth's patches of TRL are compatible with our GRPO."""
    code = (
        "from r1repro.stages.engines import import_unsloth; import_unsloth()\n"
        "from r1repro.training.trl_adapter import check_overrides; check_overrides()"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().split("\n") or [""])[-1]
        raise R1ReproError(last.removeprefix("r1repro.errors.R1ReproError: "))


def _require(setting: str, package: str) -> None:
    if find_spec(package) is None:
        raise R1ReproError(
            f"{setting} needs the package {package}, which is not installed: {INSTALL[package]}, "
            "or leave the setting out"
        )
    if not cores.gpu_in_sight():
        raise R1ReproError(
            f"{setting} needs a GPU and this machine has none: leave the setting out"
        )
