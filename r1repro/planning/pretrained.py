"""How fast pretrained models are sampled and trained here, and the time that stages take with them.

For large models an update has a price of its own, whatever it reads: the optimizer's. Prompts are
as long as answers, and are read faster than these are written. Each is timed apart.
"""

import math
import os
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from transformers import PreTrainedTokenizerFast
from transformers.utils import logging

from r1repro import cores, gguf, hub
from r1repro.config import TEACHER, Config, RLConfig, with_teacher
from r1repro.duration import duration
from r1repro.evaluation import checkpoints
from r1repro.generation.ask import ask
from r1repro.generation.rollouts import Sampling
from r1repro.planning.expected import Expected
from r1repro.planning.probe import NEVER, machine
from r1repro.planning.work import Work, kind, settings_of
from r1repro.runner.graph import Stage, find, model_of_stage
from r1repro.stages.models import load_model, load_tokenizer, load_trained, save_model
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Problem
from r1repro.training import rl

QUESTIONS, SAMPLES, TOKENS = 16, 3, 32
"""Of each template the probe asks this many questions, each this many times, and the length cap.

48 rows, as in a GRPO step of scale=pocket: with fewer, a token takes longer.
"""
TRAINED, GENERATIONS = 2, 4
"""Questions of a GRPO step of the probe, and completions of each."""
CHECKPOINT = 3
"""Bytes of a checkpoint in models: weights, optimizer and reference."""
HALF = 0.6
"""Speed of a stage on half of two cores, as a part of that on both."""
SPREAD = 1.5
"""Error factor of a predicted time."""
NAMES = 34
"""Width of the column of stage names, in characters."""


@dataclass(frozen=True)
class Asked:
    """What a template's prompts and answers are like.

    prompt: mean tokens of a prompt; ending: share of an answer's tokens that end it.
    """

    prompt: float
    ending: float

    def length(self, cap: int) -> float:
        """Mean tokens of an answer of at most `cap`, if any token is as likely to end it."""
        return float(cap) if self.ending == 0 else (1 - (1 - self.ending) ** cap) / self.ending


@dataclass(frozen=True)
class Pace:
    """Seconds that a model takes on `machine`, and the `seconds` of the measurement.

    read, written: of a token of a prompt, and of an answer. learned, judged: of a token, prompts
    included, with gradients, and by the reference. step: of an update beyond its tokens. loaded,
    saved: of the model. asked: by template.
    """

    read: float
    written: float
    learned: float
    judged: float
    step: float
    loaded: float
    saved: float
    asked: dict[str, Asked]
    machine: str
    seconds: float


def missing(config: Config, keys: Collection[str]) -> list[str]:
    """Those of these models that are not on this machine, by their names on the hub.

    keys: of `with_teacher`.
    """
    every = with_teacher(config)
    found = (every[key] for key in keys if not every[key].made_here and every[key].path is None)
    return [str(one.hub) for one in found if hub.folder(str(one.hub), "model") is None]


def probe(config: Config, keys: Sequence[str]) -> dict[str, Pace]:
    """Measure the models of these keys of `with_teacher`; models of one folder once."""
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    every, found = with_teacher(config), dict[str, Pace]()
    places = {key: gguf.model_folder(config, every[key]) for key in keys}
    for key, place in places.items():
        alike = [other for other in keys if places[other] == place]
        if alike[0] in found:
            found[key] = replace(found[alike[0]], seconds=0.0)
        else:
            forms = {"r1_zero", *(every[other].chat for other in alike)}
            found[key] = _pace(config, key, place, forms)
    return found


def _pace(config: Config, key: str, place: Path, forms: Collection[str]) -> Pace:
    started = time.perf_counter()
    tokenizer, asked = load_tokenizer(place), {}
    problems = list(islice(worlds.of(config.task).train(0), QUESTIONS))
    model = load_model(place, config.engine).eval()
    loaded = time.perf_counter() - started
    for name in sorted(forms):
        read, written, asked[name] = _sampled(model, tokenizer, problems, name)
    del model
    learned = judged = step = saved = 0.0
    if key != TEACHER:
        learned, judged, step, saved = _trained(config, place, tokenizer, problems)
    seconds = time.perf_counter() - started
    return Pace(read, written, learned, judged, step, loaded, saved, asked, machine(), seconds)


def _sampled(
    model: object, tokenizer: PreTrainedTokenizerFast, problems: Sequence[Problem], template: str
) -> tuple[float, float, Asked]:
    """Seconds of a token of a prompt and of an answer, and what both are like."""
    prompts = [len(tokenizer.encode(templates.render(template, one))) for one in problems]

    def timed(tokens: int, samples: int = SAMPLES) -> tuple[float, list[tuple[int, bool]]]:
        began = time.perf_counter()
        batches = ask(
            model, tokenizer, problems, Sampling(tokens), form=templates.asked(template),
            samples=samples, rollout_batch=samples * len(problems), seed=0,
        )  # fmt: skip
        said = [(len(one.token_ids), one.finished) for batch in batches for _, _, one in batch]
        return time.perf_counter() - began, said

    timed(1)  # warm-up
    reading, _ = timed(1, samples=1)
    beginning, _ = timed(1)
    writing, said = timed(TOKENS)
    count = sum(length for length, _ in said)
    ended = sum(finished for _, finished in said)
    written = max(writing - beginning, 0.0) / max(1, count - len(said))
    return reading / sum(prompts), written, Asked(sum(prompts) / len(prompts), ended / count)


def _trained(
    config: Config, place: Path, tokenizer: PreTrainedTokenizerFast, problems: Sequence[Problem]
) -> tuple[float, float, float, float]:
    """Seconds of a token with gradients and by the reference, of an update, and of saving."""
    settings = replace(
        config.stage.r1_zero,
        steps=2, questions=TRAINED, generations=GENERATIONS, max_completion_tokens=TOKENS,
        raised_at=None,
        steps_per_generation=1, save_every=NEVER, sample_every=NEVER,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        model = load_trained(place, config.engine, 0)
        trainer, recorder = rl.build(
            model, tokenizer, problems[: 2 * TRAINED], settings,
            template="r1_zero", seed=0, folder=Path(folder) / "grpo", engine=config.engine,
        )  # fmt: skip
        trainer.train()
        began = time.perf_counter()
        save_model(model, tokenizer, Path(folder) / "model")
        saved = time.perf_counter() - began
    first, second = recorder.rows
    judged, learned = recorder.read
    rest = second["seconds"] - first["seconds"] - second["seconds_rollout"]
    step = rest - second["seconds_reference"] - second["seconds_update"]
    return (
        second["seconds_update"] / max(1, learned),
        second["seconds_reference"] / max(1, judged),
        max(0.0, step),
        saved,
    )


def seconds(config: Config, stage: Stage, most: Work, amount: Expected, pace: Pace) -> float:
    """Predicted seconds of the stage at the measured pace."""
    named = kind(stage)
    if named == "base_model":
        return 2 * pace.saved
    asked = pace.asked[_template(config, stage)]
    length = asked.length(most.cap or most.longest)
    wait = pace.loaded + most.prompts * asked.prompt * pace.read
    wait += most.completions * length * pace.written
    if named == "rl":
        settings: RLConfig = settings_of(config, stage)
        # With gradient checkpointing a prompt is read once for each of its answers.
        prompts = most.completions if config.engine.gradient_checkpointing else most.prompts
        tokens = prompts * asked.prompt + most.completions * length
        judged = pace.judged if settings.beta > 0 else 0.0
        kept = 1 + CHECKPOINT * (settings.steps // settings.save_every)
        return (
            wait + pace.loaded + tokens * (pace.learned + judged)
            + settings.steps * pace.step + kept * pace.saved
        )  # fmt: skip
    if named in ("sft", "reward_model"):
        steps = math.ceil(amount.rows / settings_of(config, stage).batch_size)
        rows = amount.rows * (asked.prompt + length)
        return wait + rows * pace.learned + steps * pace.step + pace.saved
    return wait


def _template(config: Config, stage: Stage) -> str:
    key = model_of_stage(stage)
    if key == TEACHER:
        return config.student.teacher_chat
    policy = stage.name if kind(stage) in ("rl", "sft") else stage.inputs[0]
    return checkpoints.form(config, policy)


def lines(
    config: Config, works: Mapping[str, Work], amounts: Mapping[str, Expected]
) -> Iterator[str]:
    """The time of the stages that are left, with the measurements behind it."""
    stages = {name: find(name, config) for name in works}
    found = probe(config, list(dict.fromkeys(map(model_of_stage, stages.values()))))
    yield f"\nprobe, {sum(pace.seconds for pace in found.values()):.0f} s, tokens/s"
    for key, pace in found.items():
        rates = {"prompts": pace.read, "rollouts": pace.written, "GRPO updates": pace.learned}
        said = ", ".join(f"{name} {1 / each:,.0f}" for name, each in rates.items() if each)
        yield f"  {key:<{NAMES}}{said}, {pace.step:.1f} s an update, on {pace.machine}"
    yield "\ntime, from the probe, answers as long as the probe's"
    total = 0.0
    for name, most in works.items():
        stage = stages[name]
        took = seconds(config, stage, most, amounts[name], found[model_of_stage(stage)])
        if stage.half and cores.at_once() == 2:
            took /= HALF
        total += took / (cores.at_once() if stage.half else 1)
        yield f"  {name:<{NAMES}}{duration(took):>10}"
    between = f"between {duration(total / SPREAD)} and {duration(total * SPREAD)}"
    yield f"  {'total':<{NAMES}}{duration(total):>10}  {between}, if the machine stays as fast"
