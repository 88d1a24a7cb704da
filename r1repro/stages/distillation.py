"""What distillation takes, counted from stored results: no model is loaded."""

import math
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from r1repro.artifacts import StageResult
from r1repro.training import flops


def training_data(results: Mapping[str, StageResult]) -> StageResult:
    """What the students are fine-tuned on: a stronger teacher's answers if there are, or Dev2's.

    Traces from elsewhere are no stage's result; Dev2's data stands for them.
    """
    return results.get("teacher_sampling") or results["rejection_sampling"]


def distillation_flops(distilled: StageResult, results: Mapping[str, StageResult]) -> float:
    """What a distilled student cost: its fine-tuning, and the teacher's sampling of its data.

    results: what `training_data` wants, and dev2. Traces of a stronger teacher cost more to sample
    than Dev2's data, which stands for them.
    """
    file, sampled = training_data(results).folder / "samples.parquet", "tokens_sampled"
    if "teacher_sampling" in results:
        told = pd.read_parquet(file, columns=[sampled, "teacher_parameters"])
        parameters = int(told.teacher_parameters.iloc[0])
    else:
        told = pd.read_parquet(file, columns=[sampled])
        parameters = stored_parameters(results["dev2"].folder / "model")
    cost = flops.forward(parameters, float(told[sampled].iloc[0]))
    return float(distilled.metrics().flops.iloc[-1]) + cost


def stored_parameters(folder: Path) -> int:
    """Parameters of a model's folder; tied ones are stored, and counted, once."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as tensors:
            names = tensors.keys()
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return count
