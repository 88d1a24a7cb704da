import pandas as pd

from r1repro.reports import aha

BACK, PLAIN = "<think>3+4=8\nwait, 3+4=7</think>", "<think>3+4=7</think>"


def rows(texts: list[str], correct: list[bool], **columns: object) -> pd.DataFrame:
    plain = {
        "problem_id": [f"p{i}" for i in range(len(texts))],
        "task": "arithmetic",
        "language": "en",
    }
    return pd.DataFrame(plain | {"text": texts, "correct": correct} | columns)


def test_only_right_answers_count():
    found = rows([BACK, BACK, PLAIN], [True, False, True])
    assert list(aha.moments(found)) == [True, False, False]
    assert list(aha.moments(rows([None, BACK], [True, True]))) == [False, True]  # type: ignore[list-item]


def test_rates_stand_beside_those_of_step_0():
    before = rows([PLAIN] * 20, [True] * 20)
    after = rows([BACK] * 5 + [PLAIN] * 15, [True] * 10 + [False] * 10)
    table = aha.rates({"base": before, "r1_zero": after})
    assert table.columns == ("Base", "R1-Zero")
    every, right = table.rows
    assert every.cells[0].startswith("0.0") and every.cells[1].startswith("25.0")
    assert right.cells[1].startswith("50.0") and "[" in right.cells[1]
    assert "[0.0, 16." in every.cells[0], "no certainty from twenty answers"
    none_right = aha.rates({"base": rows([BACK], [False])})
    assert [row.cells for row in none_right.rows][1] == ("–",)


def test_the_first_of_each_family_and_language_is_listed_with_its_step():
    kept = rows(
        [PLAIN, BACK, BACK, BACK],
        [True] * 4,
        step=[1, 20, 10, 30],
        language=["en", "en", "en", "zh"],
    )
    found = aha.firsts(kept)
    assert list(found["step"]) == [10, 30]
    assert aha.firsts(kept.head(1)).empty
