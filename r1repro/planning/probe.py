"""About ten seconds of real training on random weights, from which `r1repro plan` extrapolates."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast
from transformers.utils import logging

from r1repro import cores
from r1repro.artifacts import Progress
from r1repro.config import (
    BaseConfig,
    Config,
    ModelConfig,
    RLConfig,
    SFTConfig,
    models,
)
from r1repro.evaluation.checkpoints import BASE_OF, CHECKPOINTS, of_student
from r1repro.planning.expected import ALONE
from r1repro.stages.base_model import TOKENIZER_DOCUMENTS, from_random_weights
from r1repro.stages.models import device, load_tokenizer, load_trained, save_model
from r1repro.tasks import corpus, templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training import rl
from r1repro.training.pretraining import pretrain
from r1repro.training.sft import fine_tune

PART_SECONDS = 1.5
"""Approximate time in seconds for pretraining and for fine-tuning after warm-up."""
STEP_SECONDS = 4.0
"""Most seconds for a GRPO step; the number of questions is reduced to fit."""
GRPO_TOKENS = 1.5
"""Cost of a token in a GRPO step, in pretraining tokens."""
LONGEST = 2.5
"""Longest completion of a step relative to the mean, 2.4 to 3 in our runs."""
NEVER = 10**9


@dataclass(frozen=True)
class Speed:
    """Tokens per second on `machine`, and the `seconds` of the measurement.

    learned: by GRPO without its rollouts, prompts included; tuned: by SFT. prompt: mean tokens.
    """

    pretrained: float
    sampled: float
    learned: float
    tuned: float
    prompt: float
    machine: str
    seconds: float

    def said(self) -> str:
        """The measured rates."""
        return (
            f"pretraining {self.pretrained:,.0f}, rollouts {self.sampled:,.0f}, "
            f"GRPO updates {self.learned:,.0f}, fine-tuning {self.tuned:,.0f}"
        )


def probe(config: Config, keys: Sequence[str]) -> dict[str, Speed]:
    """Measure pretraining, GRPO and SFT with a model of each shape, by key of `config.models`.

    Each uses as many threads as its stages. Models of one size are measured once, since the speeds
    of architectures differ by a few per cent.
    """
    be_quiet()
    world = worlds.of(config.task)
    documents = list(islice(corpus.documents(world, 0), TOKENIZER_DOCUMENTS))
    tokenizer = train_tokenizer(documents)
    ids = tokenizer(documents)["input_ids"]
    problems = list(islice(world.train(0), 2 * config.stage.r1_zero.questions))
    threads = torch.get_num_threads()
    found: dict[str, Speed] = {}
    try:
        for key in keys:
            alike = next((k for k in found if _size(config, k) == _size(config, key)), None)
            if alike is None:
                torch.set_num_threads(threads)
                if key != "model":
                    cores.take_half()
                found[key] = _speed(config, key, tokenizer, ids, problems)
            else:
                found[key] = replace(found[alike], seconds=0.0)
    finally:
        torch.set_num_threads(threads)
    return found


def be_quiet() -> None:
    """Keep the libraries' progress bars and warnings out of the plan."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"


def _size(config: Config, key: str) -> tuple[bool, ModelConfig]:
    return key == "model", replace(models(config)[key], name="", architecture="")


def _speed(
    config: Config,
    key: str,
    tokenizer: PreTrainedTokenizerFast,
    ids: Sequence[Sequence[int]],
    problems: Sequence[Problem],
) -> Speed:
    started = time.perf_counter()
    torch.manual_seed(0)
    trained = ("base", "r1_zero", "dev1")
    if student := CHECKPOINTS[BASE_OF[key]].student:
        arms = of_student(student)
        trained = (arms["base"], arms["rl"], arms["distilled"])
    base, reinforced, tuning = (getattr(config.stage, name) for name in trained)
    prompts = [tokenizer.encode(templates.render("mini", problem)) for problem in problems]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        model = from_random_weights(models(config)[key], tokenizer)
        # So many tokens end a completion that lengths are as in our runs, and the batch shrinks as
        # it does there.
        ending = range(len(tokenizer) // 2, len(tokenizer) // 2 + round(len(tokenizer) / ALONE))
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, *ending]
        save_model(model, tokenizer, folder)
        pretrained = _pretrained(config, key, base, ids, folder)
        sampled, learned = _reinforced(config, reinforced, problems, prompts, pretrained, folder)
        tuned = _tuned(config, tuning, ids, prompts, pretrained, folder)
    prompt = sum(map(len, prompts)) / len(prompts)
    seconds = time.perf_counter() - started
    return Speed(pretrained, sampled, learned, tuned, prompt, machine(), seconds)


def machine() -> str:
    """The GPU, or the CPUs and threads, that compute here."""
    if torch.cuda.is_available():
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"CPUs with {threads} thread{'s' if threads > 1 else ''}"


def _units(work: Callable[[int], float], most: int) -> int:
    """Warm up `work`, which returns its seconds, and count the units that fit in PART_SECONDS."""
    return max(1, min(most, int(PART_SECONDS / max(work(1), 1e-6))))


def _pretrained(
    config: Config, key: str, settings: BaseConfig, ids: Sequence[Sequence[int]], folder: Path
) -> float:
    """Tokens per second of pretraining."""
    tokenizer = load_tokenizer(folder)
    model = from_random_weights(models(config)[key], tokenizer).to(device())
    settings = replace(settings, log_every=1, save_every=NEVER)

    def run(batches: int) -> list[dict[str, Any]]:
        sequences: list[Sequence[int]] = []
        left = (batches + 1) * settings.batch_tokens
        for document in cycle(ids):
            sequences.append(document)
            left -= len(document)
            if left < 0:
                break
        return pretrain(
            model, sequences, settings, pad_id=tokenizer.pad_token_id, seed=0, folder=folder,
            progress=Progress(None), engine=config.engine,
        )  # fmt: skip

    return _rate(run(_units(lambda batches: _since_first(run(batches), "seconds"), 200)))


def _since_first(rows: Sequence[dict[str, Any]], column: str) -> float:
    return float(rows[-1][column] - rows[0][column])


def _rate(rows: Sequence[dict[str, Any]]) -> float:
    """Tokens per second after the first log, which includes one-time setup."""
    return _since_first(rows, "tokens") / _since_first(rows, "seconds")


def _reinforced(
    config: Config,
    settings: RLConfig,
    problems: Sequence[Problem],
    prompts: Sequence[Sequence[int]],
    pretrained: float,
    folder: Path,
) -> tuple[float, float]:
    """Tokens per second of rollouts, and of the rest of a GRPO step.

    Measured on a step with all its questions, if time allows.
    """
    row = ALONE + sum(map(len, prompts)) / len(prompts)
    fit = STEP_SECONDS * pretrained / (GRPO_TOKENS * settings.generations * row)
    questions = max(1, min(settings.questions, len(problems) // 2, int(fit)))
    brief = replace(
        settings,
        questions=questions,
        max_completion_tokens=min(settings.max_completion_tokens, round(LONGEST * ALONE)),
    )
    _, recorder = two_steps(config, folder, problems, brief, "mini")
    first, second = recorder.rows
    rollouts = second["seconds_rollout"]
    rest = second["seconds"] - first["seconds"] - rollouts
    asked = sum(map(len, prompts[questions : 2 * questions]))
    said = second["length"] * questions * settings.generations
    return said / rollouts, (said + asked * settings.generations) / rest


def two_steps(
    config: Config, place: Path, problems: Sequence[Problem], settings: RLConfig, template: str
) -> tuple[PreTrainedModel, rl.Recorder]:
    """Train two steps of GRPO, each with a rollout; the second is free of one-time setup."""
    brief = replace(
        settings,
        steps=2, raised_at=None, steps_per_generation=1, save_every=NEVER, sample_every=NEVER,
        objective=replace(settings.objective, passes=1),
    )  # fmt: skip
    model = load_trained(place, config.engine, 0)
    with tempfile.TemporaryDirectory() as folder:
        trainer, recorder = rl.build(
            model, load_tokenizer(place), problems[: 2 * brief.questions], brief,
            template=template, seed=0, folder=Path(folder), engine=config.engine,
        )  # fmt: skip
        trainer.train()
    return model, recorder


def _tuned(
    config: Config,
    settings: SFTConfig,
    ids: Sequence[Sequence[int]],
    prompts: Sequence[list[int]],
    pretrained: float,
    folder: Path,
) -> float:
    """Tokens per second of SFT, prompts included, on answers as long as the corpus's documents."""
    draws, size, log = random.Random(0), settings.batch_size, settings.log_every
    row = sum(map(len, ids)) / len(ids) + sum(map(len, prompts)) / len(prompts)
    steps = max(1, round(PART_SECONDS * pretrained / (size * row * log))) * log
    examples = [
        (draws.choice(prompts), list(draws.choice(ids))) for _ in range((log + steps) * size)
    ]
    rows = fine_tune(
        load_trained(folder, config.engine, 0), load_tokenizer(folder), examples,
        replace(settings, epochs=1, save_every=NEVER),
        seed=0, folder=folder.with_name("sft"), progress=Progress(None), engine=config.engine,
    )  # fmt: skip
    return _rate(rows)
