"""The editor's deletions, moves and translations on hand-written samples."""

import inspect
import json
import random

import pytest

from r1repro.config import ROOT
from r1repro.tasks import corpus, rewriting
from r1repro.tasks.rewriting import rewrite, tagged, tidied, translated
from r1repro.text.tags import read

DATA = ROOT / "tests" / "data"


def _thinking(*lines, answer="8"):
    return "<think>" + "\n".join(lines) + f"</think><answer>{answer}</answer>"


def test_a_tidy_sample_only_gets_its_summary():
    edited = rewrite(_thinking("5+7=12", "12-4=8"), "en")
    assert edited.text == "<think>5+7=12\n12-4=8</think>So 5+7=12, 12-4=8. <answer>8</answer>"
    assert read(edited.text).format_valid


@pytest.mark.parametrize(
    ("line", "language", "wanted"),
    [
        ("15-12=3，不对", "en", "15-12=3, no"),
        ("15-12=3, no", "zh", "15-12=3，不对"),
        ("15-15=0，对", "en", "15-15=0, yes"),
        ("15-15=0, yes", "zh", "15-15=0，对"),
        ("然后20-5=15", "en", "then 20-5=15"),
        ("first 20-5=15", "zh", "首先20-5=15"),
        ("wait, 20-5=15", "zh", "等等，20-5=15"),
        ("检查：20-5=15", "en", "check: 20-5=15"),
        ("不是12", "en", "not 12"),
        ("that is 12", "zh", "正好12"),
        ("so 3+4=7", "en", "so 3+4=7"),
        ("3*4=12", "zh", "3*4=12"),
    ],
)
def test_small_words_are_translated(line, language, wanted):
    assert translated(line, language) == wanted


def test_whatever_the_corpus_says_about_a_sum_is_in_the_dictionary():
    """Every connecting word of the corpus has a counterpart in the other language."""
    for table in (corpus.STEP_WORDS, corpus.RECHECK_WORDS, corpus.FAIL_WORDS, corpus.HIT_WORDS):
        for language, other in (("en", "zh"), ("zh", "en")):
            for word in table[other]:
                said = translated(f"{word.format(7)}3+4=7", language)
                wrong = {"en": corpus.STEP_WORDS["zh"], "zh": corpus.STEP_WORDS["en"]}[language]
                assert not any(w.strip() in said for w in wrong), said
                assert said.isascii() == (language == "en"), said


def test_an_attempt_made_before_goes_whatever_its_words():
    edited = rewrite(
        _thinking(
            "9+4=13", "13-2=11", "12-11=1, no",
            "then 9+4=13", "13-2=11", "12-11=1，不对",
            "9-4=5", "5+2=7", "12-7=5, no",
            "4+2=6", "6+9=15", "15-15=0, yes",
            answer="(4+2)+9",
        ),
        "en",
    )  # fmt: skip
    assert edited.thinking.count("9+4=13") == 1
    assert edited.thinking.count(", no") == 2
    assert edited.summary == "So 4+2=6, 6+9=15. "


def test_the_attempt_the_answer_comes_from_stays_even_if_made_before():
    attempt = ("9+4=13", "13-2=11", "11-11=0, yes")
    edited = rewrite(_thinking(*attempt, *attempt, answer="(9+4)-2"), "en")
    assert edited.thinking.count("9+4=13") == 2


def test_lines_that_say_nothing_and_stray_tags_go():
    edited = rewrite(_thinking("", "<think>5+7=12", "banana", "12-4=8"), "en")
    assert edited.thinking == "5+7=12\n12-4=8"


def test_nothing_left_is_no_example():
    assert rewrite("<think>banana</think><answer>8</answer>", "en") is None
    assert rewrite("5+3=8", "en") is None
    assert rewrite("", "zh") is None


@pytest.mark.parametrize(
    ("said", "added"),
    [
        ("<think>5+7</think>It is $\\boxed{\\frac{1}{2}}$.\n", "\n<answer>\\frac{1}{2}</answer>"),
        ("<think>5+7</think>It is <answer>12</answer>", ""),
        ("<think>so \\boxed{12}</think>It is 12.", ""),
        ("<think>so \\boxed{12}", ""),
    ],
)
def test_a_boxed_answer_is_put_in_the_tag_unless_it_is_there(said, added):
    """A box within the thinking is not an answer."""
    assert tagged(said) == (said.rstrip() + added if added else said)
    if added:
        assert read(tagged(said)).format_valid


@pytest.mark.parametrize("trailing", ["...", "and so on", "……", "如此类推"])
def test_work_that_was_broken_off_is_dropped_and_not_mended(trailing):
    assert rewrite(_thinking("5+7=12", trailing, answer="12"), "en") is None
    assert rewrite(_thinking("5+7=12", trailing, answer="8"), "zh") is None


def test_work_that_comes_to_another_answer_is_dropped():
    assert rewrite(_thinking("5+7=12", "12-4=8", answer="9"), "en") is None
    attempt = ("9+4=13", "13-2=11", "12-11=1, no")
    assert rewrite(_thinking(*attempt, answer="(9+4)-1"), "en") is None


def test_a_false_sum_is_in_no_summary():
    edited = rewrite(_thinking("5+7=13", "13-4=9", answer="9"), "en")
    assert edited.summary == "So 13-4=9. "
    assert rewrite(_thinking("5+7=13", answer="13"), "en") is None


def test_the_editor_knows_no_solution():
    """A wrong answer that follows from the work is kept; filters check correctness."""
    assert rewrite(_thinking("5+7=12", answer="12"), "zh").summary == "所以5+7=12。"
    parameters = inspect.signature(rewrite).parameters
    assert set(parameters) == {"text", "language"}
    assert not any(name in vars(rewriting) for name in ("arithmetic", "countdown", "solves"))


def test_hostile_text_is_only_text():
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(rng.choice("<think>/answer 3+4=7\n不对，no‮") for _ in range(300))
        edited = rewrite(text, "en")
        assert edited is None or edited.text.startswith("<think>")


def test_display_mathematics_keeps_its_delimiters():
    """Only a line that repeats the one before it goes; a matrix may have two equal rows."""
    blocks = ["\\[\nx = 5 + 7\n\\]", "$$\nx = 12\n$$", "$$\ny = 12\n$$"]
    matrix = "\\begin{pmatrix}\n1 & 1 \\\\\n1 & 1 \\\\\n\\end{pmatrix}"
    text = "\n".join(["We add:", blocks[0], "then", "then", blocks[1], blocks[2], "then", matrix])
    edited = tidied(f"<think>{text}\n\nSo it is 12.</think>\n<answer>12</answer>", "en")
    assert edited.thinking == text.replace("then\nthen", "then") + "\nSo it is 12."
    assert edited.summary == "So it is 12."


@pytest.mark.parametrize(
    ("thinking", "summary"),
    [
        ("Anna is 17 - 15 = 2. Together they are 17 + 2 = 19.", "Together they are 17 + 2 = 19."),
        ("It costs 2.50. So 4 cost 10.00, or 19 less 9. Done.", "So 4 cost 10.00, or 19 less 9."),
        ("He has 3. No name is given.", "No name is given."),
        ("He had 1. Now 19! Mr. Li agrees.", "Now 19!"),
        ("In total Mr. Smith has 19.", "So the answer is 19."),
        ("He sold 20. In total Mr. Smith has 19.", "In total Mr. Smith has 19."),
        ("1. Anna has 5. 2. So 5 + 14 = 19. 3. Done.", "So 5 + 14 = 19."),
        ("5 + 14 = 19. The shop sold 190 more.", "5 + 14 = 19."),
        ('He said "it is 19." Done.', 'He said "it is 19."'),
        ("17 + 2 = 19", "So the answer is 19."),
        ("先算17-15=2。再算17+2=19。", "再算17+2=19。"),
        ("他说“是19。”完。", "他说“是19。”"),
        ("17+2=19。", "所以答案是19。"),
    ],
)
def test_a_summary_is_one_sentence_of_a_thought_in_one_line(thinking, summary):
    language = "zh" if summary.endswith(("。", "”")) else "en"
    edited = tidied(f"<think>{thinking}</think><answer>19</answer>", language)
    assert (edited.thinking, edited.summary) == (thinking, summary)


def test_a_summary_finds_a_large_number():
    text = "<think>It costs 3 * 400 = $1,200. Then 19 are left.</think><answer>1200</answer>"
    assert tidied(text, "en").summary == "It costs 3 * 400 = $1,200."


def test_a_summary_is_a_whole_block():
    edited = tidied("<think>Then\n\\[\n5 + 7 = 12\n\\]\nis clear.</think><answer>12</answer>", "en")
    assert edited.summary == "\\[\n5 + 7 = 12\n\\]"


def test_the_display_mathematics_of_r1_is_kept():
    for row in json.loads((DATA / "r1_traces.json").read_text("utf-8")):
        said = tagged(f"<think>{row['message_content']}</think>{row['message_content']}")
        thinking = tidied(said, "en").thinking
        for mark in ("\\[", "\\]", "\\(", "\\)"):
            assert thinking.count(mark) == row["message_content"].count(mark)
