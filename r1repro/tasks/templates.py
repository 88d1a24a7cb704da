"""Prompt templates: .jinja files in tasks/prompts/, one a form, or one a form and language.

mini: the short form of the mini world. r1_zero: the paper's (v1 Table 1), for a base model of any
family. qwen, llama, deepseek (R1 and what was distilled from it): the families' chat forms without
a system prompt, the think tag begun, as R1 is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

from jinja2 import Environment, Template

from r1repro.config import Config, ModelConfig, model_key
from r1repro.errors import R1ReproError
from r1repro.tasks.problem import Problem
from r1repro.text.tags import THINK_OPEN

PROMPTS = Path(__file__).parent / "prompts"
STOPS = ".?!。？！"


def names() -> list[str]:
    """The templates there are."""
    return sorted({path.name.split(".")[0] for path in PROMPTS.glob("*.jinja")})


def form(config: Config, checkpoint: str) -> str:
    """The template that a checkpoint is trained and asked in.

    Bases and what RL alone makes of them have the base form, everything from the cold start on the
    chat form of its family.
    """
    # Not by `models`: a stage sees only what its key is made from.
    return form_of(attrgetter(model_key(checkpoint))(config), checkpoint)


def form_of(shape: ModelConfig, checkpoint: str) -> str:
    """The same of a checkpoint with that model."""
    if shape.made_here:
        return "mini"
    alone = checkpoint.endswith("_rl") and not checkpoint.endswith("_distilled_rl")
    if alone or "base" in checkpoint or "r1_zero" in checkpoint or "_rl_equal" in checkpoint:
        return "r1_zero"
    return "r1_zero" if shape.chat == "mini" else shape.chat


def render(name: str, problem: Problem) -> str:
    """The whole prompt of a problem, in the problem's language.

    The paper's form ends the question with a stop; one that ends in a mark of its own keeps that.
    What a tokenizer opens every text with is not part of it.
    """
    return _template(name, problem.language).render(prompt=problem.prompt, stops=STOPS)


@dataclass(frozen=True)
class Asked:
    """A prompt, and what of the answer it has begun: a completion is read with that in front."""

    prompt: str
    begun: str = ""


Form = Callable[[Problem], Asked]
"""A way of asking."""


def asked(name: str) -> Form:
    """The way of asking of a template."""

    def form(problem: Problem) -> Asked:
        prompt = render(name, problem)
        return Asked(prompt, begun(prompt))

    return form


def begun(prompt: str) -> str:
    """What a prompt has begun of the answer: its think tag, or nothing.

    A completion is read with it in front, and learned without it.
    """
    return f"{THINK_OPEN}\n" if prompt.endswith(f"{THINK_OPEN}\n") else ""


@lru_cache
def _template(name: str, language: str) -> Template:
    path = PROMPTS / f"{name}.{language}.jinja"
    if not path.is_file():
        path = PROMPTS / f"{name}.jinja"
    if not path.is_file():
        raise R1ReproError(
            f"There is no prompt template {name!r} in language {language!r}: "
            f"use one of {', '.join(names())}, or add {path.name} to {PROMPTS.name}/."
        )
    # Not HTML: the prompt goes to a tokenizer, byte for byte; the last line's end is part of it.
    keep = path.suffixes == [".jinja"]
    found = Environment(autoescape=False, keep_trailing_newline=keep)
    return found.from_string(path.read_text(encoding="utf-8"))
