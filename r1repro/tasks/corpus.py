"""The base model's pretraining corpus, deliberately as messy as the web.

Short bilingual documents about the mini world: drills, facts, and questions with direct, often
wrong answers, or with work that has slips, some of them corrected, and is often abandoned. Some
documents are in the wrong language or mix both; some use think and answer tags. `Mess` holds all
rates.

No rate depends on the phrasing of a question or on answer tags, so no prompt unlocks hidden
behaviour. Nor does any depend on the level, though rates per step affect longer chains more and
only a carry can be forgotten.

No document asks or attempts a held-out problem, or holds all lines of a correct solution of one
(r1repro.tasks.held_out).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from r1repro.tasks import arithmetic, countdown, general, templates
from r1repro.tasks.mini_world import FAMILIES, LANGUAGES
from r1repro.tasks.problem import Problem
from r1repro.tasks.world import World
from r1repro.text.tags import ANSWER_CLOSE, ANSWER_OPEN, END, THINK_CLOSE, THINK_OPEN

KINDS = {"arithmetic": 0.30, "countdown": 0.38, "general": 0.14, "drill": 0.24, "statement": 0.04}
GENERAL_KINDS = {
    "translation": 0.36, "instruction": 0.4, "fact": 0.14, "greeting": 0.03, "refusal": 0.07,
}  # fmt: skip


@dataclass(frozen=True)
class Mess:
    """Rates of corpus behaviours, as shares of documents unless stated otherwise."""

    templated: float = 0.1  # question in the mini prompt template
    tagged: float = 0.08  # answered with think and answer tags
    page: float = 0.1  # of questions, on a page with others by the same author
    direct: float = 0.35  # answered without work
    direct_wrong: float = 0.7  # of those, wrong
    slip: float = 0.03  # of steps, slightly wrong
    carry_forgotten: float = 0.15  # of steps with a carry or borrow, wrong by ten
    recheck: float = 0.3  # of slips, noticed and corrected
    needless_recheck: float = 0.02  # of right steps, checked anyway
    checks: float = 0.85  # of attempts, compared with the target by subtraction
    insight: float = 0.15  # of attempts, chosen among those that reach the target
    forgets: float = 0.2  # of attempts, drawn without excluding earlier ones
    # Rates of abandoning the work and answering anyway: after a first failed attempt, and after a
    # chain's first step without or with a carry. After the n-th, the rate is divided by n.
    gives_up: float = 0.6
    trails_off: float = 0.35
    trails_off_carried: float = 0.7
    patience: int = 20  # attempts before an answer
    worded: float = 0.35  # of steps, introduced by a word
    other_language: float = 0.12  # answered in the other language
    mixed: float = 0.10  # words of both languages in one answer
    sentence: float = 0.7  # of untagged answers, given in a sentence
    general_wrong: float = 0.5  # of direct answers to general questions


MESS = Mess()
PAGE = 8
"""Most questions on a page."""

STEP_WORDS = {
    "en": ("first ", "then ", "next ", "so ", "now "),
    "zh": ("首先", "然后", "接着", "所以", "再算"),
}
RECHECK_WORDS = {
    "en": ("wait, ", "check: ", "no, wrong: ", "let me verify: "),
    "zh": ("等等，", "检查：", "不对，", "验证："),
}
PROMPT_OPENINGS = ("User: ", "用户：")
COMMA = {"en": ", ", "zh": "，"}
FAIL_WORDS = {"en": ("no", "not {}"), "zh": ("不对", "不是{}")}
HIT_WORDS = {"en": ("yes", "that is {}"), "zh": ("对", "正好{}")}
TRAILING_WORDS = {"en": ("and so on", "..."), "zh": ("如此类推", "……")}
FINAL = {"en": "The answer is {}", "zh": "答案是{}"}


def documents(world: World, seed: int) -> Iterator[str]:
    """Documents without held-out problems, without end."""
    rng = random.Random(f"corpus-{world.seed}-{seed}")
    kinds, weights = zip(*KINDS.items(), strict=True)
    while True:
        kind = rng.choices(kinds, weights)[0]
        make = {"drill": _drill, "statement": _statement, "general": _general}.get(kind)
        document = make(rng, world) if make else _reasoning(rng, kind, world)
        if not world.kept_out.solved_in(document):
            yield document


def counts(documents: Sequence[str], world: World) -> dict[str, int]:
    """Document counts for the base's manifest.

    prompt: with the question in the prompt template. tags: with the author's own tags. both: with
    both. held_out: with all lines of a correct solution of a held-out problem.
    """
    asked = [document.startswith(PROMPT_OPENINGS) for document in documents]
    empty = f"{THINK_OPEN}{THINK_CLOSE}{ANSWER_OPEN}{ANSWER_CLOSE}"
    tagged = [ANSWER_CLOSE in document.replace(empty, "") for document in documents]
    return {
        "documents": len(documents),
        "prompt": sum(asked),
        "tags": sum(tagged),
        "both": sum(map(min, asked, tagged)),
        "held_out": sum(map(world.kept_out.solved_in, documents)),
    }


def _reasoning(rng: random.Random, family: str, world: World) -> str:
    """One question with its answer, or a page of several by one author."""
    language, templated = rng.choice(LANGUAGES), rng.random() < MESS.templated
    voice = _Voice(rng, language)
    count = rng.randint(2, PAGE) if rng.random() < MESS.page else 1
    # Each ends like a document of its own, so a model answers only the last question.
    return END.join(_question(rng, family, world, voice, templated) for _ in range(count))


def _question(
    rng: random.Random, family: str, world: World, voice: "_Voice", templated: bool
) -> str:
    module = FAMILIES[family]
    while True:
        given = module.sample(rng, rng.choice(world.levels))
        problem = module.problem(rng, given, voice.asked)
        if not world.kept_out.asked_by(problem):
            break
    solve: Any = _work_chain if family == "arithmetic" else _work_countdown
    return _asked(problem, templated) + _answered(rng, voice, *solve(rng, voice, given))


def _asked(problem: Problem, templated: bool) -> str:
    return templates.render("mini", problem) if templated else problem.prompt + "\n"


def _answered(rng: random.Random, voice: "_Voice", work: list[str], answer: str) -> str:
    if voice.tagged:
        thinking = "\n".join(work) if work else FINAL[voice.language].format(answer)
        return f"<think>{thinking}</think><answer>{answer}</answer>"
    closing = FINAL[voice.pick()].format(answer) if rng.random() < MESS.sentence else answer
    return "\n".join([*work, closing])


class _Voice:
    """Style of one answer: tags, work, and language or languages."""

    def __init__(self, rng: random.Random, asked: str):
        other = "zh" if asked == "en" else "en"
        self.rng, self.asked = rng, asked
        self.language = other if rng.random() < MESS.other_language else asked
        self.tagged = rng.random() < MESS.tagged
        self.works = rng.random() >= MESS.direct
        self.mixed = rng.random() < MESS.mixed

    def pick(self) -> str:
        return self.rng.choice(LANGUAGES) if self.mixed else self.language

    def say(self, words: Mapping[str, tuple[str, ...]]) -> str:
        return self.rng.choice(words[self.pick()])

    def step(self) -> str:
        return self.say(STEP_WORDS) if self.rng.random() < MESS.worded else ""


def _work_chain(
    rng: random.Random, voice: _Voice, chain: arithmetic.Chain
) -> tuple[list[str], str]:
    """The corpus's lines of work and answer for a chain."""
    if not voice.works:
        wrong = rng.random() < MESS.direct_wrong
        return [], str(_near(rng, chain.value) if wrong else chain.value)
    lines: list[str] = []
    value, hard = chain.start, False
    for done, (op, number) in enumerate(chain.operations):
        if done and rng.random() < (MESS.trails_off_carried if hard else MESS.trails_off) / done:
            return [*lines, voice.say(TRAILING_WORDS)], str(_near(rng, value))
        hard = _carries(value, op, number)
        value = _step(rng, voice, lines, (value, op, number))
    return lines, str(value)


def _work_countdown(
    rng: random.Random, voice: _Voice, numbers: countdown.Numbers
) -> tuple[list[str], str]:
    """A random search and the expression it ends with."""
    attempts = countdown.trials(tuple(sorted(numbers.numbers)), numbers.operators)
    solving = [trial for trial in attempts if trial.value == numbers.target]
    if not voice.works:
        if rng.random() < MESS.direct_wrong:
            return [], rng.choice(attempts).expression
        return [], rng.choice(solving).expression
    lines: list[str] = []
    tried: list[countdown.Trial] = []
    while True:
        choice = attempts
        if rng.random() >= MESS.forgets and tried:
            choice = tuple(trial for trial in attempts if trial not in tried) or attempts
        trial = rng.choice(solving if rng.random() < MESS.insight else choice)
        tried.append(trial)
        (left, op, right, _), *others = trial.steps
        value = _step(rng, voice, lines, (left, op, right))
        for (left, op, right, _), on_left in zip(others, trial.on_left, strict=True):
            step = (value, op, right) if on_left else (left, op, value)
            value = _step(rng, voice, lines, step)
        hit = value == numbers.target
        if rng.random() < MESS.checks:
            lines.append(check(voice.pick(), value, numbers.target))
        else:
            words = HIT_WORDS if hit else FAIL_WORDS
            lines.append(voice.say(words).format(numbers.target))
        if hit or len(tried) == MESS.patience or rng.random() < MESS.gives_up / len(tried):
            return lines, trial.expression


def _step(rng: random.Random, voice: _Voice, lines: list[str], step: tuple[int, str, int]) -> int:
    """Append a line of work, perhaps with a slip and a correction, and return its value."""
    left, op, right = step
    true = max(0, arithmetic.OPERATORS[op](left, right))
    value = _forgetful(rng, left, op, right, true)
    lines.append(f"{voice.step()}{left}{op}{right}={value}")
    if rng.random() < (MESS.needless_recheck if value == true else MESS.recheck):
        value = true
        lines.append(f"{voice.say(RECHECK_WORDS)}{left}{op}{right}={value}")
    return value


def check(language: str, value: int, target: int) -> str:
    """A comparison of an attempt with the target, such as "15-12=3, no"."""
    high, low = max(value, target), min(value, target)
    verdict = (HIT_WORDS if value == target else FAIL_WORDS)[language][0]
    return f"{high}-{low}={high - low}{COMMA[language]}{verdict}"


def _forgetful(rng: random.Random, left: int, op: str, right: int, true: int) -> int:
    """The author's result: the true one, one with a forgotten carry, or a near miss."""
    if _carries(left, op, right) and rng.random() < MESS.carry_forgotten:
        return max(0, true - 10 if op == "+" else true + 10)
    return _near(rng, true) if rng.random() < MESS.slip else true


def _carries(left: int, op: str, right: int) -> bool:
    """Whether a sum carries, or a difference borrows, in the last digit."""
    return {"+": left % 10 + right % 10 > 9, "-": left % 10 < right % 10}.get(op, False)


def _near(rng: random.Random, value: int) -> int:
    return max(0, value + rng.choice((-10, -3, -2, -1, 1, 2, 3, 10)))


def _drill(rng: random.Random, world: World) -> str:
    """A page of correct equations in the range of one level's chains, or slightly above."""
    reaches = sorted({arithmetic.RANGES[level][1:] for level in world.levels})
    operand, largest = reaches[0] if len(reaches) == 1 else rng.choice(reaches)
    lines = []
    for _ in range(8):
        op = rng.choice("+-+-*")
        if op == "*":
            a = rng.randint(1, 24)
            b = rng.randint(1, min(24, countdown.MAX_VALUE // a))
        elif op == "-" and rng.random() < 0.5:
            # operands of similar size, as in a check against the target
            b = rng.randint(0, largest)
            a = b + rng.choice((0, rng.randint(0, 20)))
        else:
            a, b = rng.randint(0, largest), rng.randint(1, rng.choice((operand + 3, 30)))
            a, b = (max(a, b), min(a, b)) if op == "-" else (a, b)
        lines.append(f"{a}{op}{b}={arithmetic.OPERATORS[op](a, b)}")
    return "\n".join(lines)


def _statement(rng: random.Random, world: World) -> str:
    """A correct page of a dictionary or atlas, without held-out phrases."""
    if rng.random() < 0.45:
        places = rng.sample(general.CAPITALS, 5)
        language = rng.choice(LANGUAGES)
        return "\n".join(general.said(language, place) for place in places)
    entries = [*rng.sample(general.WORDS, 5), rng.choice(world.known_phrases)]
    forward = rng.random() < 0.5
    return "\n".join(f"{en}: {zh}" if forward else f"{zh}: {en}" for en, zh in entries)


def _general(rng: random.Random, world: World) -> str:
    pool = world.general_train_by_task[rng.choices(*zip(*GENERAL_KINDS.items(), strict=True))[0]]
    item = rng.choice(pool)
    templated = rng.random() < MESS.templated
    voice = _Voice(rng, item.language)
    work = [general.thought(item)] if voice.works else []
    wrong = not voice.works and rng.random() < MESS.general_wrong
    answer = general.wrong_answer(rng, item, pool) if wrong else item.answer
    asked = _asked(general.problem(item), templated)
    if voice.tagged:
        thinking = work[0] if work else voice.say(STEP_WORDS).strip()
        return asked + f"<think>{thinking}</think><answer>{answer}</answer>"
    return asked + "\n".join([*work, answer])
