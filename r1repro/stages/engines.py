"""Whether what a configuration computes with is installed here; none of it is loaded."""

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
"""The packages, any of which will do, by the value of engine.report_to."""
INSTALL = {
    "bitsandbytes": 'pip install -e ".[quantized]" -c constraints.txt',
    "unsloth": 'pip install -e ".[unsloth]" -c constraints.txt',
    # it needs an older NumPy than constraints.txt has
    "vllm": 'pip install -e ".[vllm]"',
    # built against the torch that is there
    "flash_attn": "pip install flash-attn --no-build-isolation",
}


def check_engine(config: Config) -> None:
    """Refuse, before any stage starts, what this machine cannot do (R1ReproError)."""
    engine = config.engine
    if engine.sharded and not cores.gpu_in_sight():
        raise R1ReproError(
            "engine.sharded=true shares the weights out among GPUs, and there is none here: run "
            "it where there are some, or leave it false"
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
    """In a stage's process: Unsloth before TRL, which it patches."""
    if "trl" in sys.modules:
        raise R1ReproError(
            "engine.unsloth=true has to be set before TRL is imported: run the stage by "
            "`r1repro run`, in a process of its own"
        )
    try:
        importlib.import_module("unsloth")
    except Exception as error:  # without a GPU NotImplementedError, and whatever its parts raise
        said = " ".join(str(error).split())
        raise R1ReproError(
            f"engine.unsloth=true cannot be had here, since importing unsloth ends in "
            f"{type(error).__name__} ({said}): install the extra [unsloth] on a machine with a "
            "GPU, or leave the setting out"
        ) from error


def _try_unsloth() -> None:
    """In a process of its own: whether Unsloth leaves TRL's trainer as our GRPO needs it."""
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
            f"{setting} needs a GPU, and there is none on this machine: leave the setting out"
        )
