"""Data sets of questions with gold answers: locations and row formats.

A new one is a `Source` in SOURCES, and a task of conf/tasks.yaml that names it.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from r1repro import hub, row_files
from r1repro.errors import R1ReproError
from r1repro.tasks import fields
from r1repro.tasks.countdown import tiny_zero
from r1repro.tasks.problem import Problem
from r1repro.text.escapes import mended
from r1repro.text.prose import is_sentence
from r1repro.text.tags import boxed


@dataclass(frozen=True)
class Source:
    """One data set, on the hub (NAME@COMMIT) or in a file.

    name: the family of its problems.
    subsets: hub configurations, read in order.
    prompt, answer, level: column names. The answer is the text after "####", the content of the
        last box, or the whole field. A prompt may be a chat, whose last user turn is the question.
    countdown: `prompt` is a list of numbers and `answer` the target.
    """

    name: str
    hub: str | None = None
    subsets: tuple[str | None, ...] = (None,)
    split: str = "train"
    path: str | None = None
    prompt: str = "question"
    answer: str = "answer"
    level: str | None = None
    language: str = "en"
    countdown: bool = False


_GSM8K = "openai/gsm8k@e53f048856ff4f594e959d75785d2c2d37b678ee"
_MATH = tuple(
    "algebra counting_and_probability geometry intermediate_algebra number_theory prealgebra "
    "precalculus".split()
)
# Pinned to commits in common use. Columns follow the dataset cards, unchecked against the data.
SOURCES = {
    source.name: source
    for source in (
        Source("gsm8k", _GSM8K, ("main",)),
        Source("gsm8k_test", _GSM8K, ("main",), "test"),
        Source("math", "EleutherAI/hendrycks_math@21a5633873b6a120296cce3e2df9d5550074f4a3", _MATH,
               "train+test", prompt="problem",
               answer="solution", level="level"),
        Source("math500", "HuggingFaceH4/MATH-500@6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be",
               split="test", prompt="problem", level="level"),
        Source("aime24", "HuggingFaceH4/aime_2024@2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
               prompt="problem"),
        Source("mgsm_zh", "jbross-ibm-research/mgsm@bd4f2be4127dc3d568a7a1ab13a07ceb921afff3",
               ("zh",), "test", answer="answer_number", language="zh"),
        Source("dapo", "open-r1/DAPO-Math-17k-Processed@31dd309567e3da778038cc87d868b6097a3ccf68",
               ("en",), prompt="prompt", answer="solution"),
        Source("countdown_tinyzero",
               "Jiayi-Pan/Countdown-Tasks-3to4@408f70d177020686d34a56bba5952feb45aaaee4",
               prompt="nums", answer="target", countdown=True),
    )
}  # fmt: skip


def questions(source: Source) -> tuple[list[Problem], int]:
    """(problems in order without duplicates, number of questions with conflicting gold answers).

    The latter are left out. Raises R1ReproError if the source is not on this machine or has no
    usable rows, and names the row that lacks a column or has an empty answer (in a user's file also
    a sentence as answer).
    """
    by_id: dict[str, Problem] = {}
    conflicting: set[str] = set()
    for where, row in rows(source):
        problem = _problem(source, row, where)
        first = by_id.setdefault(problem.id, problem)
        if not source.countdown and not _same_gold(first.answer, problem.answer):
            conflicting.add(problem.id)
    name = source.path or source.hub
    if not by_id:
        raise R1ReproError(f"{name} has no rows; give a data set with rows")
    if len(by_id) == len(conflicting):
        raise R1ReproError(
            f"{name}: each of its {len(by_id)} questions has different gold answers; give one each"
        )
    return [p for p in by_id.values() if p.id not in conflicting], len(conflicting)


def _same_gold(one: str, other: str) -> bool:
    """Whether two gold answers of a question are the same text or the same rational number."""
    values = [_rational(text) for text in (one, other)]
    return one == other or (values[0] is not None and values[0] == values[1])


def _rational(text: str) -> Fraction | None:
    """The value of 1,200 or 0.5 or 1/2; None for anything else."""
    written = text.strip().strip("$").replace(",", "")
    simple = len(written) <= 40 and re.fullmatch(r"-?\d+(?:\.\d+|/[1-9]\d*)?", written)
    return Fraction(written) if simple else None


def digest(problems: list[Problem]) -> str:
    """sha256 of the questions and answers in order, for manifests."""
    content = json.dumps([(p.prompt, p.answer) for p in problems], ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def place(source: Source) -> Path:
    """The source's location on this machine; raises R1ReproError if it is absent."""
    if source.path is not None:
        return Path(source.path)
    assert source.hub is not None
    folder = hub.folder(source.hub, "dataset")
    if folder is None:
        raise R1ReproError(
            f"data set {source.hub} is not on this machine; run `r1repro fetch` with the same "
            "settings where there is a network, or give your own with task.path=FILE"
        )
    return folder


def rows(source: Source) -> Iterator[tuple[str, dict[str, Any]]]:
    """(location for messages, row) pairs."""
    where = place(source)
    if source.path is not None:
        for number, row in row_files.read(where):
            yield f"{where}, row {number}", row
        return
    from datasets import load_dataset

    name, _ = hub.parts(str(source.hub))
    for subset in source.subsets:
        # Load from the fetched folder; loading by hub name would access the network.
        for number, row in enumerate(load_dataset(str(where), subset, split=source.split), 1):
            yield f"{name}, {subset or 'default'}, {source.split}, row {number}", dict(row)


def _problem(source: Source, row: dict[str, Any], where: str) -> Problem:
    question = row_files.field(row, source.prompt, where)
    gold: Any = row_files.field(row, source.answer, where)
    if source.countdown:
        return tiny_zero([int(number) for number in question], int(gold))
    question = fields.turn(question, fields.USER)
    if not isinstance(question, str) or not question.strip():
        raise R1ReproError(f"{where}: {source.prompt} is empty or no text; give a question")
    gold = fields.gold_text(gold, f"{where}, {source.answer}")
    answer = right_answer(gold or "")
    if gold is None or not answer or answer.count("{") != answer.count("}"):
        raise R1ReproError(f"{where}: {source.answer} has no complete answer: {str(gold)[-60:]!r}")
    # Published data sets cannot be fixed here; such a row never earns a reward.
    if source.path is not None and is_sentence(answer):
        raise R1ReproError(
            f"{where}: {source.answer} is a sentence, which no rule can compare; give the answer "
            f"alone instead of {answer[:60]!r}"
        )
    level = 1 if source.level is None else _level(row_files.field(row, source.level, where))
    task = source.name.removesuffix("_test")
    name = f"{task}:{canonical(question)}"
    return Problem(name, task, source.language, level, question.strip(), answer)


def right_answer(text: str) -> str:
    """The gold answer of a field: the text after "####", the last box, or the whole field.

    "" if a box is incomplete. A box may hold a single token without braces.
    """
    text = mended(text)
    if "####" in text:
        return text.rsplit("####", 1)[1].strip()
    answer = boxed(text)
    if answer is None and "\\boxed" in text:
        bare = re.match(r"\s*([^\s{}$.]+)", text.rsplit("\\boxed", 1)[1])
        return bare[1] if bare else ""
    return (answer or text).strip()


def canonical(question: str) -> str:
    """Hash that ignores spacing, case and punctuation of a question, but not operators."""
    letters = re.sub(r"[^\w+\-*/=<>^\\]+|_", " ", question.casefold())
    letters = re.sub(r" ?([+\-*/=<>^\\]) ?", r"\1", letters).strip()
    return hashlib.sha256(letters.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _level(value: Any) -> int:
    digits = re.search(r"[1-5]", str(value))
    return int(digits[0]) if digits else 1
