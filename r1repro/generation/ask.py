"""Several sampled answers to each of many problems."""

from collections.abc import Iterator, Sequence
from functools import partial

from transformers import PreTrainedModel, PreTrainedTokenizerFast

from r1repro.generation.sampler import Sampling, ends, sample
from r1repro.generation.vllm_engine import VLLM
from r1repro.tasks.problem import Completion, Problem
from r1repro.tasks.templates import Form


def ask(
    model: PreTrainedModel | VLLM,
    words: PreTrainedTokenizerFast,
    problems: Sequence[Problem],
    sampling: Sampling,
    *,
    form: Form,
    samples: int,
    rollout_batch: int,
    seed: int,
) -> Iterator[list[tuple[Problem, int, Completion]]]:
    """(problem, number of the sample, completion) in order, a list a batch.

    A batch holds all samples of its problems and at most `rollout_batch` rows (one problem's at
    least), so that memory is bounded whatever is asked.
    """
    draw = model.sample if isinstance(model, VLLM) else partial(sample, model)
    at_once = max(1, rollout_batch // samples)
    for start in range(0, len(problems), at_once):
        chunk = problems[start : start + at_once]
        asked = [form(problem) for problem in chunk]
        prompts = [words.encode(one.prompt) for one in asked]
        rollouts = draw(
            [prompt for prompt in prompts for _ in range(samples)],
            sampling,
            end_ids=ends(model, words),
            pad_id=words.pad_token_id,
            seed=(seed * 1_000_003 + start) % 2**63,
        )
        texts = words.batch_decode([r.token_ids for r in rollouts], skip_special_tokens=True)
        found = []
        for index, (rollout, text) in enumerate(zip(rollouts, texts, strict=True)):
            problem, begun = chunk[index // samples], asked[index // samples].begun
            completion = Completion(
                problem.id, begun + text, tuple(rollout.token_ids), rollout.finished
            )
            found.append((problem, index % samples, completion))
        yield found
