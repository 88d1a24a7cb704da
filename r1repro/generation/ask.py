"""Samples several completions for each of many problems."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.generation.rollouts import Sampling, ends, sample
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
) -> Iterator[list[tuple[Problem, int, Completion]]]:
    """Yield, batch by batch, (problem, sample index, completion) in order.

    A batch holds all samples of its problems and at most `rollout_batch` rows, but at least one
    problem, which bounds memory.
    """
    draw = model.sample if isinstance(model, VLLM) else partial(sample, model)
    at_once = max(1, rollout_batch // samples)
    for start in range(0, len(problems), at_once):
        chunk = problems[start : start + at_once]
        asked = [form(problem) for problem in chunk]
        prompts = [tokenizer.encode(one.prompt) for one in asked]
        rollouts = draw(
            [prompt for prompt in prompts for _ in range(samples)],
            sampling,
            end_ids=ends(model, tokenizer),
            pad_id=tokenizer.pad_token_id,
            seed=(seed * 1_000_003 + start) % 2**63,
        )
        texts = tokenizer.batch_decode([r.token_ids for r in rollouts], skip_special_tokens=True)
        rows = product(zip(chunk, asked, strict=True), range(samples))
        yield [
            (problem, i, Completion(problem.id, one.begun + text, tuple(r.token_ids), r.finished))
            for ((problem, one), i), r, text in zip(rows, rollouts, texts, strict=True)
        ]
