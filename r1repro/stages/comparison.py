"""What came out: the measures of every checkpoint, their differences, and the figures."""

from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.reports import figures
from r1repro.reports.files import write_figure, write_results
from r1repro.reports.report import estimates


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Write results.json, differences.json and figures/ from the stored evaluations.

    results.json: {checkpoint: {path: {value, low, high, n}}}, checkpoints as the stages are named.
    differences.json: {"r1_zero - base": {path: {...}}}, paired over problems.
    """
    evaluations = {
        name.removeprefix("evaluate_"): pd.read_parquet(result.folder / "evaluation.parquet")
        for name, result in inputs.items()
        if name.startswith("evaluate_")
    }
    summaries, changes = estimates(evaluations)
    write_results(folder / "results.json", summaries)
    write_results(folder / "differences.json", changes)
    progress.update(1, 2)

    metrics = pd.read_parquet(inputs["r1_zero"].folder / "metrics.parquet")
    drawn = {
        "headline": figures.headline(metrics, summaries),
        "families": figures.families(summaries),
        "pass_at_k": figures.pass_at_k(summaries),
        "behaviour": figures.behaviour(metrics),
        "training": figures.training(metrics),
    }
    for name, figure in drawn.items():
        write_figure(figure, folder / "figures" / name)
    progress.update(2, 2)
