"""Which rows of one file are in another, and by which evidence."""

import json
import time

import pytest

from r1repro.config import ROOT
from r1repro.text.overlap import NGRAM, Overlap, copies, overlaps
from r1repro.text.wording import wording

DATA = ROOT / "tests" / "data"
LONG = (
    "Ann has three boxes with seven red apples each and gives away four of them; how many are left?"
)
BAG = (
    "A bag holds 3 red, 4 green and 5 blue balls. Two balls are drawn at random without "
    "replacement. What is the probability that both balls have the same colour?"
)
STEPS = "Let's think step by step and output the final answer "
WRAPPED = (
    "Solve the following math problem step by step. The last line of your response should be of "
    "the form Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n{}\n"
    '\nRemember to put your answer on its own line after "Answer:".'
)


def rows(name, field="problem"):
    lines = (DATA / name).read_text("utf-8").split("\n")
    return [json.loads(line)[field] for line in lines if line]


def found(train, evaluation):
    return [(one.train, one.evaluation, one.evidence) for one in overlaps(train, evaluation)]


def test_what_is_written_otherwise_is_the_same():
    other = LONG.upper().replace("SEVEN", "$seven$").replace("?", " ?")
    assert overlaps([other], [LONG]) == [Overlap(0, 0, "exact", 1.0)]


def test_one_shared_phrase_is_no_overlap():
    opening = " ".join(LONG.split()[:NGRAM])
    other = f"{opening} and then buys as many more as Bob has in his two baskets; count them all."
    assert overlaps([other], [LONG]) == []
    longer = f"Here is one: {LONG} Answer with a number."
    assert overlaps([longer], ["another question", LONG]) == [Overlap(0, 1, "exact", 1.0)]


def test_short_texts_are_compared_whole():
    assert overlaps(["2 + 2 = ?"], ["2 + 2 = ?", "3 + 3 = ?"]) == [Overlap(0, 0, "exact", 1.0)]
    assert overlaps(["2 + 3 = ?"], ["2 + 2 = ?"]) == []
    assert overlaps(["If 3x+5=20, what is the value of x?"], ["What is the value of x?"]) == []
    assert overlaps(["Let 3x+5=20. What is the value of x?"], ["What is the value of x?"]) == []
    assert overlaps(["Compute (2+3)*4."], ["Compute 2+(3*4)."]) == []
    assert overlaps(["What is 1.5?"], ["What is (1, 5)?"]) == []
    assert overlaps(["Find f'(2)."], ["Find f(2)."]) == []
    assert overlaps([], [LONG]) == overlaps([LONG], []) == overlaps(["?"], ["!"]) == []


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (r"Compute \(\sin 60^\circ\).", r"Compute $\sin 60^\circ$."),
        ("Compute $\\sin 60°$.", r"Compute $\sin 60^{\circ}$."),
        (r"Compute $\tan 225^\circ .$", r"Compute $\tan 225^\circ.$"),
        (r"Find $\dfrac12 + \left(\tfrac{1}{3}\right)$", r"Find $\frac{1}{2} + (\frac{1}{3})$."),
        ("Simplify x² ≤ 3·π", r"Simplify $x^2 \leq 3 \cdot \pi$"),
        (r"What is $10,\!080 + 1{,}000$?", "What is 10080 + 1,000?"),
    ],
)
def test_signs_of_one_meaning_are_one(ours, theirs):
    assert wording(ours).pieces == wording(theirs).pieces
    assert found([ours], [theirs]) == [(0, 0, "exact")]


@pytest.mark.parametrize(
    "wrapped",
    [
        "1. {}", "Problem 12: {}", "Question: {}\nAnswer: 19/66", "{} (A) 19/66 (B) 1/3 (C) 1/4",
        f"{{}} {STEPS}within \\boxed{{{{}}}}.", WRAPPED, "<|im_start|>user\n{}<|im_end|>",
        "[INST] {} [/INST]",
    ],
)  # fmt: skip
@pytest.mark.parametrize("asked", [BAG, r"Compute $\tan 60^\circ$.", r"Evaluate $\log_2 (4^2)$."])
def test_a_problem_among_instructions_numbers_choices_or_its_answer_is_that_problem(wrapped, asked):
    assert found([wrapped.format(asked)], ["What is 2+2?", asked]) == [(0, 1, "exact")]
    assert found([asked], ["What is 2+2?", wrapped.format(asked)]) == [(0, 1, "exact")]
    assert found([wrapped.format(r"Compute $\cot 60^\circ$.")], [asked]) == []


def test_the_evidence_says_in_which_way():
    marbles = BAG.replace("balls", "marbles").replace("colour", "color")
    assert found([marbles], [BAG]) == [(0, 0, "edited")]
    other = BAG.replace("3 red, 4 green", "6 red, 7 green")
    assert found([other], [BAG]) == [(0, 0, "numbers")]
    swapped = BAG.replace("3 red, 4 green", "4 red, 3 green")
    assert found([swapped], [BAG]) == [(0, 0, "numbers")], "the same numbers in another order"
    shown = "Show all of your work and write the answer as a whole number with no units after it."
    one, two = f"Solve for x: 3x + 5 = 20. {shown}", f"Solve for y: 7y - 2 = 47. {shown}"
    assert found([one], [two]) == [(0, 0, "phrase")]
    assert copies([marbles, other, swapped, one], [BAG, two]) == {0}


@pytest.mark.parametrize(
    "shared",
    [WRAPPED, "{} " + STEPS + 'after "####".', "Q: {} A:", "Please solve the task below {}"],
)
def test_an_instruction_that_all_rows_share_is_no_evidence(shared):
    """The data sets are of several hundred rows; three rows are as good."""
    ours = [shared.format(text) for text in rows("gsm8k_train.jsonl", "question")]
    theirs = [shared.format(text) for text in rows("gsm8k_test.jsonl", "question")]
    assert found(ours, theirs) == found(ours[:3], theirs[:3]) == []
    assert found([*ours, theirs[7]], theirs) == [(len(ours), 7, "exact")]
    assert found([*ours, rows("gsm8k_test.jsonl", "question")[7]], theirs) == [
        (len(ours), 7, "exact")
    ]


@pytest.mark.parametrize(
    "shared", [WRAPPED, "{} " + STEPS + "within \\boxed{{}}.", "7. {}", "12. {}\nAnswer: 5"]
)
@pytest.mark.parametrize("name", ["math500.jsonl", "math500_short.jsonl"])
def test_short_problems_are_found_in_their_wrapping(shared, name):
    held = rows(name)
    ours = [shared.format(text) for text in held]
    assert copies(ours, held) == set(range(len(held)))


def test_hostile_text_takes_linear_time():
    began = time.monotonic()
    for unit in ("[asy]", "\\frac", "a.\n", "answer:", "{,}", "1,000", "<a", "** ", "\\begin{a"):
        wording(unit * 40_000)
    wording("[asy]" * 20_000 + "[/asy]")
    overlaps(["a " * 50_000], ["a " * 50_000, "a. " * 20_000])
    assert time.monotonic() - began < 20


def test_chinese_is_read_by_characters():
    assert wording("先算 $3+4$，再乘2。").plain == ("先", "算", "3", "+", "4", "再", "乘", "2")
    asked = "小明有三个盒子，每个盒子里有七个苹果，他送出四个，还剩多少个？"
    assert found([f"请回答：{asked}"], [asked]) == [(0, 0, "exact")]
    assert found([asked.replace("盒子", "箱子")], [asked])[0][2] == "edited"


def test_the_fourteen_rows_of_aime_and_none_other():
    held = [row["problem"] for row in json.loads((DATA / "aime24.json").read_text("utf-8"))]
    asked = rows("aime_2021_2024.jsonl", "question")
    names = rows("aime_2021_2024.jsonl", "id")
    same = {names[row] for row in copies(asked, held)}
    assert same == {name for name in names if name.startswith("2024-II")} and len(same) == 14


@pytest.mark.parametrize("shared", ["{}", "{} " + STEPS + 'after "####".'])
def test_gsm8k_with_an_instruction_has_no_more_overlap_than_without(shared):
    """The three rows of its training set that differ from a test row in their numbers only."""
    train, test = (
        [
            shared.format(text)
            for text in [*rows("gsm8k_alike.jsonl", part), *rows(f"gsm8k_{part}.jsonl", "question")]
        ]
        for part in ("train", "test")
    )
    assert found(train, test) == [(0, 0, "numbers"), (1, 1, "numbers"), (2, 1, "numbers")]


def test_rows_of_one_template_take_no_time_and_are_told_apart_by_their_numbers():
    asked = (
        "Using the numbers [{}, {}, {}], create an equation that equals {}. You can use basic "
        "arithmetic operations and each number can only be used once."
    )
    held = [asked.format(n, n + 1, n + 2, n + 9) for n in range(1_000)]
    began = time.monotonic()
    ours = [asked.format(n, n + 1, n + 2, n + 9) for n in range(500, 3_500)]
    assert copies(ours, held) == set(range(500))
    assert time.monotonic() - began < 20
