"""Stage cold_start_data: readable examples made from R1-Zero's right answers (R1 v2, B.3.2)."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro.artifacts import FACTS, Inputs, Progress, write_atomically
from r1repro.config import Config
from r1repro.evaluation import checkpoints
from r1repro.rewards import soundness
from r1repro.stages import samples
from r1repro.tasks import filters
from r1repro.tasks.problem import Problem
from r1repro.tasks.rewriting import Rewritten, rewrite, tidied

FILTERS: tuple[tuple[str, samples.Filter], ...] = (
    samples.FINISHED,
    samples.CORRECT,
    samples.UNREPEATED,
    ("mixed languages", lambda problem, said: filters.in_one_language(said.text)),
    samples.SOUND,
)


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Writes samples.parquet (every sample and the filter that `dropped` it) and dataset.parquet.

    dataset.parquet has a row per example, with the sample (`original`) and its rewritten form
    (`completion`).
    """
    settings = config.stage.cold_start_data
    problems = samples.training_problems(config, "cold start", settings.questions)
    place, template = inputs["r1_zero"].folder / "model", checkpoints.form(config, "r1_zero")
    answers, tokens = samples.draw(config, place, template, problems, settings, progress, folder)
    kept, table = samples.sift(answers, () if settings.keep_all else FILTERS)
    edit = rewrite if config.model.made_here else tidied
    rows: list[dict[str, Any]] = []
    taken: dict[str, list[str]] = {}
    for position in kept:
        problem, _, said = answers[position]
        edited = edit(said.text, problem.language)
        text = said.text if edited is None else edited.text
        others = taken.setdefault(problem.id, [])
        reason = "" if settings.keep_all else _unfit(problem, edited, others)
        if not reason and len(others) == settings.kept:
            reason = "more than are kept of a question"
        if reason:
            table.loc[position, "dropped"] = reason
            continue
        others.append(text)
        rows.append(samples.described(problem) | {"original": said.text, "completion": text})
    data, held = samples.kept_apart(config, rows)
    samples.require(data, samples.TRAIN_LONGER)
    write_atomically(folder / FACTS, json.dumps({"held a held-out question": held}))
    table.assign(tokens_sampled=tokens).to_parquet(folder / "samples.parquet")
    pd.DataFrame(data).to_parquet(folder / "dataset.parquet")


def _unfit(problem: Problem, edited: Rewritten | None, others: list[str]) -> str:
    """Why the edited sample is dropped, or ""."""
    if edited is None:
        return "nothing left to rewrite"
    if not filters.unmixed(problem, edited.text):
        return "words the editor does not know"
    if not soundness.passes(problem, edited.text):
        return samples.SOUND[0]
    return "the same as another" if edited.text in others else ""
