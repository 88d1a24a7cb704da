import json
import time

from r1repro.config import ROOT
from r1repro.evaluation.decontaminate import NGRAM, Overlap, overlaps, pieces

AIME = ROOT / "tests" / "data"
LONG = (
    "Ann has three boxes with seven red apples each and gives away four of them; how many are left?"
)


def test_what_is_written_otherwise_is_the_same():
    other = LONG.upper().replace("SEVEN", "$seven$").replace("?", " ?")
    assert overlaps([other], [LONG]) == [Overlap(0, 0, "exact", 1.0)]


def test_one_shared_phrase_is_no_overlap():
    opening = " ".join(LONG.split()[:NGRAM])
    other = f"{opening} and then buys as many more as Bob has in his two baskets; count them all."
    assert overlaps([other], [LONG]) == []
    longer = f"Here is one: {LONG} Answer with a number."
    (found,) = overlaps([longer], ["another question", LONG])
    assert (found.evaluation, found.evidence, found.share) == (1, "ngrams", 1.0)


def test_short_texts_are_compared_whole():
    assert overlaps(["2 + 2 = ?"], ["2 + 2 = ?", "3 + 3 = ?"]) == [Overlap(0, 0, "exact", 1.0)]
    assert overlaps(["2 + 3 = ?"], ["2 + 2 = ?"]) == []
    assert overlaps(["If 3x+5=20, what is the value of x?"], ["What is the value of x?"]) == []
    assert overlaps(["Compute (2+3)*4."], ["Compute 2+(3*4)."]) == []
    assert overlaps(["What is 1.5?"], ["What is (1, 5)?"]) == []
    assert overlaps([], [LONG]) == overlaps([LONG], []) == []


def test_hostile_text_takes_linear_time():
    began = time.monotonic()
    pieces("[asy]" * 40_000)
    pieces("[asy]" * 20_000 + "[/asy]")
    assert time.monotonic() - began < 20


def test_chinese_is_read_by_characters():
    assert pieces("先算 $3+4$，再乘2。") == ["先", "算", "3", "+", "4", "再", "乘", "2"]
    asked = "小明有三个盒子，每个盒子里有七个苹果，他送出四个，还剩多少个？"
    assert overlaps([f"请回答：{asked}"], [asked])[0].evidence == "ngrams"


def test_the_fourteen_rows_of_aime_and_none_other():
    held = [row["problem"] for row in json.loads((AIME / "aime24.json").read_text("utf-8"))]
    lines = (AIME / "aime_2021_2024.jsonl").read_text("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    found = overlaps([row["question"] for row in rows], held)
    assert sorted(rows[one.train]["id"] for one in found) == sorted(
        row["id"] for row in rows if row["id"].startswith("2024-II")
    )
    assert len(found) == 14
