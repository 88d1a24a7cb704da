"""The notebooks' small worked examples."""

import math

import pandas as pd
import pytest

from r1repro.config import compose
from r1repro.reports import teaching
from r1repro.tasks.problem import Problem
from r1repro.tasks.tokenizer import train as train_tokenizer


def test_three_completions_earn_what_the_rules_pay():
    chain = Problem("arithmetic:12+7-3", "arithmetic", "en", 1, "What is 12+7-3?", "16")
    table = teaching.rewards(chain, compose().stage.r1_zero)
    assert table["completion"][0] == "<think>12+7=19\n19-3=16</think><answer>16</answer>"
    assert table["accuracy"].tolist() == [1, 0, 0]
    assert table["format"].tolist() == [1, 0, 0]
    high, *low = table["advantage"]
    assert high == pytest.approx(2 / math.sqrt(3), abs=1e-3) and low[0] == low[1] < 0


def test_the_loss_covers_the_completion_and_its_end():
    tokenizer = train_tokenizer(["Compute 12+7-3. <think>12+7=19</think>"] * 3)
    table = teaching.loss_mask(tokenizer, "Compute 12+7-3. ", "<think>19</think>")
    assert "".join(table["token"]) == "Compute 12+7-3. <think>19</think>" + tokenizer.eos_token
    assert "".join(table[table["trained"]]["token"]).startswith("<think>19")
    assert (table["label"] == -100).tolist() == (~table["trained"]).tolist()
    assert table["label"].iloc[-1] == tokenizer.eos_token_id


def test_the_loss_of_a_pair():
    rows = [("b", "train", 9.0, 0.0), ("a", "held out", 1.0, -1.0), ("c", "held out", 0.0, 5.0)]
    pairs = pd.DataFrame(rows, columns=["problem_id", "split", "score_chosen", "score_rejected"])
    value = teaching.bradley_terry(pairs)["value"]
    assert value["difference"] == 2 and value["loss = -log P"] == pytest.approx(0.126928, abs=1e-6)
    assert teaching.bradley_terry(pairs.iloc[:1]).empty


def test_the_samples_of_the_question_with_the_most_fates():
    rows = [
        ("a", 0, "", "x"), ("a", 1, "", "y"), ("b", 0, "wrong answer", "u"), ("b", 1, "", "v"),
        ("b", 2, "unsound reasoning", "w"),
    ]  # fmt: skip
    samples = pd.DataFrame(rows, columns=["problem_id", "sample", "dropped", "text"])
    table = teaching.one_question(samples.assign(language="en"))
    assert table["fate"].tolist() == ["wrong answer", "kept", "unsound reasoning"]
    assert table["text"].tolist() == ["u", "v", "w"] and table.index.tolist() == [0, 1, 2]


def test_completions_are_escaped_and_whole():
    text = "<script>alert(1)</script>" + "1+1=2\n" * 40
    page = teaching.shown(pd.DataFrame({"completion": [text], "advantage": [0.5]})).to_html()
    assert "<script>" not in page and "&lt;script&gt;" in page and page.count("1+1=2") == 40
    assert "+0.50" in page


def test_tokens_are_quoted_escaped_and_rounded():
    table = pd.DataFrame({"token": ["<b>", " ", "不"], "ratio": [1.44770, -1e-8, 2.0]})
    shown = teaching.tokens(table).to_html()
    assert ">&#39;&lt;b&gt;&#39;<" in shown and ">&#39; &#39;<" in shown
    assert "1.448" in shown and "0.000" in shown and "-0.000" not in shown and "不" in shown
