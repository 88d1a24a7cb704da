"""How fast pretrained models are sampled and trained here, and how long stages take with them.

Each cost that grows on its own is timed apart: reading a prompt, which is as long as an answer and
read faster than it is written; and an update, which costs the optimizer's time at any batch size.
"""

import math
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from transformers import PreTrainedTokenizerFast

from r1repro import gguf, hub
from r1repro.config import TEACHER, Config, RLConfig, with_teacher
from r1repro.evaluation import checkpoints
from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.planning.expected import Expected
from r1repro.planning.probe import be_quiet, machine, two_steps
from r1repro.planning.work import Work, kind, settings_of
from r1repro.runner.graph import Stage, model_of_stage
from r1repro.stages.models import load_model, load_tokenizer, save_model
from r1repro.tasks import templates, worlds
from r1repro.tasks.problem import Problem

QUESTIONS, SAMPLES, TOKENS = 16, 3, 32
"""Questions that the probe asks in each template, samples of each, and their length cap.

These are 48 rows, as in a GRPO step of scale=pocket: with fewer, a token takes longer.
"""
TRAINED, GENERATIONS = 2, 4
"""Questions of a GRPO step of the probe, and completions of each."""
CHECKPOINT = 3
"""Size of a checkpoint in models: weights, optimizer and reference."""
SPREAD = 1.5
"""Error factor of a predicted time."""


@dataclass(frozen=True)
class Asked:
    """Mean tokens of a template's prompts, and the share of the answers' tokens that end one."""

    prompt: float
    ending: float

    def length(self, cap: int) -> float:
        """Mean tokens of an answer of at most `cap`, if any token is as likely to end it."""
        return float(cap) if self.ending == 0 else (1 - (1 - self.ending) ** cap) / self.ending


@dataclass(frozen=True)
class Pace:
    """Seconds that a model takes on `machine`, and the `seconds` of the measurement.

    read, written: per token of a prompt and of an answer. learned, judged: per token, prompts
    included, of a pass with gradients and of the reference's. step: per update beyond its tokens.
    loaded, saved: for the model. asked: by template.
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

    def said(self) -> str:
        """The measured rates."""
        rates = {"prompts": self.read, "rollouts": self.written, "GRPO updates": self.learned}
        told = [f"{name} {1 / each:,.0f}" for name, each in rates.items() if each]
        return ", ".join([*told, f"{self.step:.1f} s an update"])


def missing(config: Config, keys: Collection[str]) -> list[str]:
    """The hub's names of those models, by keys of `with_teacher`, that are not on this machine."""
    every = with_teacher(config)
    names = [every[key].hub for key in keys if every[key].path is None]
    return [name for name in names if name is not None and hub.folder(name, "model") is None]


def probe(config: Config, keys: Sequence[str]) -> dict[str, Pace]:
    """Measure the models of these keys of `with_teacher`; models of one folder once."""
    be_quiet()
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
        questions=TRAINED, generations=GENERATIONS, max_completion_tokens=TOKENS,
    )  # fmt: skip
    model, recorder = two_steps(config, place, problems, settings, "r1_zero")
    with tempfile.TemporaryDirectory() as folder:
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
