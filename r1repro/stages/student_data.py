"""The students' training data and the FLOPs of distillation, at which RL alone is compared with it.

The teacher is Dev2, whose answers the stage rejection_sampling filters, or a stronger one, sampled
by the stage teacher_sampling (both in rejection_sampling.py). FLOPs are read from stored results
without loading a model: RL that has spent as many keeps its policy (rl.py), and comparison.py
counts both.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from r1repro.artifacts import StageResult
from r1repro.training import flops


def training_data(results: Mapping[str, StageResult]) -> StageResult:
    """The students' training data: a stronger teacher's answers if sampled here, else Dev2's.

    External traces are not a stage's result; for their cost Dev2's data is used.
    """
    return results.get("teacher_sampling") or results["rejection_sampling"]


def distillation_flops(distilled: StageResult, results: Mapping[str, StageResult]) -> float:
    """FLOPs of a distilled student: its fine-tuning and the teacher's sampling of its data.

    results: the inputs of `training_data`, and dev2. For external traces this is a lower bound,
    since Dev2's sampling is counted for that of the stronger teacher.
    """
    file, sampled = training_data(results).folder / "samples.parquet", "tokens_sampled"
    if "teacher_sampling" in results:
        counts = pd.read_parquet(file, columns=[sampled, "teacher_parameters"])
        parameters = int(counts.teacher_parameters.iloc[0])
    else:
        counts = pd.read_parquet(file, columns=[sampled])
        parameters = stored_parameters(results["dev2"].folder / "model")
    cost = flops.forward(parameters, float(counts[sampled].iloc[0]))
    return float(distilled.metrics().flops.iloc[-1]) + cost


def stored_parameters(folder: Path) -> int:
    """Number of parameters in a model folder; tied ones are stored, and counted, once."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as tensors:
            names = tensors.keys()
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return count
