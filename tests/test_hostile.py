"""Model output as hostile data: bounded time and memory, all counted, nothing active shown.

100 answers here, 500 with `-m long`.
"""

import re
import resource
import time
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from r1repro import chat
from r1repro.evaluation.analyze import Tags, analyze
from r1repro.evaluation.rows import row
from r1repro.reports.transcripts import text_html
from r1repro.rewards import rule_rewards
from r1repro.rewards.verifier import Verifier
from r1repro.tasks.problem import Completion, Problem

SECONDS, PER_MILLION, GIGABYTES = 10.0, 40.0, 2.0
"""The most seconds of computing that all measures of an answer may take, and those of a million
characters more; and the memory that all answers may."""
PROBLEMS = (
    Problem("3+4*5", "arithmetic", "en", 2, "3+4*5", "23"),
    Problem("2,3,5=16", "countdown", "zh", 1, "用2,3,5得到16。", "2,3,5=16"),
    Problem("m", "math", "en", 1, "What is $x$?", r"\frac{1}{2}"),
)


def bombs(shrunk):
    """Answers that are to hang, exhaust, mislead or take over what reads them."""
    return (
        "9^{9^{9^{9^{9}}}}",
        "2**2**2**2**2**2",
        "10^{10^{10}}!",
        r"\sqrt[999999999]{2}",
        "1e999999999",
        r"\frac{1}{" * 500 + "2" + "}" * 500,
        "(" * (5_000 // shrunk) + "1" + ")" * (5_000 // shrunk),
        "[" * (100_000 // shrunk),
        "{" * (100_000 // shrunk),
        r"\left(" * (3_000 // shrunk),
        "-" * (50_000 // shrunk) + "1",
        "9" * (100_000 // shrunk),
        "1/" * (30_000 // shrunk) + "3",
        "1+" * (50_000 // shrunk) + "1",
        r"\def\a{\a\a}\a",
        r"\newcommand{\x}{\x\x}\x",
        r"\input{/etc/passwd}",
        r"\write18{ls}",
        "٣٤٥",
        "३/४",
        "¹²³",
        "½",
        "五百万亿",
        "１２３",
        "𝟏𝟐",
        "Ⅻ",
        "\u200b1\u200b2",
        "1\u202e2",
        "\ud800",
        "\0",
        "\x1b[2J\x1b]0;title\x07",
        "\x1b]8;;http://a.example\x07here\x1b]8;;\x07",
        "\r\r\b\b",
        "\x9b31m",
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "</pre></div><iframe src=//a>",
        "{{7*7}}",
        "{% for x in y %}",
        "${7*7}",
        "__import__('os').system('ls')",
        "$(ls)",
        "`ls`",
        "javascript:alert(1)",
        "<style>*{display:none}</style>",
        "&lt;script&gt;",
        "<!--",
        "]]>",
        "a" * (1_000_000 // shrunk),
        "wait " * (200_000 // shrunk),
        "1=1\n" * (100_000 // shrunk),
        "等等" * (100_000 // shrunk),
        "= " * (100_000 // shrunk),
        "<think>" * (20_000 // shrunk),
        "</think>" * (20_000 // shrunk),
        "<answer>1</answer>" * (20_000 // shrunk),
        r"\boxed{" * (20_000 // shrunk),
        "$" * (100_001 // shrunk),
        "$$x$$ " * (50_000 // shrunk),
        "```" * (30_000 // shrunk),
        "#### " * (50_000 // shrunk),
        "\\" * (100_000 // shrunk),
        "\n" * (500_000 // shrunk),
        "3*4=12, " * (50_000 // shrunk),
        "no, 3+4=8. " * (50_000 // shrunk),
        "the answer is " * (40_000 // shrunk),
        "." * (300_000 // shrunk),
        " " * (900_000 // shrunk),
    )


SHELLS = (
    "{}", "<think>{}</think><answer>{}</answer>", r"<think>a</think> \boxed{{{}}}",
    "<think>3*4=12\n{}", "<answer>{}</answer>", r"The answer is ${}$. User: {}",
    "<think>{} </think> <answer>23</answer>", "#### {}",
)  # fmt: skip
MANY = [pytest.param(100, id="short"), pytest.param(500, id="long", marks=pytest.mark.long)]


def answers(count):
    """`count` different answers: every bomb in turn, in shells that change with each round.

    A hundred are at most a tenth as long.
    """
    found, made = {}, bombs(10 if count <= 100 else 1)
    number = 0
    while len(found) < count:
        shell = SHELLS[(number // len(made) + number) % len(SHELLS)]
        bomb = made[number % len(made)] + " " * (number // (len(made) * len(SHELLS)))
        found[shell.format(bomb, bomb)] = None
        number += 1
    return list(found)


class Tags_(HTMLParser):
    """The elements and attributes of a page."""

    def __init__(self):
        super().__init__(convert_charrefs=False)
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, *attrs))


def test_the_bombs_are_many_and_differ():
    assert len(answers(500)) == 500 == len({*answers(500)})


@pytest.mark.parametrize("count", MANY)
def test_every_answer_is_measured_in_bounded_time_and_memory(count):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    rows, slow = [], []
    for number, text in enumerate(answers(count)):
        problem = replace(PROBLEMS[number % 3], id=f"{number}")
        began = time.process_time()
        said = Completion(problem.id, text, (1,) * min(len(text), 10_000), number % 2 == 0)
        rows.append(row(problem, 0, said))
        analyze(text, Tags())
        rule_rewards.format([text], **rule_rewards.columns_of(problem))
        took = time.process_time() - began
        if took > SECONDS + PER_MILLION * len(text) / 1e6:
            slow.append((round(took, 1), problem.task, text[:60], len(text)))
    assert not slow, slow
    table = pd.DataFrame(rows)
    table.to_parquet("/dev/null")
    assert len(table) == count and table["problem_id"].is_unique
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    assert grown < GIGABYTES, grown


@pytest.mark.parametrize("count", MANY)
def test_the_verifier_gives_every_answer_a_verdict(count):
    texts = answers(count)
    began = time.monotonic()
    with Verifier(workers=2, seconds=1.0) as verifier:
        verdicts = list(verifier.grade([r"\frac{1}{2}"] * count, texts))
    assert len(verdicts) == count
    assert not any(one.correct for one in verdicts if "½" not in (one.extracted or ""))
    assert time.monotonic() - began < 60 + 1.5 * verifier.timeouts


@pytest.mark.parametrize("count", MANY)
def test_nothing_active_reaches_a_page_or_a_terminal(count):
    for text in answers(count):
        page = text_html(text)
        reader = Tags_()
        reader.feed(str(page))
        assert {tag for tag, *_ in reader.found} <= {"span"}
        assert all(a in {("class", "tag"), ("class", "cut")} for _, *x in reader.found for a in x)
        assert len(page) < 100_000
        shown = chat.shown("r1", Completion("a", text, (1,), True))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
        assert len(shown) < 10 * (chat.LONGEST + 200)
