"""Prompt templates, stored as .jinja files in tasks/prompts/, optionally one per language.

mini: the short form of the mini world.
r1_zero: the paper's template (v1 Table 1), for a base model of any family.
qwen, llama, deepseek: chat formats without a system prompt and with the think tag opened, as for
    R1; deepseek is for R1 and its distilled models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, Template

from r1repro.config import OriginConfig
from r1repro.errors import R1ReproError
from r1repro.tasks.problem import Problem
from r1repro.text.tags import THINK_OPEN

PROMPTS = Path(__file__).parent / "prompts"
STOPS = ".?!。？！"
TURN_ENDS = {"qwen": "<|im_end|>\n", "llama": "<|eot_id|>", "deepseek": "<｜end▁of▁sentence｜>"}
"""What ends an answer before the next question, by chat template."""


def names() -> list[str]:
    """Names of the available templates."""
    return sorted({path.name.split(".")[0] for path in PROMPTS.glob("*.jinja")})


def form(model: OriginConfig, chat: bool) -> str:
    """The template used to train and prompt a model.

    chat: the model's chat template, used from the cold start on, instead of the paper's.
    """
    if model.made_here:
        return "mini"
    return model.chat if chat and model.chat != "mini" else "r1_zero"


def render(name: str, problem: Problem) -> str:
    """The full prompt of a problem, in its language, without a beginning-of-sequence token.

    The paper's template adds a period unless the question ends in punctuation.
    """
    return _template(name, problem.language).render(prompt=problem.prompt, stops=STOPS)


def turn(chat: str, problem: Problem) -> str:
    """The prompt in a chat template without the think tag that it opens for R1."""
    return render(chat, problem).rstrip().removesuffix(THINK_OPEN)


@dataclass(frozen=True)
class Asked:
    """A prompt and the start of the answer it contains, which is prepended to the completion."""

    prompt: str
    begun: str = ""


Form = Callable[[Problem], Asked]
"""A prompting method."""


def asked(name: str) -> Form:
    """The prompting method of a template."""

    def form(problem: Problem) -> Asked:
        prompt = render(name, problem)
        return Asked(prompt, begun(prompt))

    return form


def begun(prompt: str) -> str:
    """The opening think tag at the end of a prompt, or "".

    Prepended when a completion is scored, but not trained on.
    """
    return f"{THINK_OPEN}\n" if prompt.endswith(f"{THINK_OPEN}\n") else ""


@lru_cache
def _template(name: str, language: str) -> Template:
    path = PROMPTS / f"{name}.{language}.jinja"
    if not path.is_file():
        path = PROMPTS / f"{name}.jinja"
    if not path.is_file():
        raise R1ReproError(
            f"there is no prompt template {name!r} in language {language!r}; "
            f"use one of {', '.join(names())}, or add {path.name} to {PROMPTS.name}/"
        )
    # Prompts are plain text: no escaping, and the final line break is kept.
    keep = path.suffixes == [".jinja"]
    environment = Environment(autoescape=False, keep_trailing_newline=keep)
    return environment.from_string(path.read_text(encoding="utf-8"))
