"""Soundness, clause by clause, and the failure modes of wrong answers."""

import itertools
import random
import re

import pytest

from r1repro.rewards import soundness
from r1repro.rewards.correctness import is_correct
from r1repro.rewards.soundness import judge, mode, passes, works_through
from r1repro.tasks import corpus, mini_world, prompting
from r1repro.tasks.problem import Problem
from r1repro.text.soundness import read_work
from r1repro.text.tags import END

CHAIN = Problem("arithmetic:5+7-8", "arithmetic", "en", 1, "Compute 5+7-8.", "4")
SEARCH = Problem("countdown:3,5,9=7", "countdown", "en", 1, "Use 9,3,5 to make 7.", "3,5,9=7")
OWN = Problem("own:1", "own", "en", 1, "How many are 3 packs of 5, less 2?", "13")


def tagged(*lines, answer):
    return "<think>" + "\n".join(lines) + f"</think><answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("problem", "lines", "answer", "sound"),
    [
        (CHAIN, ["5+7=12", "12-8=4"], "4", True),
        (CHAIN, ["first 7+5=12", "wait, 7+5=12", "then 12-8=4"], "4", True),
        (CHAIN, ["首先5+7=12", "再算12-8=4"], "4", True),
        (CHAIN, ["7+5=12", "12-8=4"], "4", True),
        (CHAIN, ["5-8=-3", "-3+7=4"], "4", True),  # addition commutes
        (CHAIN, ["7-8=-1", "5-1=4"], "4", False),  # uses a 1 that was not given
        (CHAIN, ["5+7-8=4"], "4", True),
        (CHAIN, ["12-8=4"], "4", False),  # 12 comes from nowhere
        (CHAIN, ["8-4=4"], "4", False),
        (CHAIN, ["5+7=12"], "12", False),
        (CHAIN, ["4*1=4"], "4", False),
        (CHAIN, ["5+7=13", "13-9=4"], "4", False),  # a false equation, then another number
        (CHAIN, ["5+7=13", "wait, 5+7=12", "12-8=4"], "4", False),  # corrected, but false once
        (CHAIN, ["5+7=12", "12-7=5"], "4", False),  # ends with another number
        (CHAIN, ["8-4=4"], "4", False),  # not the numbers given
        (CHAIN, ["5+7=12", "and so on"], "4", False),
        (CHAIN, ["5+7=12", "12-8=4", "by the 3 rules"], "4", False),  # an unread digit
        (CHAIN, ["The answer is 4"], "4", False),
        (CHAIN, ["5+7=12", "12-8=4"], "5", False),
        (SEARCH, ["9+3=12", "12-5=7", "7-7=0, yes"], "(9+3)-5", True),
        (SEARCH, ["9-5=4", "4-3=1", "7-1=6, no", "9+3=12", "12-5=7", "7-7=0，对"], "(9+3)-5", True),
        (SEARCH, ["9-5=4", "4-3=2", "7-2=5, no", "9+3=12", "12-5=7"], "(9+3)-5", False),
        (SEARCH, ["9-5=4", "4-3=1", "not 8", "9+3=12", "12-5=7"], "(9+3)-5", False),
        (SEARCH, ["9+3=12", "12-5=7", "7-7=0, no"], "(9+3)-5", False),  # the verdict is false
        (SEARCH, ["9-5=4", "4-3=1", "7-1=6, no"], "(9+3)-5", False),
        (OWN, ["3*5=15", "15-2=13"], "13", True),
        (OWN, ["3*5=14", "14-1=13"], "13", False),
    ],
)
def test_each_clause(problem, lines, answer, sound):
    assert judge(problem, tagged(*lines, answer=answer)).sound == sound


def test_an_answer_without_a_step_is_unworked():
    found = judge(CHAIN, "The answer is 4")
    assert found.unworked and not found.sound
    assert not judge(CHAIN, "The answer is 5").unworked, "only right answers count"


@pytest.mark.parametrize(
    ("lines", "false"),
    [
        (["9-5=4", "4-3=1", "7-1=6, no"], False),
        (["9-5=4", "4-3=1", "7-1=0, yes"], True),
        (["9-5=4", "4-3=1", "7-7=0, yes"], True),  # checks another number
        (["9-5=4", "4-3=1", "正好7"], True),
        (["9+3=12", "12-5=7", "that is 7"], False),
    ],
)
def test_a_check_that_affirms_what_is_false(lines, false):
    assert judge(SEARCH, tagged(*lines, answer="9-5-3")).false_check == false


@pytest.mark.parametrize(
    ("problem", "text", "wanted"),
    [
        (CHAIN, tagged("5+7=12", "12-8=4", answer="4"), "right"),
        (CHAIN, "The answer is 6", "guessed"),
        (CHAIN, tagged("5+7=12", "...", answer="10"), "gave up"),
        (CHAIN, tagged("5+7=13", "13-8=5", answer="5"), "false step"),
        (CHAIN, tagged("5+7=12", "12+8=20", answer="20"), "other"),
        (SEARCH, tagged("9-5=4", "4-3=1", "7-1=6, no", answer="(9-5)-3"), "gave up"),
        (SEARCH, "<think>9-5=4\n4-3=1\n7-1=6, no\n9-5=4\n4-3=1\n7-1=6, no\n", "repeated"),
        (SEARCH, "<think>9-5=4\n4-3=1\n7-1=6, no\n9-3=6\n", "unfinished"),
        (SEARCH, "9+5", "guessed"),
    ],
)
def test_what_became_of_an_answer(problem, text, wanted):
    right = is_correct(problem, text)
    assert mode(problem, text, right) == wanted
    assert (wanted == "right") == right
    assert works_through(problem, text) == (wanted not in ("guessed", "gave up"))


@pytest.mark.parametrize(
    ("problem", "text", "left"),
    [
        (CHAIN, tagged("5+7=12", "...", answer="10"), "<think>5+7=12\n"),
        (CHAIN, "<think>5+7=12\nThe answer is 12", "<think>5+7=12\n"),
        (CHAIN, tagged("5+7=12", "12-8=5", answer="5"), None),
        (CHAIN, "The answer is 6", ""),
        (SEARCH, tagged("9-5=4", "4-3=1", "not 7", answer="9-5"), "<think>9-5=4\n4-3=1\nnot 7\n"),
        (SEARCH, tagged("9-5=4", "4-3=1", answer="9-5-3"), "<think>9-5=4\n4-3=1\n"),
        (SEARCH, tagged("9+3=12", "12-5=7", answer="9+3-5"), None),
    ],
)
def test_where_work_was_given_up(problem, text, left):
    assert soundness.before_giving_up(problem, text) == left


def test_text_that_is_hardly_parsed_passes_unless_a_sum_is_false():
    """Most lines of data-set answers are prose."""
    prose = "There are 3 packs of 5 apples.\nSo 3*5=15 and then 15-2=13."
    assert passes(OWN, f"<think>{prose}</think><answer>13</answer>")
    assert not passes(OWN, f"<think>{prose.replace('=15', '=16')}</think><answer>13</answer>")
    assert judge(OWN, f"<think>{prose}</think><answer>13</answer>").coverage == 0.5
    assert not judge(OWN, f"<think>{prose}</think><answer>13</answer>").sound


@pytest.fixture(scope="module")
def world():
    return mini_world.build(0, 40, 200)


def test_the_lines_of_the_corpus_are_parsed(world):
    digits = parsed = 0
    for document in itertools.islice(corpus.documents(world, 1), 5_000):
        for question in document.split(END):
            asked, _, said = question.partition("\n")
            if re.search(r"\d[-+]\d|\d,\d", asked) and "=" not in asked:
                work = read_work(re.sub(r"</?(?:think|answer)>|Assistant:|助手：", "\n", said))
                # A bare answer is not work.
                bare = [line for line in work.lines if line.digits and not line.parsed]
                digits += work.digit_lines
                parsed += work.parsed_lines + sum(not line.sums for line in bare)
    assert digits > 5_000 and parsed / digits >= 0.99


def test_right_work_is_sound_and_no_changed_digit_is(world):
    rng = random.Random(0)
    seen = 0
    for problem in itertools.islice(world.train("sound"), 300):
        text = prompting.worked(rng, problem)
        if text is None:
            continue
        said = text.removeprefix(f"{problem.prompt}\n")
        assert judge(problem, said).sound, said
        seen += 1
        work = said[: said.rindex("\n")]
        places = [found.start() for found in re.finditer(r"\d(?=\n|$)", work)]
        for place in places:
            changed = str((int(said[place]) + rng.randint(1, 9)) % 10)
            assert not judge(problem, said[:place] + changed + said[place + 1 :]).sound
    assert seen > 200


def test_hostile_text_is_read_in_linear_time():
    for text in (
        "1+1=2\n" * 20_000,
        "1" * 100_000,
        "=" * 100_000,
        "(" * 100_000 + "=1",
        "1+" * 50_000 + "1=1",
        "a=" * 50_000,
    ):
        judge(CHAIN, text)
        judge(OWN, f"<think>{text}")


def test_every_mode_is_a_measure():
    from r1repro.evaluation.metrics import MEASURES, measure_of

    assert {measure_of(m) for m in soundness.MODES if m != "right"} <= MEASURES.keys()
