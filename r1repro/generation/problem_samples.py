"""Samples several completions for each of many problems."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro import artifacts
from r1repro.generation.rollouts import Rollout, Sampling, ends, sample
from r1repro.generation.vllm_engine import VLLM
from r1repro.tasks.problem import Completion, Problem
from r1repro.tasks.templates import Form


def ask(
    model: PreTrainedModel | VLLM,
    tokenizer: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    sampling: Sampling,
    *,
    form: Form,
    samples: int,
    rollout_batch: int,
    seed: int,
    kept: Path | None = None,
) -> Iterator[list[tuple[Problem, int, Completion]]]:
    """Yield, batch by batch, (problem, sample index, completion) in order.

    A batch holds all samples of its problems: at most `rollout_batch` rows, or of one problem.
    kept: a file of this call and model, to which every batch is added; those that a killed stage
        left there are not sampled again.
    """
    known = {} if kept is None else _read(kept)
    draw = model.sample if isinstance(model, VLLM) else partial(sample, model)
    at_once = max(1, rollout_batch // samples)
    for start in range(0, len(problems), at_once):
        chunk = problems[start : start + at_once]
        asked = [form(problem) for problem in chunk]
        prompts = [tokenizer.encode(one.prompt) for one in asked]
        drawn_by = (seed * 1_000_003 + start) % 2**63
        key = artifacts.digest([prompts, samples, asdict(sampling), drawn_by]) if kept else ""
        if key in known:
            rollouts = [Rollout(ids, finished) for ids, finished in known.pop(key)]
        else:
            rollouts = draw(
                [prompt for prompt in prompts for _ in range(samples)],
                sampling,
                end_ids=ends(model, tokenizer),
                pad_id=tokenizer.pad_token_id,
                seed=drawn_by,
            )
            if kept is not None:
                _add(kept, key, rollouts)
        texts = tokenizer.batch_decode([r.token_ids for r in rollouts], skip_special_tokens=True)
        rows = product(zip(chunk, asked, strict=True), range(samples))
        yield [
            (problem, i, Completion(problem.id, one.begun + text, tuple(r.token_ids), r.finished))
            for ((problem, one), i), r, text in zip(rows, rollouts, texts, strict=True)
        ]


def samples_of(folder: Path, name: str) -> Path:
    """The file `kept` of `ask` in a stage's work folder; dropped with its checkpoints."""
    return folder / "checkpoints" / f"samples-{name}.jsonl"


def _read(file: Path) -> dict[str, list[tuple[list[int], bool]]]:
    """Sampled batches by key, from JSON lines of a key, a batch's checksum, and the batch."""
    file.parent.mkdir(parents=True, exist_ok=True)
    artifacts.drop_torn_line(file)
    found: dict[str, list[tuple[list[int], bool]]] = {}
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for number, line in enumerate(lines, start=1):
        try:
            key, checksum, batch = json.loads(line)
        except ValueError:
            key = checksum = batch = None
        if checksum == artifacts.digest([key, batch]):
            found[key] = batch
        else:
            print(f"{file}, line {number} was modified: its batch is sampled again", flush=True)
    return found


def _add(file: Path, key: str, rollouts: Sequence[Rollout]) -> None:
    batch = [[one.token_ids, one.finished] for one in rollouts]
    with file.open("a", encoding="utf-8") as lines:
        lines.write(json.dumps([key, artifacts.digest([key, batch]), batch]) + "\n")
