"""What came out: every checkpoint measured and compared, what the students cost."""

from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.evaluation import held_out
from r1repro.evaluation.checkpoints import STUDENTS
from r1repro.evaluation.results import COSTS, write_json
from r1repro.stages.distillation import distillation_flops, training_data
from r1repro.tasks import asking
from r1repro.training.flops import equal_flops_row


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Write what r1repro.evaluation.held_out makes of the stored evaluations, and costs.json.

    results.json: {checkpoint: {path: {value, low, high, n}}}, checkpoints as the stages are named,
    and under "adds" what RL adds to the best way of asking the base, by family.
    differences.json: {"r1_zero - base": {path: {...}}}, paired over problems, for every pair of
    r1repro.evaluation.checkpoints.PAIRS. costs.json: see `costs`.
    """
    evaluations = {
        name.removeprefix("evaluate_"): pd.read_parquet(result.folder / "evaluation.parquet")
        for name, result in inputs.items()
        if name.startswith("evaluate_")
    }
    held_out.write(folder, held_out.measure(evaluations, _ways(inputs)))
    write_json(folder / COSTS, costs(inputs))
    progress.update(1, 1)


def _ways(inputs: dict[str, StageResult]) -> dict[str, dict[str, Any]]:
    return asking.read_best(inputs["base_search"].folder) if "base_search" in inputs else {}


def costs(inputs: dict[str, StageResult]) -> dict[str, dict[str, float]]:
    """{checkpoint: {"flops", "seconds"}}: what each student took beyond its own base, estimated.

    Distillation includes the teacher's sampling of the data, which both students share and each is
    charged in full. RL at equal FLOPs: the step whose policy was kept for it. A student whose
    stages are not all among the inputs is left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name in STUDENTS:
        stages = [f"{name}_distilled", f"{name}_rl", f"{name}_distilled_rl"]
        if not {*stages, "rejection_sampling", "dev2"} <= inputs.keys():
            continue
        data = training_data(inputs)
        budget = distillation_flops(inputs[stages[0]], inputs)
        distilled, rl, both = (
            pd.read_parquet(inputs[stage].folder / "metrics.parquet") for stage in stages
        )
        equal, last, more = rl.iloc[equal_flops_row(rl, budget)], rl.iloc[-1], both.iloc[-1]
        seconds = float(distilled["seconds"].iloc[-1]) + float(data.manifest["seconds"])
        found |= {
            f"{name}_rl": _cost(last["flops"], last["seconds"]),
            f"{name}_rl_equal_flops": _cost(equal["flops"], equal["seconds"]),
            f"{name}_distilled": _cost(budget, seconds),
            f"{name}_distilled_rl": _cost(budget + more["flops"], seconds + more["seconds"]),
        }
    return found


def _cost(flops: float, seconds: float) -> dict[str, float]:
    return {"flops": float(flops), "seconds": float(seconds)}
