"""Stages rejection_sampling and teacher_sampling: SFT data of right answers and general items.

The answers are Dev2's (R1 v2, B.3.3), or for the students a stronger teacher's.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from r1repro import gguf
from r1repro.artifacts import FACTS, Inputs, Progress, write_atomically
from r1repro.config import Config, SamplesConfig, stronger_teacher
from r1repro.evaluation import checkpoints
from r1repro.stages import samples
from r1repro.stages.models import load_tokenizer
from r1repro.stages.student_data import stored_parameters
from r1repro.tasks import filters, general, own_general, worlds
from r1repro.tasks.problem import GENERAL
from r1repro.tasks.rewriting import tagged
from r1repro.tasks.world import World

FILTERS: tuple[tuple[str, samples.Filter], ...] = (
    samples.FINISHED,
    samples.CORRECT,
    ("mixed languages", lambda problem, said: filters.unmixed(problem, said.text)),
    samples.UNREPEATED,
    ("long paragraphs", lambda problem, said: filters.without_long_paragraphs(said.text)),
    ("code blocks", lambda problem, said: filters.without_code_blocks(said.text)),
    samples.SOUND,
)


def run(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Sample Dev2; writes samples.parquet (every sample and its filter) and dataset.parquet."""
    place, template = inputs["dev2"].folder / "model", checkpoints.form(config, "dev2")
    settings = config.stage.rejection_sampling
    _make(config, settings, place, template, samples.TRAIN_LONGER, folder, progress)


def by_teacher(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Sample a stronger teacher on the same questions with the same filters.

    Boxed answers are copied into the answer tag. samples.parquet also holds the teacher's parameter
    count, for the cost of distillation.
    """
    teacher = stronger_teacher(config.student)
    place = gguf.model_folder(config, teacher)
    settings = config.stage.rejection_sampling
    most = config.student.teacher_tokens or settings.max_completion_tokens
    settings = replace(settings, max_completion_tokens=most)
    remedy = "give student.teacher_chat the teacher's own form"
    _make(
        config, settings, place, teacher.chat, remedy, folder, progress,
        edit=tagged, teacher_parameters=stored_parameters(place),
    )  # fmt: skip


def _make(
    config: Config,
    settings: SamplesConfig,
    place: Path,
    template: str,
    remedy: str,
    folder: Path,
    progress: Progress,
    edit: Callable[[str], str] = str,
    **columns: Any,
) -> None:
    """Write both tables, the data set with `tokens` by the tokenizer in `place`."""
    problems = samples.training_problems(config, "rejection sampling", settings.questions)
    said, sampled = samples.draw(config, place, template, problems, settings, progress, folder)
    answers = [(problem, i, replace(one, text=edit(one.text))) for problem, i, one in said]
    data, table = chosen(config, answers, remedy)
    tokenizer = load_tokenizer(place)
    tokens = [len(ids) for ids in tokenizer(data.completion.tolist())["input_ids"]]
    share = actual_share(data)
    print(f"general data: {share:.1%} of {len(data):,} rows", flush=True)
    told = {"held a held-out question": int(table.contaminated.iloc[0]), "general share": share}
    write_atomically(folder / FACTS, json.dumps(told))
    table.assign(tokens_sampled=sampled, **columns).to_parquet(folder / "samples.parquet")
    data.reset_index(drop=True).assign(tokens=tokens).to_parquet(folder / "dataset.parquet")


def chosen(
    config: Config, answers: Sequence[samples.Answer], remedy: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns (data set, one row per answer with the filter that `dropped` it).

    The data set holds the answers that pass the filters, without near-duplicates per question, and
    general data; rows that contain a held-out question are removed. Raises R1ReproError with
    `remedy` if no answer is left.
    """
    settings = config.stage.rejection_sampling
    kept, table = samples.sift(answers, () if settings.keep_all else FILTERS)
    rows: list[dict[str, Any]] = []
    taken: dict[str, list[str]] = {}
    for position in kept:
        problem, _, said = answers[position]
        key = filters.near_duplicate_key(said.text)
        seen = taken.setdefault(problem.id, [])
        if key in seen or len(seen) == settings.kept:
            reason = "near-duplicate" if key in seen else "more than are kept of a question"
            table.loc[position, "dropped"] = reason
            continue
        seen.append(key)
        rows.append(samples.described(problem) | {"completion": said.text})
    samples.require(rows, remedy)
    share = settings.general_share
    rows += _general(config, round(len(rows) * share / (1 - share)))
    data, held = samples.kept_apart(config, rows)
    samples.require(data, remedy)
    return pd.DataFrame(data), table.assign(contaminated=held)


def _general(config: Config, count: int) -> list[dict[str, Any]]:
    """`count` general rows, or all there are if these are fewer, which is printed."""
    if config.general.sft is None:
        found = general_rows(worlds.of(config.task), count, config.seed)
        remedy = "general.sft=FILE gives general data of your own"
    else:
        own = own_general.completions(config.general)
        chosen = random.Random(f"general-{config.seed}").sample(own, min(count, len(own)))
        found = [samples.described(asked) | {"completion": said} for asked, said in chosen]
        remedy = "give a longer file in general.sft"
    if len(found) < count:
        share = config.stage.rejection_sampling.general_share
        print(
            f"general data: {len(found):,} rows instead of the {count:,} that general_share="
            f"{share:g} asks for, since there are no more; {remedy}",
            flush=True,
        )
    return found


def actual_share(data: pd.DataFrame) -> float:
    """Share of the data set that is general."""
    return float(data.task.isin(GENERAL).mean())


def general_rows(world: World, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` general items outside the held-out split, with reference answers.

    The families alternate and no item is taken twice. The paper takes this part of the data from
    DeepSeek-V3's SFT data (R1 v2, B.3.3).
    """
    found: list[dict[str, Any]] = []
    for item in samples.general_items(world, count, random.Random(f"general-{world.seed}-{seed}")):
        text = f"<think>{general.thought(item)}</think><answer>{item.answer}</answer>"
        found.append(samples.described(general.problem(item)) | {"completion": text})
    return found


def composition(data: pd.DataFrame) -> pd.DataFrame:
    """A table like the paper's Table 5: rows and mean tokens by category, and in total."""
    table = data.groupby("task").agg(rows=("tokens", "size"), mean_tokens=("tokens", "mean"))
    table.loc["total"] = [len(data), data.tokens.mean()]
    return table.astype({"rows": int}).round({"mean_tokens": 1})
