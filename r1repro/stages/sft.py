"""Stages dev1, dev3 and the distilled students: supervised fine-tuning of a base on a data set.

All start from a base, not from an RL checkpoint, as in the paper (R1 v2, B.4.2 and B.4.3).
"""

import json
from functools import partial
from pathlib import Path

import pandas as pd
from transformers import PreTrainedTokenizerFast

from r1repro.artifacts import FACTS, Inputs, Progress, StageResult, write_atomically
from r1repro.config import Config, SFTConfig
from r1repro.errors import R1ReproError
from r1repro.evaluation import checkpoints
from r1repro.rewards.rule_rewards import problems_of_rows
from r1repro.stages import samples
from r1repro.stages.models import load_tokenizer, load_trained, store
from r1repro.stages.student_data import training_data
from r1repro.tasks import templates, traces, worlds
from r1repro.tasks.problem import GENERAL
from r1repro.text.tags import ANSWER_OPEN
from r1repro.training.sft import fine_tune


def tuned(
    name: str,
    source: str,
    config: Config,
    inputs: Inputs,
    folder: Path,
    progress: Progress,
    general: bool = True,
) -> None:
    """Checkpoint `name`: the base on the data of the stage `source`, or on its reasoning alone."""
    data = pd.read_parquet(inputs[source].folder / "dataset.parquet")
    data = data if general else data[~data.task.isin(GENERAL)]
    train(config, name, inputs["base"], data, getattr(config.stage, name), folder, progress)


dev1 = partial(tuned, "dev1", "cold_start_data")
base_rft = partial(tuned, "base_rft", "base_rft_data")
"""The base on its own right samples: the baseline of RL at an equal number of samples."""
dev3 = partial(tuned, "dev3", "rejection_sampling")
dev3_reasoning_only = partial(dev3, general=False)
"""Ablation: as Dev3, without the general data, for as many epochs."""


def dev3_unfiltered(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """Ablation: as Dev3, on as many reasoning rows drawn from all of Dev2's samples.

    They may be wrong or mix languages. Held-out questions are left out, and so is what was
    cut off, which would teach the model to end there. The general rows are Dev3's.
    """
    source = inputs["rejection_sampling"]
    data = pd.read_parquet(source.folder / "dataset.parquet")
    drawn = pd.read_parquet(source.folder / "samples.parquet").rename(
        columns={"text": "completion"}
    )
    drawn = drawn[drawn.dropped != samples.FINISHED[0]]
    general = data.task.isin(GENERAL)
    rows, _ = samples.kept_apart(config, drawn.to_dict("records"))
    chosen = pd.DataFrame(rows).sample(int((~general).sum()), random_state=config.seed)
    mixed = pd.concat([chosen, data[general]], ignore_index=True)
    train(config, "dev3", inputs["base"], mixed, config.stage.dev3, folder, progress)


def distilled(config: Config, inputs: Inputs, folder: Path, progress: Progress) -> None:
    """A student's base on the same data set, or on a stronger teacher's answers or traces."""
    data = pd.read_parquet(training_data(inputs).folder / "dataset.parquet")
    arms = checkpoints.arms_of(inputs)
    base = inputs[arms["base"]]
    if config.student.traces is not None:
        data, told = from_traces(config, load_tokenizer(base.folder / "model"))
        if progress.writes:
            write_atomically(folder / FACTS, json.dumps(told))
    settings = getattr(config.stage, arms["distilled"])
    train(config, arms["distilled"], base, data, settings, folder, progress)


def from_traces(
    config: Config, tokenizer: PreTrainedTokenizerFast
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The traces of at most traces_tokens tokens that contain no held-out question, and counts.

    Raises R1ReproError if none is left.
    """
    data = pd.DataFrame(traces.rows(config.student))
    questions, texts = data.prompt.tolist(), data.completion.tolist()
    dirty = worlds.of(config.task).overlapping(questions, texts)
    lengths = [len(ids) for ids in tokenizer(texts)["input_ids"]]
    most = config.student.traces_tokens
    kept = [not bad and size <= most for bad, size in zip(dirty, lengths, strict=True)]
    if not any(kept):
        raise R1ReproError(
            f"none of {len(data):,} traces is left, since {sum(dirty):,} contain a held-out "
            f"question and the others have more than student.traces_tokens={most:,} tokens: raise "
            "it or give other traces"
        )
    data = data[kept].reset_index(drop=True)
    told = {"traces": len(kept), "held a held-out question": sum(dirty), "kept": len(data)}
    return data, told | {"with an answer tag": int(data.completion.str.contains(ANSWER_OPEN).sum())}


def train(
    config: Config,
    name: str,
    base: StageResult,
    data: pd.DataFrame,
    settings: SFTConfig,
    folder: Path,
    progress: Progress,
) -> None:
    """Fine-tune the base to checkpoint `name` on the data set's completions.

    Writes model/, metrics.parquet and moved.json.
    """
    place = base.folder / "model"
    tokenizer, model = load_tokenizer(place), load_trained(place, config.engine, config.seed)
    template = checkpoints.form(config, name)
    examples = [
        token_ids(tokenizer, templates.render(template, problem), text)
        for problem, text in zip(problems_of_rows(data), data.completion, strict=True)
    ]
    rows = fine_tune(
        model, tokenizer, examples, settings, seed=config.seed, folder=folder, progress=progress,
        engine=config.engine,
    )  # fmt: skip
    store(model, tokenizer, place, folder, rows, progress)


def token_ids(
    tokenizer: PreTrainedTokenizerFast, prompt: str, completion: str
) -> tuple[list[int], list[int]]:
    """(prompt ids, completion ids with the end token); a BOS token is in the prompt only.

    The part of the completion that the template opens belongs to the prompt and is not trained on.
    """
    if begun := templates.begun(prompt):
        completion = completion.removeprefix(begun.strip()).lstrip("\n")
    said = tokenizer.encode(completion, add_special_tokens=False)
    return tokenizer.encode(prompt), [*said, tokenizer.eos_token_id]
