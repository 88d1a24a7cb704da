"""Stage r1_zero: GRPO from the base with rule rewards and no SFT (R1 v2, section 2)."""

from itertools import islice
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.stages.models import load_model, load_tokenizer, save_model
from r1repro.tasks import mini_world, templates
from r1repro.training import grpo


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes model/, metrics.parquet (a row a step) and completions.parquet (kept samples)."""
    base = inputs["base"].folder / "model"
    words = load_tokenizer(base)
    model = load_model(base)
    settings = config.stage.r1_zero
    problems = mini_world.of(config.task).train(config.seed)
    rows, samples = grpo.train(
        model,
        words,
        list(islice(problems, settings.steps * settings.questions)),
        settings,
        template=templates.name_for(config.model.path),
        seed=config.seed,
        folder=folder,
        progress=progress,
    )
    if not progress.writes:
        return
    save_model(model, words, folder / "model")
    pd.DataFrame(rows).to_parquet(folder / "metrics.parquet")
    pd.DataFrame(samples).to_parquet(folder / "completions.parquet")
