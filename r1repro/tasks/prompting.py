"""Prompting methods for a base model, among which the strongest baseline is searched.

R1-Zero is trained and evaluated with one template, but the effect of RL is measured against the
best method for its base: many published gains came from the template (arXiv 2503.20783) or format.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from r1repro.tasks import arithmetic, countdown, templates, word_problems
from r1repro.tasks.corpus import FINAL, check
from r1repro.tasks.mini_world import FAMILIES
from r1repro.tasks.problem import Problem
from r1repro.tasks.templates import Asked, Form
from r1repro.tasks.world import World
from r1repro.text.tags import END, THINK_OPEN

BEST = "best.json"
"""Result file of the search."""
EXAMPLES = (1, 2, 4, 8)
"""Numbers of worked examples in few-shot prompts."""
EXAMPLE_ATTEMPTS = 4
"""Most attempts in a worked countdown example, which keeps examples short."""
EXAMPLE_POOL = 64
"""Worked examples to choose from, per family and language."""


BOXED = {
    "en": " Please reason step by step, and put your final answer within \\boxed{}.",
    "zh": "请逐步推理，并把最终答案放在\\boxed{}中。",
}
"""Asks a chat model to mark its answer, by language."""


def ways(world: World, template: str, chat: str = "") -> dict[str, Form]:
    """Every prompting method by name.

    template: R1-Zero's prompt.
    plain: the question alone.
    begun: the template followed by the opening think tag.
    boxed: (with `chat` only) the question in this chat template, followed by BOXED.
    step: (mini world only) begun, plus the start of the first step.
    few_N: (mini world and word problems only) N worked examples, then the plain question.
    turns_N: (with `chat`, word problems only) the same as earlier turns of a chat.
    """
    asked = templates.asked(template)

    def plain(problem: Problem) -> Asked:
        return Asked(f"{problem.prompt}\n")

    def begun(problem: Problem) -> Asked:
        before = asked(problem)
        return before if before.begun else Asked(before.prompt + THINK_OPEN, THINK_OPEN)

    methods: dict[str, Form] = {"template": asked, "plain": plain, "begun": begun}
    if chat:
        methods["boxed"] = lambda problem: Asked(
            templates.turn(chat, replace(problem, prompt=problem.prompt + BOXED[problem.language]))
        )
    tasks = {problem.task for problem in world.validation}
    if tasks == {word_problems.FAMILY}:
        return methods | few_shot(world, plain) | (few_turns(world, chat) if chat else {})
    if not tasks.issubset(FAMILIES):
        return methods

    def step(problem: Problem) -> Asked:
        before = begun(problem)
        first = first_step(problem) if problem.task in FAMILIES else ""
        return Asked(before.prompt + first, before.begun + first)

    return methods | {"step": step} | few_shot(world, plain)


def few_shot(world: World, form: Form) -> dict[str, Form]:
    """few_N: N worked examples of the world, then the question as `form` asks it."""
    shown = examples(world)

    def few(count: int, problem: Problem) -> Asked:
        before = form(problem)
        return Asked(END.join([*_chosen(shown, count, problem), before.prompt]), before.begun)

    return {f"few_{count}": partial(few, count) for count in EXAMPLES}


def few_turns(world: World, chat: str) -> dict[str, Form]:
    """turns_N: N worked examples as earlier turns of a chat, then the question."""
    shown = examples(world)

    def few(count: int, problem: Problem) -> Asked:
        turns = []
        for text in _chosen(shown, count, problem):
            question, _, work = text.partition("\n")
            example = replace(problem, prompt=question)
            turns.append(templates.turn(chat, example) + work + templates.TURN_ENDS[chat])
        return Asked("".join([*turns, templates.turn(chat, problem)]))

    return {f"turns_{count}": partial(few, count) for count in EXAMPLES}


def read_best(folder: Path) -> dict[str, dict[str, Any]]:
    """Best method, temperature and validation pass@1 by family, from stage base_search."""
    return dict(json.loads((folder / BEST).read_text(encoding="utf-8")))


def first_step(problem: Problem) -> str:
    """The start of a first step: a chain's first operation, or the sum of two given numbers.

    It says nothing about the answer, since any search may start there.
    """
    if problem.task == "arithmetic":
        return f"{re.search(r'[0-9]+[-+][0-9]+', problem.prompt)[0]}="  # type: ignore[index]
    first, second = sorted(map(int, re.findall(r"[0-9]+", problem.prompt)[:2]), reverse=True)
    return f"{first}+{second}="


def examples(world: World) -> dict[tuple[str, str], list[str]]:
    """Training questions with correct worked answers, by family and language."""
    rng = random.Random(f"examples-{world.seed}")
    found: dict[tuple[str, str], list[str]] = {}
    for problem in islice(world.train("examples"), EXAMPLE_POOL * 50):
        pool = found.setdefault((problem.task, problem.language), [])
        text = worked(rng, problem)
        if text and text not in pool and not world.kept_out.solved_in(text):
            pool.append(text)
    return {kind: pool[:EXAMPLE_POOL] for kind, pool in found.items()}


def worked(rng: random.Random, problem: Problem) -> str | None:
    """A question with a correct answer in the corpus's most careful style.

    A countdown is searched in random order with every attempt checked; None if that takes more than
    EXAMPLE_ATTEMPTS.
    """
    lines, answer = [], problem.answer
    if problem.task == word_problems.FAMILY:
        lines = word_problems.solved(problem)
    elif problem.task == "arithmetic":
        lines = arithmetic.parse(problem.id.partition(":")[2]).lines
    else:
        numbers, target = problem.answer.split("=")
        attempts = list(countdown.trials(tuple(map(int, numbers.split(","))), "+-"))
        rng.shuffle(attempts)
        for trial in attempts[:EXAMPLE_ATTEMPTS]:
            lines += [f"{left}{op}{right}={value}" for left, op, right, value in trial.steps]
            lines.append(check(problem.language, trial.value, int(target)))
            if trial.value == int(target):
                answer = trial.expression
                break
        else:
            return None
    return "\n".join([problem.prompt, *lines, FINAL[problem.language].format(answer)])


def _chosen(
    shown: Mapping[tuple[str, str], Sequence[str]], count: int, problem: Problem
) -> list[str]:
    pool = shown.get((problem.task, problem.language), ())
    return random.Random(problem.id).sample(pool, min(count, len(pool)))
