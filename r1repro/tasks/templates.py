"""Prompt templates: one .jinja file a template and language, in tasks/prompts/."""

from functools import lru_cache
from pathlib import Path

from jinja2 import Template

from r1repro.errors import R1ReproError
from r1repro.tasks.problem import Problem

PROMPTS = Path(__file__).parent / "prompts"
STOPS = ".?!。？！"


def names() -> list[str]:
    """Templates there are: "mini" (short form) and "r1_zero" (the paper's, v1 Table 1)."""
    return sorted({path.name.split(".")[0] for path in PROMPTS.glob("*.jinja")})


def name_for(model_path: str | None) -> str:
    """The short form for a model made here, the paper's for one that came in a folder."""
    return "mini" if model_path is None else "r1_zero"


def render(name: str, problem: Problem) -> str:
    """The whole prompt of a problem, in the problem's language. No chat template is applied.

    The paper's form ends the question with a stop; one that ends in a mark of its own keeps that.
    """
    return _template(name, problem.language).render(prompt=problem.prompt, stops=STOPS)


@lru_cache
def _template(name: str, language: str) -> Template:
    path = PROMPTS / f"{name}.{language}.jinja"
    if not path.is_file():
        raise R1ReproError(
            f"There is no prompt template {name!r} in language {language!r}: "
            f"use one of {', '.join(names())}, or add {path.name} to {PROMPTS.name}/."
        )
    # Not HTML: the prompt goes to a tokenizer, byte for byte.
    return Template(path.read_text(encoding="utf-8"), autoescape=False)
