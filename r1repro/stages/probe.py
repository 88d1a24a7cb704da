"""Some ten seconds of the real work on random weights, from which `r1repro plan` extrapolates."""

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import torch
from transformers.utils import logging

from r1repro.artifacts import Progress
from r1repro.config import Config, SFTConfig
from r1repro.stages.base_model import TOKENIZER_DOCUMENTS, from_random_weights
from r1repro.stages.models import device, load_tokenizer, load_trained, save_model
from r1repro.tasks import corpus, templates, tokenizer, worlds
from r1repro.training import grpo
from r1repro.training.pretraining import pretrain
from r1repro.training.sft import fine_tune

SHARE = 1 / 3
"""Of R1-Zero's cap, the length that completions are assumed to have: 0.2 to 0.5 in our runs."""
PART_SECONDS = 2.5
"""What each of the three parts may take once it is warm."""
NEVER = 10**9


@dataclass(frozen=True)
class Speed:
    """Tokens a second on `machine`, and the seconds that it took to find out.

    learned: by GRPO, prompts included, everything but the rollouts counted. tuned: by SFT.
    prompt: mean tokens of a prompt.
    """

    pretrained: float
    sampled: float
    learned: float
    tuned: float
    prompt: float
    machine: str
    seconds: float


def probe(config: Config) -> Speed:
    """Pretrain, GRPO and SFT with a model of the configured shape; nothing of it is kept."""
    started = time.perf_counter()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    torch.manual_seed(0)
    documents = list(islice(corpus.documents(worlds.of(config.task), 0), TOKENIZER_DOCUMENTS))
    words = tokenizer.train(documents)
    ids = words(documents)["input_ids"]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        save_model(from_random_weights(config.model, words), words, folder)
        pretrained = _pretrained(config, ids, folder)
        sampled, learned, prompt = _reinforced(config, folder)
        tuned = _tuned(config, ids, round(prompt), folder)
    threads = torch.get_num_threads()
    machine = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else f"CPUs with {threads} thread{'s' if threads > 1 else ''}"
    )
    seconds = time.perf_counter() - started
    return Speed(pretrained, sampled, learned, tuned, prompt, machine, seconds)


def typical_length(config: Config) -> int:
    """Tokens of a completion, in the probe and in what is extrapolated from it."""
    return max(1, round(SHARE * config.stage.r1_zero.max_completion_tokens))


def _units(work: Callable[[int], float], most: int) -> int:
    """How many units of `work`, which gives their seconds, are worth PART_SECONDS; warms it up."""
    return max(1, min(most, int(PART_SECONDS / max(work(1), 1e-6))))


def _pretrained(config: Config, ids: Sequence[Sequence[int]], folder: Path) -> float:
    """Tokens a second of pretraining."""
    words = load_tokenizer(folder)
    model = from_random_weights(config.model, words).to(device())
    settings = replace(config.stage.base, log_every=1, save_every=NEVER)

    def run(batches: int) -> tuple[float, float]:
        sequences: list[Sequence[int]] = []
        left = (batches + 1) * settings.batch_tokens
        for document in cycle(ids):
            sequences.append(document)
            left -= len(document)
            if left < 0:
                break
        rows = pretrain(
            model, sequences, settings, pad_id=words.pad_token_id, seed=0, folder=folder,
            progress=Progress(None), engine=config.engine,
        )  # fmt: skip
        # The first batch is not counted: it comes with what is made once.
        return rows[-1]["tokens"] - rows[0]["tokens"], rows[-1]["seconds"] - rows[0]["seconds"]

    tokens, seconds = run(_units(lambda batches: run(batches)[1], 200))
    return tokens / seconds


def _reinforced(config: Config, folder: Path) -> tuple[float, float, float]:
    """Tokens a second sampled and learned by GRPO, and the mean tokens of a prompt."""
    asked = config.stage.r1_zero
    problems = list(islice(worlds.of(config.task).train(0), 2 * asked.questions))
    words = load_tokenizer(folder)

    def run(questions: int) -> tuple[float, float, float]:
        """Seconds of the rollouts and of the rest of the second of two steps, and its tokens."""
        settings = replace(
            asked,
            steps=2,
            questions=questions,
            max_completion_tokens=typical_length(config),
            steps_per_generation=1,
            save_every=NEVER,
            sample_every=NEVER,
        )
        trainer, recorder = grpo.build(
            load_trained(folder, config.engine, 0), words, problems[: 2 * questions], settings,
            template="mini", seed=0, folder=folder.with_name("grpo"), engine=config.engine,
        )  # fmt: skip
        trainer.train()
        first, second = recorder.rows
        rollouts = second["seconds_rollout"]
        rest = second["seconds"] - first["seconds"] - rollouts
        return rollouts, rest, second["length"] * questions * settings.generations

    questions = _units(lambda count: sum(run(count)[:2]), asked.questions)
    rollouts, rest, said = run(questions)
    prompts = [len(words.encode(templates.render("mini", p))) for p in problems]
    prompt = sum(prompts) / len(prompts)
    read = prompt * questions * asked.generations
    return said / rollouts, (said + read) / rest, prompt


def _tuned(config: Config, ids: Sequence[Sequence[int]], prompt: int, folder: Path) -> float:
    """Tokens a second of SFT, prompts included."""
    model, words = load_trained(folder, config.engine, 0), load_tokenizer(folder)
    length = typical_length(config)
    said = [token for document in ids for token in document][:length]
    size = config.stage.dev1.batch_size

    def run(batches: int) -> float:
        settings = SFTConfig(epochs=1, batch_size=size, log_every=1, save_every=NEVER)
        rows = fine_tune(
            model, words, [(said[:prompt], said)] * ((batches + 1) * size), settings,
            seed=0, folder=folder.with_name("sft"), progress=Progress(None), engine=config.engine,
        )  # fmt: skip
        return float(rows[-1]["seconds"] - rows[0]["seconds"])

    batches = _units(run, 200)
    return batches * size * (min(prompt, length) + length) / run(batches)
