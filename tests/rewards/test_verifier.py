import json
import time

import pytest

from r1repro import cli
from r1repro.config import ROOT
from r1repro.errors import R1ReproError
from r1repro.rewards import verifier
from r1repro.rewards.math_answers import Group, Leaf, number, parse
from r1repro.rewards.verifier import Verifier, check_gold, quick, same
from r1repro.text.tags import marked_answer

pytest.importorskip("math_verify")
REAL = ROOT.parent / "shared" / "realdata"
HERE = pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not beside the checkout")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"<think>\boxed{1}</think> It is \boxed{2}.", "2"),
        (r"It is \boxed{\frac{1}{2}} or \boxed{ \{1, 2\} }.", r"\{1, 2\}"),
        ("<think>a</think><answer> 7 </answer>", "7"),
        (r"<think>a</think><answer>\boxed{7}</answer>", "7"),
        (r"<think>never ends \boxed{7}", None),
        (r"<think>\boxed{7}</think> so it is 7", None),
        (r"</think> \boxed{7", None),
        ("<answer>1</answer><answer>2</answer>", None),
        ("", None),
    ],
)
def test_an_answer_is_taken_from_its_mark_and_never_from_the_thinking(text, answer):
    assert marked_answer(text) == answer


def test_answers_are_read_as_trees():
    assert parse("(1, 2)") == Group("()", (Leaf("1"), Leaf("2")))
    assert parse(r"$\{1,2\}$").kind == "" and parse("1 and 2").kind == ""
    assert parse("[0, 1)").kind == "[)"
    assert parse("x = 3") == Leaf("3", "x") and parse("1,234") == Leaf("1234")
    assert parse("f(y) = 2y") == Leaf("2x", "f")
    assert number(r"-\frac{3}{6}") == number("-1/2") == number("-0.5")
    assert number("x") is None and number(r"\frac{1}{0}") is None


@pytest.mark.parametrize(
    ("gold", "answer", "equal"),
    [
        ("18", "18.0", True),
        ("1,234", "1234", True),
        (r"\frac{1}{2}", "0.5", True),
        (r"\dfrac12", r"\frac{1}{2}", True),
        (r"2\frac{1}{2}", "2.5", True),
        (r"\frac{\sqrt{2}}{2}", r"\frac{1}{\sqrt{2}}", True),
        ("(1,2)", "(2,1)", False),
        (r"\{1,2\}", "2, 1", True),
        ("(0,2),(0,-2)", "(0, -2), (0, 2)", True),
        ("(0,2),(0,-2)", "(0,2)", False),
        ("[0,1)", "[0,1]", False),
        ("(0,1)", "[0,1]", False),
        ("x=3", "3", True),
        ("f(x)=2x", "f(t)=2t", True),
        ("x=1,y=2", "y=2, x=1", True),
        ("x=1,y=2", "x=2,y=1", False),
        (r"5\text{ cm}", "5", True),
        (r"50\%", "50", True),
        (r"90^\circ", "90", True),
        (r"x^2-1", "(x-1)(x+1)", True),
        (r"x^2-1", "(x-1)^2", False),
        ("A", "B", False),
        ("AC", "BC", False),
        ("2x", "2y", False),
        (r"2^{100}", r"2^{100}-1", False),
        ("|x|", "x", False),
        (r"\sqrt{x^2}", "x", False),
        ("5", ".5", False),
        ("0.5", ".5", True),
        ("10 million", "10 thousand", False),
        ("7 factorial", "7", False),
        (r"\frac{1}{216}", "0.00", False),
        (r"\frac{600}{7}", "85.71", True),
        ("0.12", "0.1249", False),
        ("3.14159", "3.14", False),
        ("100", "10²", True),
        ("102", "10²", False),
        ("1/2", "½", True),
        ("7", "", False),
    ],
)
def test_notation_is_no_difference_and_values_are(gold, answer, equal):
    assert same(gold, answer) is equal


def test_hostile_answers_are_read_in_time():
    began = time.monotonic()
    for text in ("1" + " " * 1_990 + "2", "(" * 2_000, "{" * 2_000, "1," * 1_000, "for " * 500):
        quick("x", text)
        marked_answer(r"\boxed{" * 10_000 + text)
    assert time.monotonic() - began < 20


def test_plain_numbers_need_no_sympy():
    assert quick("18", r"\$18") is True and quick("18", "19") is False
    assert quick("x^2", "x*x") is None


def sleeps_at(pipe):
    """A worker that hangs on the power-tower answer."""
    pipe.send(True)
    while True:
        gold, answer = pipe.recv()
        time.sleep(1_000 if "9^{9" in answer else 0)
        pipe.send(same(gold, answer))


def test_what_hangs_costs_one_answer_and_is_counted(monkeypatch):
    golds = ["x+1", "x+1", "7", "x+1"]
    texts = ["1+x", "9^{9^{9^{9^{9}}}}!", "7", "x+2"]
    slow = "9^{9^{9^{9^{9}}}}!"
    monkeypatch.setattr(verifier, "_work", sleeps_at)
    with Verifier(workers=1, seconds=3.0) as pool:
        found = list(pool.grade(golds, texts, answer_only=True))
        assert [one.correct for one in found] == [True, False, True, False]
        assert pool.timeouts == 1 and found[1].reason == "no verdict within 3 s"
        assert found[1].extracted == slow
        began = time.monotonic()
        assert [v.correct for v in pool.grade(["x+1"], ["1+x"], answer_only=True)] == [True]
        assert time.monotonic() - began < 60


def test_a_gold_answer_that_holds_nothing_or_is_a_sentence_is_named():
    with pytest.raises(R1ReproError, match=r"file, row 2: the gold answer '\$\$' is empty"):
        check_gold("$$", "file, row 2")
    with pytest.raises(R1ReproError, match="file, row 3: .*twelve apples' is a sentence"):
        check_gold("The answer is twelve apples", "file, row 3")
    check_gold("The answer is twelve apples", "file, row 3", sentences=True)
    check_gold(r"\text{east}", "file, row 4")


def test_grade_writes_a_line_a_row(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    rows = [(7, r"<think>\boxed{8}</think>\boxed{7}"), (7, "<answer>8</answer>"), (7, "seven")]
    file.write_text("".join(json.dumps({"gold": g, "completion": t}) + "\n" for g, t in rows))
    assert cli.main(["grade", str(file)]) == 0
    written = capsys.readouterr()
    found = [json.loads(line) for line in written.out.splitlines()]
    assert [(row["correct"], row["extracted"], row["reason"]) for row in found] == [
        (True, "7", "equal"), (False, "8", "different"), (False, None, "no answer"),
    ]  # fmt: skip
    assert "correct: 1 of 3\n" in written.err and "a second" in written.err


def test_grade_takes_golds_as_data_sets_write_them_and_no_sentences(tmp_path, capsys):
    file = tmp_path / "a.jsonl"

    def written(*golds):
        rows = [{"gold": gold, "completion": "72"} for gold in golds]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    written("48+24 = <<48+24=72>>72 clips.\n#### 72", r"So it is \boxed{72}.", 72, "Monday")
    assert cli.main(["grade", str(file), "--answer-only"]) == 0
    assert "correct: 3 of 4\n" in capsys.readouterr().err
    written("72", "The answer is seventy two")
    assert cli.main(["grade", str(file)]) == 2
    written_out = capsys.readouterr()
    assert "row 2: the gold answer" in written_out.err and not written_out.out
    assert cli.main(["grade", str(file), "--answer-only"]) == 0
    assert "match only the same words: 1\n" in capsys.readouterr().err


@HERE
def test_gsm8k_model_solutions_are_judged_as_published():
    lines = (REAL / "gsm8k" / "example_model_solutions.jsonl").read_text("utf-8").split("\n")
    rows = [json.loads(line) for line in lines if line]
    golds, answers, wanted = [], [], []
    for row in rows:
        for found in row.values():
            if isinstance(found, dict):
                golds.append(row["ground_truth"].rsplit("A:", 1)[1])
                answers.append(found["solution"].rpartition("A:")[2])
                wanted.append(found["is_correct"])
    with Verifier() as pool:
        judged = [one.correct for one in pool.grade(golds, answers, answer_only=True)]
    assert len(judged) == 4 * 1_319
    assert judged == wanted


@HERE
def test_hard_answers():
    rows = json.loads((REAL / "verifier" / "hardverify_dev.json").read_text("utf-8"))
    golds = [row["ground_truth"] for row in rows]
    with Verifier() as pool:
        accepted, wrong = (
            sum(v.correct for v in pool.grade(golds, [row[name] for row in rows], answer_only=True))
            for name in ("fn_output", "tn_output")
        )
    assert wrong / len(rows) <= 0.015
    assert accepted / len(rows) >= 0.75
