"""Parsing of lines of work: what is read and what is left unparsed."""

import gc
import itertools
import time
from fractions import Fraction

import pytest

from r1repro.tasks import corpus, mini_world
from r1repro.text.soundness import read_line, read_work, value_of
from r1repro.text.tags import TAGS


def sums(line):
    return [("".join(s.tokens), float(s.result), s.true) for s in read_line(line).sums]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("12+5=17", ("12+5", 17, True)),
        ("so12+5=18", ("12+5", 18, False)),
        ("首先12+5=17", ("12+5", 17, True)),
        ("等等，12+5=17", ("12+5", 17, True)),
        ("5 × 3 = 15", ("5*3", 15, True)),
        ("5 x 3 = 15 apples", ("5*3", 15, True)),
        ("It is 48/2 = <<48/2=24>>24 clips.", ("48/2", 24, True)),
        ("2*3+4 = 6+4 = 10", ("2*3+4", 10, True)),
        ("2*3+4 = 6+5 = 10", ("2*3+4", 10, False)),
        ("Total = 3+4 = 7.", ("3+4", 7, True)),
        (r"\(\frac{1}{2}+\frac{1}{4}=\frac{3}{4}\)", ("((1)/(2))+((1)/(4))", 0.75, True)),
        (r"$3 \times 4 = \boxed{12}$", ("3*4", 12, True)),
        ("So, $1,200 - $200 = $1,000.", ("1200-200", 1000, True)),
        ("10/3 = 3.33", ("10/3", 3.33, True)),
        ("10/3 = 3.5", ("10/3", 3.5, False)),
        ("-5 + 3 = -2", ("-5+3", -2, True)),
        ("Step 2: 3+4 == 7", ("3+4", 7, True)),
        ("a total of $60 + $20 = $80", ("60+20", 80, True)),
        (".20*30 = 6", (".20*30", 6, True)),
    ],
)
def test_an_equation_of_numbers_is_read(line, found):
    text, value, true = found
    assert sums(line) == [(text, pytest.approx(value), true)]
    assert read_line(line).parsed


def test_a_line_may_hold_several():
    wanted = [("12+5", 17, True), ("17-3", 14, True)]
    assert sums("12+5=17, 17-3=14") == sums("12+5=17 17-3=14") == wanted
    assert sums("12+5=17. Then 17-3=14.") == wanted


@pytest.mark.parametrize(
    "line",
    [
        "2x+3=7", "x - 5 + 3 = 7", "f(3+4)=12", "20% of 50 = 10", "20% of 50 - 5 = 5",
        "7/2 = 3 remainder 1", "7/2 = 3 1/2", "1 1/2 / 2 = 3", "3+4=8?", "60 minutes / 2 = 30",
        "students x 3/4 = 3000", "1/20 = 5%", "5*200000 = 1 million", "3+4=7-", "2**3 = 9",
        "11 < 30/11 = 11", "5/0=1", "(3+4=7", "x = 5", "350 000 * 2 = 700000",
        "Compute 3+4-5", "12", "twelve and 5 more", "9" * 300 + "+1=2",
    ],
)  # fmt: skip
def test_what_is_not_plainly_an_equation_of_numbers_is_no_sum_and_not_parsed(line):
    read = read_line(line)
    assert not read.sums and read.digits and not read.parsed


def test_a_number_beside_the_equation_is_not_parsed_unless_the_equation_holds_it():
    assert not read_line("In 2020 he has 3*4=12").parsed
    assert read_line("With 3 boxes of 4 he has 3*4=12").parsed


@pytest.mark.parametrize(
    ("line", "affirms", "number", "check"),
    [
        ("17-9=8, no", False, None, True),
        ("15-15=0，对", True, None, True),
        ("17-9=8，不对", False, None, True),
        ("15-15=0, yes", True, None, True),
        ("not 12", False, 12, False),
        ("不是12", False, 12, False),
        ("that is 12", True, 12, False),
        ("正好12", True, 12, False),
        ("no", False, None, False),
        ("对", True, None, False),
    ],
)
def test_verdicts_and_checks(line, affirms, number, check):
    verdict = read_line(line).verdict
    assert (verdict.affirms, verdict.number) == (affirms, number)
    assert (verdict.difference is not None) == check


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_word_of_the_corpus_is_known(language):
    for word in corpus.RECHECK_WORDS[language]:
        line = read_line(f"{word}12+5=17")
        assert line.recheck and line.parsed and line.verdict is None, word
    for word in corpus.STEP_WORDS[language]:
        line = read_line(f"{word}12+5=17")
        assert not line.recheck and line.parsed, word
    for words, affirms in ((corpus.FAIL_WORDS, False), (corpus.HIT_WORDS, True)):
        for word in words[language]:
            assert read_line(word.format(12)).verdict.affirms == affirms, word
    for word in corpus.TRAILING_WORDS[language]:
        assert read_line(word).trailing, word


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8), ("8.", 8), ("(3+5)-7", 1), ("3*4+2=14", 14), ("1/2", 0.5), ("-3", -3),
        (r"\frac{1}{2}", 0.5), ("1,000", 1000), ("2-3-4", -5), ("2*(3-(4-5))", 8),
    ],
)  # fmt: skip
def test_the_value_of_an_answer(text, value):
    assert value_of(text) == Fraction(value)


@pytest.mark.parametrize("text", ["", "x", "3+", "((3)", "__import__", "1/0", "3 4", "9" * 50])
def test_what_has_no_value(text):
    assert value_of(text) is None


def test_a_recheck_takes_the_place_of_its_step_and_a_verdict_ends_an_attempt():
    work = read_work("9+4=14\nwait, 9+4=13\n13-2=11\n15-11=4, no\nso 4+2=6\n9+6=15\n正好15")
    assert [len(attempt.steps) for attempt in work.attempts] == [2, 2]
    assert [step.result for step in work.steps] == [13, 11, 6, 15]
    assert not work.true, "a slip is a false sum, mended or not"
    assert work.last.verdict.affirms and not work.repeats and not work.broken_off
    assert read_work("5+7=12\n12-4=8\n5+7=12\n12-4=8").repeats
    assert read_work("5+7=12\n……").broken_off and read_work("5+7=12...").broken_off


def test_what_the_mini_world_writes_is_parsed():
    world = mini_world.build(0, 20, 20)
    digits = parsed = 0
    for document in itertools.islice(corpus.documents(world, 3), 5_000):
        lines = document.split("\n")
        for tag in TAGS:
            lines = [part for line in lines for part in line.split(tag)]
        for line in lines:
            # work only: no question and no bare answer
            if "=" in line:
                read = read_line(line)
                digits, parsed = digits + read.digits, parsed + (read.digits and read.parsed)
    assert digits > 5_000 and parsed / digits >= 0.99


@pytest.mark.parametrize(
    "text",
    [
        "1+" * 50_000, "1+1=2 " * 10_000, "=" * 100_000, "1 " * 50_000 + "=", "(" * 100_000,
        "<" * 100_000, "\\frac{" * 20_000, "9" * 100_000, "1=1" * 20_000, "x " * 50_000 + "=3",
        " " * 100_000 + "1=2", "1. " * 30_000 + "=", "1+1=" * 20_000, "answer is " * 10_000 + "1",
        "1+1=2\n" * 10_000, "a,b." * 25_000 + "=1+1",
    ],
)  # fmt: skip
def test_no_text_takes_long(text):
    gc.disable()  # what earlier tests left is not this text's time
    try:
        started = time.process_time()
        read_work(text)
        taken = time.process_time() - started
    finally:
        gc.enable()
    assert taken < 2
