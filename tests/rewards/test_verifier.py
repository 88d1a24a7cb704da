import json
import time

import pytest

from r1repro import cli
from r1repro.errors import R1ReproError
from r1repro.rewards import verifier
from r1repro.rewards.math_answers.comparison import EQUAL, compare
from r1repro.rewards.math_answers.expressions import expression
from r1repro.rewards.math_answers.notation import clean
from r1repro.rewards.math_answers.parsing import read
from r1repro.rewards.math_answers.values import exact
from r1repro.rewards.verifier import Verifier, check_gold, quick
from r1repro.text.tags import marked_answer


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
    def parse(answer):
        return read(clean(answer))

    pair, listed = parse("(1, 2)"), parse("1 and 2")
    assert (pair.kind, [part.text for part in pair.parts]) == ("()", ["1", "2"])
    assert parse(r"$\{1,2\}$").kind == "{}" and listed.kind == "" and len(listed.parts) == 2
    assert parse("[0, 1)").kind == "[)"
    assert (parse("x = 3").text, parse("x = 3").name) == ("3", "x")
    assert exact(parse("1,234").tree) == 1234
    assert parse("f(y) = 2y").tree == parse("f(x) = 2x").tree and parse("f(y) = 2y").name == "f"
    assert (
        exact(expression(r"-\frac{3}{6}")) == exact(expression("-1/2")) == exact(expression("-0.5"))
    )
    assert exact(expression("x")) is None and exact(expression(r"\frac{1}{0}")) is None


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
        ("0.12", "0.1249", False),
        ("3.14159", "3.14", False),
        ("100", "10²", True),
        ("102", "10²", False),
        ("1/2", "½", True),
        ("7", "", False),
    ],
)
def test_notation_is_no_difference_and_values_are(gold, answer, equal):
    assert (compare(gold, answer) == EQUAL) is equal


def test_hostile_answers_are_read_in_time():
    began = time.monotonic()
    for text in ("1" + " " * 1_990 + "2", "(" * 2_000, "{" * 2_000, "1," * 1_000, "for " * 500):
        quick("x", text)
        marked_answer(r"\boxed{" * 10_000 + text)
    assert time.monotonic() - began < 20


def sleeps_at(pipe):
    """A worker that hangs on the power-tower answer."""
    pipe.send(True)
    while True:
        gold, answer, _ = pipe.recv()
        time.sleep(1_000 if "9^{9" in answer else 0)
        pipe.send(compare(gold, answer))


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
    assert "correct: 1 of 3; lenient, " in written.err and "a second" in written.err


def test_grade_takes_golds_as_data_sets_write_them_and_no_sentences(tmp_path, capsys):
    file = tmp_path / "a.jsonl"

    def written(*golds):
        rows = [{"gold": gold, "completion": "72"} for gold in golds]
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    written("48+24 = <<48+24=72>>72 clips.\n#### 72", r"So it is \boxed{72}.", 72, "Monday")
    assert cli.main(["grade", str(file), "--answer-only"]) == 0
    headline = "correct: 3 of 4; lenient, with rounding that is not asked for: 3 of 4\n"
    assert headline in capsys.readouterr().err
    written("72", "The answer is seventy two")
    assert cli.main(["grade", str(file)]) == 2
    written_out = capsys.readouterr()
    assert "row 2: the gold answer" in written_out.err and not written_out.out
    assert cli.main(["grade", str(file), "--answer-only"]) == 0
    assert "match only the same words: 1\n" in capsys.readouterr().err
