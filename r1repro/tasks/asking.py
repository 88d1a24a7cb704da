"""The ways of asking a base model, among which the strongest baseline is searched.

R1-Zero is trained and asked in the template. What RL adds is measured against the best way of
asking the base that it came from, which may be another one: many gains that were published as RL's
were the template's own cost (arXiv 2503.20783) or the format's.
"""

import json
import random
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from r1repro.tasks import arithmetic, countdown, templates
from r1repro.tasks.corpus import COMMA, FAIL_WORDS, FINAL, HIT_WORDS
from r1repro.tasks.mini_world import FAMILIES
from r1repro.tasks.problem import Problem
from r1repro.tasks.templates import Asked, Form
from r1repro.tasks.world import World
from r1repro.text.tags import END, THINK_OPEN

BEST = "best.json"
"""What the search over the ways leaves."""
EXAMPLES = (1, 2, 4, 8)
"""How many worked examples stand before a question."""
EXAMPLE_ATTEMPTS = 4
"""Attempts of a worked countdown at most: what is shown persists and is short enough to show."""
EXAMPLE_POOL = 64
"""Worked examples of each family and language to choose from."""


def ways(world: World, template: str) -> dict[str, Form]:
    """Every way of asking a base by its name.

    template: as R1-Zero is asked. plain: the question alone. begun: the template with the think tag
    begun. Of the mini world also step, the template with the tag and the first step begun, and
    few_N, plainly after N worked examples.
    """
    asked = templates.asked(template)

    def plain(problem: Problem) -> Asked:
        return Asked(f"{problem.prompt}\n")

    def begun(problem: Problem) -> Asked:
        before = asked(problem)
        if before.begun:
            return before
        return Asked(before.prompt + THINK_OPEN, THINK_OPEN)

    found: dict[str, Form] = {"template": asked, "plain": plain, "begun": begun}
    if any(problem.task not in FAMILIES for problem in world.validation):
        return found

    def step(problem: Problem) -> Asked:
        before = begun(problem)
        first = first_step(problem) if problem.task in FAMILIES else ""
        return Asked(before.prompt + first, before.begun + first)

    shown = examples(world)
    found["step"] = step
    for count in EXAMPLES:
        found[f"few_{count}"] = _after(shown, count)
    return found


def read_best(folder: Path) -> dict[str, dict[str, Any]]:
    """By family the best way, its temperature and its validation pass@1, of stage base_search."""
    found: dict[str, dict[str, Any]] = json.loads((folder / BEST).read_text(encoding="utf-8"))
    return found


def first_step(problem: Problem) -> str:
    """The left side of the first step: of a chain its first sum, else the first two numbers added.

    It tells nothing of the answer: any search may begin with these two.
    """
    if problem.task == "arithmetic":
        return f"{re.search(r'[0-9]+[-+][0-9]+', problem.prompt)[0]}="  # type: ignore[index]
    first, second = sorted(map(int, re.findall(r"[0-9]+", problem.prompt)[:2]), reverse=True)
    return f"{first}+{second}="


def examples(world: World) -> dict[tuple[str, str], list[str]]:
    """Questions with worked, right answers by family and language, of training problems."""
    rng = random.Random(f"examples-{world.seed}")
    found: dict[tuple[str, str], list[str]] = {}
    stream = world.train("examples")
    for problem in islice(stream, EXAMPLE_POOL * 50):
        pool = found.setdefault((problem.task, problem.language), [])
        text = worked(rng, problem)
        if text is None or text in pool or world.kept_out.solved_in(text):
            continue
        if len(pool) < EXAMPLE_POOL:
            pool.append(text)
    return found


def worked(rng: random.Random, problem: Problem) -> str | None:
    """A question with an answer as the corpus's most careful author would give it, all of it right.

    A countdown is searched in random order, every attempt checked; None where that takes more than
    EXAMPLE_ATTEMPTS.
    """
    lines = []
    if problem.task == "arithmetic":
        steps = arithmetic.parse(problem.id.partition(":")[2]).steps
        lines = [f"{left}{op}{right}={value}" for left, op, right, value in steps]
        answer = problem.answer
    else:
        numbers, target = problem.answer.split("=")
        attempts = list(countdown.trials(tuple(map(int, numbers.split(","))), "+-"))
        rng.shuffle(attempts)
        for trial in attempts[:EXAMPLE_ATTEMPTS]:
            lines += [f"{left}{op}{right}={value}" for left, op, right, value in trial.steps]
            high, low = max(trial.value, int(target)), min(trial.value, int(target))
            words = (HIT_WORDS if high == low else FAIL_WORDS)[problem.language][0]
            lines.append(f"{high}-{low}={high - low}{COMMA[problem.language]}{words}")
            if high == low:
                answer = trial.expression
                break
        else:
            return None
    return "\n".join([problem.prompt, *lines, FINAL[problem.language].format(answer)])


def _after(shown: Mapping[tuple[str, str], Sequence[str]], count: int) -> Form:
    def few(problem: Problem) -> Asked:
        pool = shown.get((problem.task, problem.language), ())
        chosen = random.Random(problem.id).sample(pool, min(count, len(pool)))
        return Asked(END.join([*chosen, f"{problem.prompt}\n"]))

    return few
