import pandas as pd

from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.per_problem import reconsidered
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import aha
from tests.reports.made_up import evaluation

BACK, PLAIN = "<think>3+4=8\nwait, 3+4=7</think>", "<think>3+4=7</think>"

WORKED = {"sound": True, "unworked": False, "false_check": False, "coverage": 1.0,
          "mode": "right", "worked": True}  # fmt: skip


def rows(texts: list[str], correct: list[bool], **columns: object) -> pd.DataFrame:
    plain = {
        "problem_id": [f"p{i}" for i in range(len(texts))],
        "task": "arithmetic",
        "language": "en",
    }
    return pd.DataFrame(plain | {"text": texts, "correct": correct} | columns)


def test_only_right_answers_count():
    found = rows([BACK, BACK, PLAIN], [True, False, True])
    assert list(reconsidered(found)) == [True, False, False]
    assert list(reconsidered(rows([None, BACK], [True, True]))) == [False, True]  # type: ignore[list-item]


def answered(texts: list[str], correct: list[bool]) -> dict[str, Estimate]:
    """The measures of made-up answers with these texts, one sample a problem."""
    made = evaluation(0.5, problems=len(texts), samples=1)
    made["task"], made["text"], made["correct"] = "arithmetic", texts, correct
    return summarize(made, draws=200)


def test_rates_stand_beside_those_of_step_0():
    table = aha.rates({
        "base": answered([PLAIN] * 20, [True] * 20),
        "r1_zero": answered([BACK] * 5 + [PLAIN] * 15, [True] * 10 + [False] * 10),
    })  # fmt: skip
    assert table.columns == ("Base", "R1-Zero")
    every, right = table.rows
    assert every.label == "Arithmetic: Took a result back, then was right"
    assert every.cells[0].startswith("0.0") and every.cells[1].startswith("25.0")
    assert right.cells[1].startswith("50.0") and "[" in right.cells[1]
    assert "[0.0, 16." in every.cells[0], "no certainty from twenty answers"
    none_right = aha.rates({"base": answered([BACK], [False])})
    assert [row.cells for row in none_right.rows][1] == ("–",)


def test_the_first_of_each_family_and_language_is_listed_with_its_step():
    kept = rows(
        [PLAIN, BACK, BACK, BACK],
        [True] * 4,
        step=[1, 20, 10, 30],
        language=["en", "en", "en", "zh"],
        **WORKED,
    )
    found = aha.firsts(kept)
    assert list(found["step"]) == [10, 30]
    assert aha.firsts(kept.head(1)).empty
    assert aha.firsts(kept.assign(sound=[True, True, False, True]))["step"].tolist() == [20, 30]


def test_the_step_of_each_stands_by_seed():
    kept = rows([BACK] * 3, [True] * 3, step=[10, 20, 30], seed=["seed 0", "seed 1", "seed 1"])
    kept["language"] = ["en", "en", "zh"]
    table = aha.steps(kept)
    assert table.columns == ("seed 0", "seed 1")
    assert [(row.label, row.cells) for row in table.rows] == [
        ("Arithmetic, English", ("10", "20")),
        ("Arithmetic, Chinese", ("–", "30")),
    ]
