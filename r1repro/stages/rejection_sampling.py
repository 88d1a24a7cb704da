"""Stage rejection_sampling: the SFT set, Dev2's right answers and general data (R1 v2, B.3.3)."""

import random
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.stages import samples
from r1repro.stages.models import load_tokenizer
from r1repro.tasks import filters, general, worlds
from r1repro.tasks.world import World


def sieve(made_here: bool) -> tuple[tuple[str, samples.Filter], ...]:
    """The filters in turn; a model made here writes shorter lines than others."""
    return (
        samples.FINISHED,
        samples.CORRECT,
        ("mixed languages", lambda problem, said: filters.unmixed(problem, said.text)),
        ("repetition", lambda problem, said: filters.without_repetition(said.text)),
        (
            "long paragraphs",
            lambda problem, said: filters.without_long_paragraphs(said.text, made_here),
        ),
    )


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes samples.parquet (every sample, and what dropped it) and dataset.parquet."""
    settings = config.stage.rejection_sampling
    problems = samples.training_problems(config, "rejection sampling", settings.questions)
    answers, tokens = samples.draw(config, "dev2", inputs["dev2"], problems, settings, progress)
    kept, table = samples.sift(answers, () if settings.keep_all else sieve(config.model.made_here))
    rows: list[dict[str, object]] = []
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
    samples.require(rows)
    world = worlds.of(config.task)
    share = settings.general_share
    rows += general_rows(world, round(len(rows) * share / (1 - share)), config.seed)
    data = pd.DataFrame(rows)
    dirty = filters.contaminated(
        data.prompt.tolist(),
        data.completion.tolist(),
        world.held_out_problems,
    )
    data = data[[not found for found in dirty]].reset_index(drop=True)
    words = load_tokenizer(inputs["dev2"].folder / "model")
    data["tokens"] = [len(ids) for ids in words(data.completion.tolist())["input_ids"]]
    table["tokens_sampled"], table["contaminated"] = tokens, sum(dirty)
    table.to_parquet(folder / "samples.parquet")
    data.to_parquet(folder / "dataset.parquet")


def general_rows(world: World, count: int, seed: int) -> list[dict[str, object]]:
    """`count` general items outside the held-out split, answered as a careful author would.

    The families in turn, until one is used up; none is taken twice. The paper takes this part of
    its set from DeepSeek-V3's own SFT data (R1 v2, B.3.3).
    """
    rng = random.Random(f"general-{world.seed}-{seed}")
    pools = {
        task: rng.sample(items, len(items)) for task, items in world.general_train_by_task.items()
    }
    found: list[dict[str, object]] = []
    while len(found) < count and any(pools.values()):
        for pool in pools.values():
            if pool and len(found) < count:
                item = pool.pop()
                text = f"<think>{general.thought(item)}</think><answer>{item.answer}</answer>"
                found.append(samples.described(general.problem(item)) | {"completion": text})
    return found


def composition(data: pd.DataFrame) -> pd.DataFrame:
    """A table like the paper's Table 5: category, rows, mean tokens, the last row in all."""
    table = data.groupby("task").agg(rows=("tokens", "size"), mean_tokens=("tokens", "mean"))
    table.loc["total"] = [len(data), data.tokens.mean()]
    return table.astype({"rows": int}).round({"mean_tokens": 1})
