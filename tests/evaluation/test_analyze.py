import json
import time

import pytest

from r1repro.config import ROOT
from r1repro.evaluation.analyze import FIELDS, Tags, analyze, parts, summary

R1 = Tags(answer=None)
DATA = ROOT / "tests" / "data"


@pytest.mark.parametrize(
    ("text", "thinking", "answer", "valid"),
    [
        ("<think>a b</think><answer>7</answer>", "a b", "7", True),
        ("<think>a b</think>\n\n<answer> 7 </answer>\n", "a b", "7", True),
        ("<think>a b</think>\nso\n<answer>7</answer>", "a b", "7", False),
        ("a b</think><answer>7</answer>", "a b", "7", True),  # the tag was in the prompt
        ("<think> </think><answer>7</answer>", " ", "7", False),
        ("<think>a</think><answer></answer>", "a", None, False),
        ("<think>a</think><answer>7</answer> more", "a", "7", False),
        ("<think>a</think><answer>7</answer><answer>8</answer>", "a", None, True),
        (
            "<think>a <answer>7</answer> b</think><answer>8</answer>",
            "a <answer>7</answer> b",
            "8",
            True,
        ),
        ("<think>a <answer>7</answer></think>", "a <answer>7</answer>", None, False),
        ("<think>a</think>b</think><answer>7</answer>", "a</think>b", "7", True),
        ("so <think>a</think><answer>7</answer>", "a", "7", False),
        ("<answer>7</answer>", None, "7", False),
        (r"<think>a \boxed{1}</think>It is \boxed{3}.", r"a \boxed{1}", "3", False),
        (r"So it is \boxed{3}.", None, "3", False),
        (r"<think>\boxed{3}</think>and <answer>", r"\boxed{3}", None, False),
        (r"<think>never \boxed{3} ends", None, None, False),
        ("<think>never ends", None, None, False),
        ("<think>try <answer>7</answer> no", None, None, False),
        ("", None, None, False),
    ],
)
def test_parts_of_a_completion(text, thinking, answer, valid):
    found = parts(text, Tags())
    assert (found.thinking, found.answer, found.valid) == (thinking, answer, valid)


def test_end_tokens_are_no_text():
    file = DATA / "files" / "format" / "input.jsonl"
    texts = [json.loads(line)["completion"] for line in file.read_text("utf-8").split("\n") if line]
    valid = [number for number, text in enumerate(texts, 1) if parts(text, Tags()).valid]
    assert {1, 2, 3, 4, 5, 8, 16} <= set(valid) and not {9, 11, 12, 13} & set(valid)


def test_other_tags_and_none():
    other = Tags(("<reasoning>", "</reasoning>"), ("<solution>", "</solution>"))
    found = parts("<reasoning>a</reasoning><solution>7</solution>", other)
    assert (found.thinking, found.answer, found.valid) == ("a", "7", True)
    assert not parts("<think>a</think><answer>7</answer>", other).valid
    found = parts(r"<think>a \boxed{1}</think>So \boxed{\frac{1}{2}}, or \boxed{ x^{2} }.", R1)
    assert (found.answer, found.valid) == ("x^{2}", True)
    assert parts(r"<think>a \boxed{1}</think>So 2.", R1).answer is None, "never the thinking"
    assert parts(r"<think>so \boxed{7} but wait", R1).answer is None, "nor from what has no end"
    assert parts(r"<think>a</think>\boxed{" + "{" * 100_000, R1).answer is None


def test_every_field_of_a_row():
    row = analyze("<think>wait, add 先算</think><answer>7</answer>", Tags(), "en")
    assert tuple(row) == FIELDS
    assert row["reflection_count"] == 1 and row["mixed"] and row["words"] == 4
    assert row["language_share"] == 0.5 and row["think_chars"] == 12
    assert row["reflection_per_1k_words"] == 250.0
    assert analyze("先算 3 + 4", Tags())["language_share"] == 1.0
    bare = analyze("3 + 4 = 7", Tags(), "zh")
    assert bare["language_share"] is None and bare["reflection_per_1k_words"] is None


def test_a_summary_counts_what_has_the_figure():
    rows = [analyze(text, Tags(), "en") for text in ("3 + 4 = 7", "<think>so</think>7")]
    found = summary(rows)
    assert summary([analyze("wait", Tags()), analyze("so " * 79, Tags())])[
        "reflection_per_1k_words"
    ] == pytest.approx(12.5)
    assert found["rows"] == 2 and found["language_share"] == 1.0 and found["with_answer"] == 0.0
    assert summary([]) == {"rows": 0}


@pytest.mark.parametrize("piece", ["<think>", "</think>", "<answer>", "\\boxed{", "(", "wait "])
def test_hostile_text_takes_linear_time(piece):
    began = time.monotonic()
    analyze(piece * (100_000 // len(piece)), Tags())
    analyze(piece * (100_000 // len(piece)), R1)
    assert time.monotonic() - began < 20


def test_samples_of_a_real_run_and_of_r1():
    file = DATA / "r1zero_samples.txt"
    samples = [s.strip() for s in file.read_text(encoding="utf-8").split("==============\n")]
    samples = [sample for sample in samples if sample]
    assert len(samples) == 108
    assert sum(analyze(sample, Tags())["format_valid"] for sample in samples) == 43
    traces = json.loads((DATA / "r1_traces.json").read_text("utf-8"))
    for trace in traces:
        text = f"{trace['message_thinking']}</think>{trace['message_content']}"
        row = analyze(text, R1, "en")
        assert row["format_valid"] and row["think_chars"] == len(trace["message_thinking"])
        assert row["language_share"] > 0.95 and row["answer"]
