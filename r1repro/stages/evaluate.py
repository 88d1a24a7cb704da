"""Stage evaluate_X: checkpoint X on the held-out problems, k samples each.

The prompt is the R1-Zero template for every checkpoint, the base too: else learning the template
would be mistaken for learning to reason.
"""

import time
from pathlib import Path

import pandas as pd

from r1repro.artifacts import Progress, StageResult
from r1repro.config import Config
from r1repro.evaluation.rows import row
from r1repro.generation.sampler import Sampling, sample
from r1repro.stages.models import load_model, load_tokenizer
from r1repro.tasks import mini_world, templates
from r1repro.tasks.problem import Completion, Problem


def run(config: Config, inputs: dict[str, StageResult], folder: Path, progress: Progress) -> None:
    """Writes evaluation.parquet: a row a problem and sample."""
    (checkpoint,) = inputs.values()
    model = load_model(checkpoint.folder / "model").eval()
    words = load_tokenizer(checkpoint.folder / "model")
    settings = config.evaluation
    sampling = Sampling(settings.max_completion_tokens, settings.temperature, settings.top_p)
    problems = getattr(mini_world.of(config.task), settings.split)
    template = templates.name_for(checkpoint.manifest["config"]["model"]["path"])
    at_once = max(1, settings.rollout_batch // settings.samples)
    rows, tokens, right, started = [], 0, 0, time.perf_counter()
    for start in range(0, len(problems), at_once):
        chunk = problems[start : start + at_once]
        prompts = [words.encode(templates.render(template, p)) for p in chunk]
        rollouts = sample(
            model,
            [prompt for prompt in prompts for _ in range(settings.samples)],
            sampling,
            end_ids=[words.eos_token_id],
            pad_id=words.pad_token_id,
            seed=_seed(config.base_seed, start),
        )
        texts = words.batch_decode([r.token_ids for r in rollouts], skip_special_tokens=True)
        for index, (rollout, text) in enumerate(zip(rollouts, texts, strict=True)):
            problem: Problem = chunk[index // settings.samples]
            completion = Completion(problem.id, text, tuple(rollout.token_ids), rollout.finished)
            rows.append(row(problem, index % settings.samples, completion))
            tokens += len(rollout.token_ids)
            right += bool(rows[-1]["correct"])
        progress.update(
            start + len(chunk),
            len(problems),
            **{
                "pass@1": right / len(rows),
                "tokens/s": tokens / (time.perf_counter() - started),
            },
        )
    pd.DataFrame(rows).to_parquet(folder / "evaluation.parquet")


def _seed(seed: int, start: int) -> int:
    return (seed * 1_000_003 + start) % 2**63
