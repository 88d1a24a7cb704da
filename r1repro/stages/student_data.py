"""What the students are trained on: a teacher's answers, or published traces.

The teacher is Dev2, whose answers the stage rejection_sampling filters, or a stronger one, sampled
by the stage teacher_sampling (both in rejection_sampling.py). sft.py trains the students.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from r1repro.artifacts import StageResult
from r1repro.config import Config
from r1repro.errors import R1ReproError
from r1repro.tasks import traces, worlds
from r1repro.text.tags import ANSWER_OPEN

if TYPE_CHECKING:  # reports read this module and do without torch
    from transformers import PreTrainedTokenizerFast


def training_data(results: Mapping[str, StageResult]) -> StageResult:
    """The students' training data: a stronger teacher's answers if sampled here, else Dev2's.

    External traces are not a stage's result; for their cost Dev2's data is used.
    """
    return results.get("teacher_sampling") or results["rejection_sampling"]


def from_traces(
    config: Config, tokenizer: "PreTrainedTokenizerFast"
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
