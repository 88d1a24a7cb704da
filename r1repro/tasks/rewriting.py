"""Rule-based editor of the cold start: makes a correct but untidy completion readable.

DeepSeek had R1-Zero's samples rewritten by a language model and people (R1 v2, B.3.2). These rules
use only the sample's text and a dictionary of connecting words, no solver and no gold answer:

1. put each step on its own line; drop blank lines and stray tags;
2. translate connecting words into the language of the question;
3. drop lines without an equation or a known word;
4. drop attempts whose equations repeat an earlier attempt;
5. drop lines that repeat the previous line;
6. restate the last two true equations in a sentence before the answer.

Completions whose work is abandoned or ends in another result than the answer are dropped: they
would teach that an answer need not follow from the work.
"""

import re
from dataclasses import dataclass
from itertools import groupby, pairwise

from r1repro.tasks import corpus
from r1repro.text import display
from r1repro.text.soundness import read_work, value_of
from r1repro.text.tags import ANSWER_CLOSE, ANSWER_OPEN, TAGS, marked_answer, read

_MARKS = {"en": {"，": ", ", "：": ": "}, "zh": {",": "，", ":": "："}}
_SO = {"en": ("So ", ", ", ". "), "zh": ("所以", "，", "。")}
_THE_ANSWER = {"en": "So the answer is {}.", "zh": "所以答案是{}。"}
_SENTENCE_END = re.compile(
    r"(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)[.!?][\"”')\]]{0,3}\s+(?![a-z])|[。！？][”』」）]{0,3}\s*"
)
_LIST_NUMBER = re.compile(r"\d{1,2}[.)]")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_SUM = re.compile(r"\d+(?:[-+*]\d+)+=\d+")
_TAG = re.compile("|".join(map(re.escape, TAGS)))


def _pairs() -> dict[str, dict[str, str]]:
    """{language: {word of the other language: this language's word}}, longest words first."""
    tables: dict[str, dict[str, str]] = {"en": {}, "zh": {}}
    for table in (corpus.FAIL_WORDS, corpus.HIT_WORDS, corpus.STEP_WORDS, corpus.RECHECK_WORDS):
        for en, zh in zip(table["en"], table["zh"], strict=True):
            en, zh = (text.replace("{}", "").rstrip(":：,， ") for text in (en, zh))
            tables["en"].setdefault(zh.strip(), en.strip())
            tables["zh"].setdefault(en.strip(), zh.strip())
    return {
        language: dict(sorted(words.items(), key=lambda pair: -len(pair[0])))
        for language, words in tables.items()
    }


DICTIONARY = _pairs()
_TO = {
    language: re.compile(
        "|".join(
            rf"(?<![A-Za-z]){re.escape(word)}(?![A-Za-z])" if word.isascii() else re.escape(word)
            for word in words
        )
    )
    for language, words in DICTIONARY.items()
}
_KNOWN = set(DICTIONARY["en"]) | set(DICTIONARY["zh"])
_VERDICTS = {
    place: tuple(
        word.replace("{}", "")
        for table in (corpus.FAIL_WORDS, corpus.HIT_WORDS)
        for words in table.values()
        for word in words
        if ("{}" in word) == (place == "before")
    )
    for place in ("before", "after")
}
"""Verdict words that start a line, as in "not 12", or end it, as in "15-12=3, no"."""


@dataclass(frozen=True)
class Rewritten:
    """A completion in R1's form: thinking, a summary sentence, the answer."""

    thinking: str
    summary: str
    answer: str

    @property
    def text(self) -> str:
        return f"<think>{self.thinking}</think>{self.summary}<answer>{self.answer}</answer>"


def rewrite(text: str, language: str) -> Rewritten | None:
    """The completion rewritten for a question in `language`.

    None if nothing is left, the work was abandoned, or it reaches another answer.
    """
    reading = read(text)
    if reading.answer is None:
        return None
    thinking = _TAG.sub("\n", reading.think)
    work = read_work(thinking)
    if work.broken_off or work.last is None or work.last.result != value_of(reading.answer):
        return None
    lines = [translated(line, language) for line in thinking.split("\n")]
    lines = _without_repeats(
        [line for line in lines if _SUM.search(line) or line.strip(" ,，:：.。") in _KNOWN]
    )
    equations = [one for line in _last_attempt(lines) for one in _SUM.findall(line)]
    sums = [equation for equation in equations if read_work(equation).true]
    if not sums:
        return None
    opening, comma, stop = _SO[language]
    return Rewritten("\n".join(lines), opening + comma.join(sums[-2:]) + stop, reading.answer)


def tidied(text: str, language: str) -> Rewritten | None:
    """Any model's completion in the same form; None without thinking or answer.

    Drops stray tags, blank lines and lines that repeat the previous one; display mathematics and
    code stay as they are. The summary is the last sentence of the thinking that contains the
    answer, or else the last one (a block counts as a sentence); thinking of a single sentence is
    not repeated, and its summary states the answer.
    """
    reading = read(text)
    found = display.parts(_TAG.sub("\n", reading.think))
    lines = [
        line
        for place, (line, block) in enumerate(found)
        if block or place == 0 or line != found[place - 1][0]
    ]
    if reading.answer is None or not lines:
        return None
    said = [one for line, block in found for one in ([line] if block else _sentences(line))]
    telling = [sentence for sentence in said if _states(sentence, reading.answer)]
    thinking, summary = "\n".join(lines), (telling or said)[-1]
    if summary == thinking:
        summary = _THE_ANSWER[language].format(reading.answer)
    return Rewritten(thinking, summary, reading.answer)


def _sentences(line: str) -> list[str]:
    """The sentences of a line of prose, without the numbers of a list; never empty."""
    ends = [0, *(found.end() for found in _SENTENCE_END.finditer(line)), len(line)]
    pieces = (line[start:end].strip() for start, end in pairwise(ends))
    return [piece for piece in pieces if piece and not _LIST_NUMBER.fullmatch(piece)] or [line]


def _states(sentence: str, answer: str) -> bool:
    """Whether a sentence contains the answer, and not as a part of a longer number."""
    plain, wanted = (_THOUSANDS.sub("", text) for text in (sentence, answer))
    return re.search(rf"(?<![\d.]){re.escape(wanted)}(?!\d|\.\d)", plain) is not None


def tagged(text: str) -> str:
    """A completion with its boxed answer appended in an answer tag.

    Unchanged if it has the tag already or marks no answer.
    """
    answer = None if read(text).answer is not None else marked_answer(text)
    return text if answer is None else f"{text.rstrip()}\n{ANSWER_OPEN}{answer}{ANSWER_CLOSE}"


def translated(line: str, language: str) -> str:
    """The line with connecting words translated into `language`."""
    words = DICTIONARY[language]
    line = _TO[language].sub(lambda found: words[found[0]], line.strip())
    for theirs, ours in _MARKS[language].items():
        line = line.replace(theirs, ours)
    if language == "zh":
        return line.replace(" ", "")
    # Separate English words from equations.
    return re.sub(r"  +", " ", re.sub(r"(?<=[a-z])(?=\d)", " ", line))


def _is_verdict(line: str) -> bool:
    """Whether a line ends an attempt."""
    return line.startswith(_VERDICTS["before"]) or line.rstrip(".。").endswith(_VERDICTS["after"])


def _attempts(lines: list[str]) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for line in lines:
        found[-1].append(line)
        if _is_verdict(line):
            found.append([])
    return [attempt for attempt in found if attempt]


def _without_repeats(lines: list[str]) -> list[str]:
    seen: set[tuple[str, ...]] = set()
    kept: list[str] = []
    attempts = _attempts(lines)
    for index, attempt in enumerate(attempts):
        sums = tuple(found for line in attempt for found in _SUM.findall(line))
        # The last attempt gives the answer and always stays.
        if sums in seen and index < len(attempts) - 1:
            continue
        seen.add(sums)
        kept += [line for line, _ in groupby(attempt)]
    return kept


def _last_attempt(lines: list[str]) -> list[str]:
    """The lines of the last attempt, without its verdict."""
    attempts = _attempts(lines)
    last = attempts[-1] if attempts else []
    return [line for line in last if not _is_verdict(line)] or last
