"""What distillation takes, counted from stored results: no model is loaded."""

import math
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from r1repro.artifacts import StageResult
from r1repro.training import flops


def distillation_flops(distilled: StageResult, data: StageResult, teacher: StageResult) -> float:
    """What a distilled student cost: its fine-tuning, and the teacher's sampling of its data.

    Traces of a stronger teacher cost more to sample than Dev2's data, which stands for them.
    """
    samples = pd.read_parquet(data.folder / "samples.parquet", columns=["tokens_sampled"])
    sampled = float(samples.tokens_sampled.iloc[0])
    parameters = stored_parameters(teacher.folder / "model")
    return float(distilled.metrics().flops.iloc[-1]) + flops.forward(parameters, sampled)


def stored_parameters(folder: Path) -> int:
    """Parameters of a model's folder; tied ones are stored, and counted, once."""
    count = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "numpy") as tensors:
            names = tensors.keys()
            count += sum(math.prod(tensors.get_slice(name).get_shape()) for name in names)
    return count
