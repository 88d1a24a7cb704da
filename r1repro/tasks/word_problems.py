"""Word problems of one to three steps, generated in English and Chinese from stories.yaml."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from r1repro.errors import R1ReproError
from r1repro.tasks.arithmetic import OPERATORS
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World, balanced, general_splits

FAMILY = "word_problems"
LANGUAGES = ("en", "zh")
LEVELS = (1, 2, 3)
UNSEEN = 2
"""Stories of each level that only the test asks."""
# No sentence needs a pronoun.
NAMES = {
    "en": "Tom Lucy Ben Emma Sam Anna Jack Mia Leo Clara Max Nora".split(),
    "zh": "小明 小红 小刚 小丽 小军 小芳 小强 小梅 小华 小燕 小亮 小雪".split(),
}
THINGS = {
    "en": "apples pencils books stickers marbles cookies oranges postcards balloons shells".split(),
    # measure word and noun
    "zh": "个苹果 支铅笔 本书 张贴纸 颗弹珠 块饼干 个橙子 张明信片 个气球 枚贝壳".split(),
}


@dataclass(frozen=True)
class Story:
    """A template.

    numbers: by letter, what may be drawn. steps: such as "a * b" and then "c - s1", where s1 is
    the result of the first. texts: by language.
    """

    name: str
    numbers: Mapping[str, range]
    steps: tuple[str, ...]
    texts: Mapping[str, str]

    @property
    def level(self) -> int:
        """The number of its steps."""
        return len(self.steps)


@lru_cache(maxsize=1)
def stories() -> tuple[Story, ...]:
    """All stories, in the order of the file."""
    text = Path(__file__).with_name("stories.yaml").read_text(encoding="utf-8")
    return tuple(_story(name, one) for name, one in yaml.safe_load(text).items())


def _story(name: str, written: dict[str, Any]) -> Story:
    drawn = {
        letter: range(first, last + 1, *distance)
        for letter, (first, last, *distance) in written["numbers"].items()
    }
    return Story(name, drawn, tuple(written["steps"]), {one: written[one] for one in LANGUAGES})


def results(story: Story, numbers: Mapping[str, int]) -> list[int] | None:
    """The result of each step, the last of which is the answer.

    None if one of them is not a whole number above 1, since the sentences are in the plural.
    """
    known, found = dict(numbers), []
    for count, step in enumerate(story.steps, start=1):
        first, sign, second = step.split()
        left, right = known[first], known[second]
        result = OPERATORS[sign](left, right)
        if result < 2 or (sign == "/" and left % right):
            return None
        known[f"s{count}"] = result
        found.append(result)
    return found


def solved(problem: Problem) -> list[str]:
    """Each step of a problem's solution, such as "3*4=12"."""
    _, name, written = problem.id.split(":")
    story = next(story for story in stories() if story.name == name)
    known = dict(zip(story.numbers, map(int, written.split(",")), strict=True))
    found = results(story, known) or []
    known |= {f"s{count}": result for count, result in enumerate(found, start=1)}
    lines = []
    for step, result in zip(story.steps, found, strict=True):
        left, sign, right = step.split()
        lines.append(f"{known[left]}{sign}{known[right]}={result}")
    return lines


def draw(rng: random.Random, story: Story, language: str) -> Problem:
    """A problem of the story; numbers are drawn until `results` takes them."""
    while True:
        numbers = {letter: rng.choice(values) for letter, values in story.numbers.items()}
        found = results(story, numbers)
        if found is not None:
            break
    one, other = rng.sample(NAMES[language], 2)
    thing = rng.choice(THINGS[language])
    return Problem(
        id=f"{FAMILY}:{story.name}:{','.join(map(str, numbers.values()))}",
        task=FAMILY,
        language=language,
        level=story.level,
        prompt=story.texts[language].format(
            n=one, k=other, o=thing, m=thing[0], q=thing[1:], **numbers
        ),
        answer=str(found[-1]),
    )


def build(languages: Sequence[str], seed: int, validation: int, test: int, max_level: int) -> World:
    """A world of word problems of the levels up to `max_level`, in these languages.

    No story occurs with the same numbers in two splits, in any words or language. Held-out problems
    are balanced over stories and languages, and UNSEEN stories of each level are in the test alone.
    Raises R1ReproError for another language, or if there are too few problems to hold out.
    """
    for language in languages:
        if language not in LANGUAGES:
            raise R1ReproError(
                f"task.train={FAMILY}:{language} is not accepted: give en, zh or en+zh after the "
                "colon"
            )
    rng = random.Random(f"{FAMILY}-{seed}")
    told = [story for story in stories() if story.level <= max_level]
    unseen: set[str] = set()
    for level in LEVELS[:max_level]:
        unseen.update(rng.sample([one.name for one in told if one.level == level], UNSEEN))
    trained = [story for story in told if story.name not in unseen]
    taken: dict[str, Problem] = {}
    held = []
    for some, count in ((told, test), (trained, validation)):
        kinds = [(story, language) for language, story in product(languages, some)]
        held.append(tuple(balanced(partial(draw, rng), kinds, count, taken)))
        if len(held[-1]) < count:
            raise R1ReproError(
                f"the word problems have fewer than {count} different ones to hold out; lower "
                "task.validation_problems or task.test_problems"
            )
    tested, validated = held
    return World(
        seed, validated, tested, *general_splits(rng), partial(_stream, trained, languages),
        {FAMILY: {"stories": len(told), "in the test alone": sorted(unseen)}},
    )  # fmt: skip


def _stream(
    told: Sequence[Story], languages: Sequence[str], rng: random.Random
) -> Iterator[Problem]:
    while True:
        yield draw(rng, rng.choice(told), rng.choice(languages))
