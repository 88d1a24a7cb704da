"""Stage comparison: measures and compares every checkpoint, and counts the students' costs."""

from pathlib import Path

import pandas as pd

from r1repro.artifacts import Inputs, Progress
from r1repro.config import Config
from r1repro.evaluation import held_out
from r1repro.evaluation.checkpoints import STUDENTS, evaluated, of_student
from r1repro.evaluation.results import COSTS, write_json
from r1repro.stages.student_data import distillation_flops, training_data
from r1repro.tasks import prompting
from r1repro.training.flops import equal_flops_row


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Write the summaries of r1repro.evaluation.held_out and costs.json.

    results.json: {checkpoint: {path: {value, low, high, n}}}, with checkpoints named as stages, and
    under "adds" the gain of RL over the best prompt of the base, by family. differences.json:
    {"r1_zero - base": {path: {...}}}, paired over problems, for every pair of
    r1repro.evaluation.checkpoints.PAIRS. costs.json: see `costs`.
    """
    evaluations = {name: result.evaluation() for name, result in evaluated(inputs).items()}
    searched = inputs.get("base_search")
    ways = {} if searched is None else prompting.read_best(searched.folder)
    held_out.write(folder, held_out.measure(evaluations, ways))
    write_json(folder / COSTS, costs(inputs))
    progress.update(1, 1)


def costs(inputs: Inputs) -> dict[str, dict[str, float]]:
    """{checkpoint: {"flops", "seconds"}}: estimated cost of each student beyond its own base.

    Distillation includes the teacher's sampling, which both students share and each is charged in
    full. RL at equal FLOPs is counted up to the step whose policy was kept. Students with missing
    stages are left out.
    """
    found: dict[str, dict[str, float]] = {}
    for name in STUDENTS:
        arms = of_student(name)
        stages = [arms["distilled"], arms["rl"], arms["distilled_rl"]]
        if not {*stages, "rejection_sampling", "dev2"} <= inputs.keys():
            continue
        data = training_data(inputs)
        budget = distillation_flops(inputs[stages[0]], inputs)
        distilled, rl, both = (
            pd.read_parquet(inputs[stage].folder / "metrics.parquet") for stage in stages
        )
        equal, last, more = rl.iloc[equal_flops_row(rl, budget)], rl.iloc[-1], both.iloc[-1]
        seconds = float(distilled["seconds"].iloc[-1]) + float(data.manifest["seconds"])
        spent = {
            arms["rl"]: (last["flops"], last["seconds"]),
            arms["rl_equal_flops"]: (equal["flops"], equal["seconds"]),
            arms["distilled"]: (budget, seconds),
            arms["distilled_rl"]: (budget + more["flops"], seconds + more["seconds"]),
        }
        found |= {k: {"flops": float(f), "seconds": float(s)} for k, (f, s) in spent.items()}
    return found
