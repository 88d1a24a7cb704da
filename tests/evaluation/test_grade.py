"""`r1repro grade` and `analyze` on files as people have them."""

import json
import shutil

import pytest

from r1repro import cli
from r1repro.config import ROOT
from r1repro.evaluation.grade import opens_in_prompt

FILES = ROOT / "tests" / "data" / "files"


@pytest.fixture
def run(capsys):
    """(exit code, rows, summary) of a command."""

    def ran(command, file, *options):
        code = cli.main([command, str(FILES / file), *options])
        written = capsys.readouterr()
        rows = [json.loads(line, parse_constant=_refuse) for line in written.out.splitlines()]
        return code, rows, written.err

    return ran


def _refuse(name):
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(
    "file",
    [
        "bom/input.jsonl", "bom/input.json", "bom/bom_each_line.jsonl", "bom/crlf.jsonl",
        "bom/cr.jsonl", "suffixes/input.JSONL", "suffixes/input.ndjson",
        "suffixes/input.jsonlines", "json_or_lines/lines.json", "json_or_lines/list.jsonl",
        "json_or_lines/pretty.jsonl",
    ],
)  # fmt: skip
def test_a_file_is_read_whatever_its_bytes_and_name(run, file):
    code, rows, summary = run("grade", file)
    assert code == 0 and [row["correct"] for row in rows] == [True, True]
    assert summary.startswith("correct: 2 of 2; lenient, ")
    assert len(run("analyze", file)[1]) == 2


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("bom/utf16.jsonl", "not encoded in UTF-8 but in UTF-16: convert it"),
        ("suffixes/input.jsonl.gz", "unpack it first"),
        ("suffixes/input.txt", "convert it to one"),
        ("json_or_lines/columns.json", "but one object: give a list of objects"),
        ("json_or_lines/data.json", "but one object: give the list in its field data alone"),
        ("json_or_lines/index.json", "but one object: give a list of objects"),
        ("json_or_lines/pretty_objects.jsonl", "over several lines: write one object a line"),
        ("nan_null/null_gold.jsonl", "gold is empty in every row"),
        ("nan_null/nan_string_gold.jsonl", "gold is empty in every row"),
        ("messages_and_lists/samples.jsonl", "row 1: completion is a list of 2 samples"),
        ("messages_and_lists/number_answer.jsonl", "row 1: completion is int"),
        ("empty/empty.jsonl", "holds no rows"),
        ("empty/blank.jsonl", "holds no rows"),
        ("empty/empty.json", "holds no rows"),
        ("encodings/cut.jsonl", "row 3 is not valid JSON"),
        ("encodings/gbk.jsonl", "not encoded in UTF-8, from row 1 on"),
        ("encodings/latin1.jsonl", "not encoded in UTF-8, from row 1 on"),
        ("encodings/html.jsonl", "is a web page"),
        ("encodings/lfs.jsonl", "is a Git LFS pointer"),
        ("encodings/lfs.parquet", "is a Git LFS pointer"),
        ("encodings/nul.jsonl", "is not valid JSON"),
    ],
)
def test_what_cannot_be_read_ends_in_two_with_a_sentence(run, file, said):
    code, rows, summary = run("grade", file)
    assert code == 2 and rows == [] and said in summary and summary.count("\n") == 1


@pytest.mark.parametrize(
    ("file", "said"),
    [("empty/empty.jsonl", "holds no rows"), ("encodings/lfs.parquet", "Git LFS pointer")],
)
def test_analyze_refuses_them_too(run, file, said):
    code, rows, summary = run("analyze", file)
    assert code == 2 and rows == [] and said in summary


def test_a_row_without_a_gold_answer_or_a_completion_costs_itself_only(run):
    code, rows, summary = run("grade", "nan_null/nan_gold.jsonl")
    assert code == 0 and [row["correct"] for row in rows] == [None, True]
    assert rows[0]["reason"] == "no gold answer" and rows[0]["gold"] is None
    assert "correct: 1 of 1; lenient, " in summary and "no gold answer: 1\n" in summary
    code, rows, summary = run("grade", "nan_null/null_completion.jsonl")
    assert code == 0 and [row["correct"] for row in rows] == [True, False, True]
    assert "no completion: null: 1\n" in summary
    code, rows, summary = run("analyze", "nan_null/null_completion.jsonl")
    assert code == 0 and len(rows) == 3 and "null, read as empty: 1\n" in summary


def test_a_rows_own_fields_stay_and_the_lines_are_valid_json(run):
    _, (row,), _ = run("grade", "nan_null/nan_extra.jsonl")
    assert row["correct"] is True and row["logprob"] is None and row["score"] is None
    _, (row,), _ = run("grade", "messages_and_lists/own_correct.jsonl")
    assert (row["correct"], row["reason"], row["extracted"]) == (False, "my label", "mine")
    assert (row["graded_correct"], row["graded_reason"]) == (True, "equal")
    _, (row,), _ = run("analyze", "messages_and_lists/own_correct.jsonl")
    assert row["id"] == 1 and row["correct"] is False and row["format_valid"] is True


@pytest.mark.parametrize("file", ["gold_list", "gold_number", "messages"])
def test_gold_answers_and_completions_of_any_type(run, file):
    code, rows, _ = run("grade", f"messages_and_lists/{file}.jsonl")
    assert code == 0 and rows and all(row["correct"] for row in rows)


def test_a_nested_gold_answer_is_named_by_a_path(run):
    code, _, summary = run("grade", "messages_and_lists/nested.jsonl", "--gold", "reward_model")
    assert code == 2 and "reward_model.style (its fields: style or ground_truth)" in summary
    path = "reward_model.ground_truth"
    code, rows, _ = run("grade", "messages_and_lists/nested.jsonl", "--gold", path)
    assert code == 0 and rows[0]["correct"] is True


def test_single_backslashes_are_mended(run):
    code, rows, _ = run("grade", "single_backslash/input.jsonl")
    assert code == 0 and [row["correct"] for row in rows] == [True] * 5


def test_lost_backslashes_at_the_beginning_are_no_blanks(tmp_path, run):
    file = tmp_path / "a.jsonl"
    rows = [("\frac{1}{2}", "0.5"), ("1/2", "\frac{1}{2}"), (r"\text{east}", "\text{east}")]
    file.write_text("".join(json.dumps({"gold": g, "completion": c}) + "\n" for g, c in rows))
    _, rows, _ = run("grade", file, "--answer-only")
    assert [row["correct"] for row in rows] == [True] * 3


def test_thinking_in_the_tags_of_other_families_is_not_graded(run):
    _, rows, _ = run("grade", "other_think_tags/input.jsonl")
    right = [row["id"] for row in rows if row["correct"]]
    assert right == [3, 9, 10, 11, 12]


def test_a_completion_that_runs_on_is_read_to_the_end_of_its_first_answer(run):
    _, rows, summary = run("grade", "run_on/input.jsonl")
    assert [row["id"] for row in rows if not row["correct"]] == [2]
    assert "went on after the answer: 8 of 9 (88.9 %)\n" in summary
    assert summary.split("\n")[0].endswith("; went on after the answer: 88.9 %")
    _, rows, summary = run("analyze", "run_on/input.jsonl")
    assert [row["runs_on"] for row in rows] == [True] * 8 + [False]
    assert "runs_on: 0.8889\n" in summary and rows[0]["answer"] == "12"


def test_the_last_value_is_read_where_nothing_is_marked(tmp_path, run):
    file = tmp_path / "a.jsonl"
    said = [r"\boxed{7}", "The answer is 7, not 8.", "so 3 and 7", "<think>7", ""]
    file.write_text("".join(json.dumps({"gold": 7, "completion": s}) + "\n" for s in said))
    _, rows, summary = run("grade", file)
    assert [row["correct"] for row in rows] == [True, False, False, False, False]
    assert "without a marked answer: 4 of 5\n" in summary
    _, rows, summary = run("grade", file, "--extract", "last")
    assert [row["correct"] for row in rows] == [True, False, True, False, False]
    assert "without a marked answer: 4 of 5, read from the last stated value\n" in summary


def test_rounding_counts_where_the_question_asks_for_it(tmp_path, run):
    file = tmp_path / "a.jsonl"
    asked = ["What is 1/3?", "What is 1/3, to two decimal places?"]
    row = {"gold": "1/3", "completion": r"\boxed{0.33}"}
    file.write_text("".join(json.dumps({**row, "question": q}) + "\n" for q in asked))
    _, rows, summary = run("grade", file, "--question", "question")
    assert [(r["correct"], r["lenient"]) for r in rows] == [(False, True), (True, True)]
    assert rows[0]["reason"].startswith("in doubt: rounded")
    headline = "correct: 1 of 2; lenient, with rounding that is not asked for: 2 of 2"
    assert summary.startswith(f"{headline}; went on after the answer: 0.0 %\n")
    assert [r["correct"] for r in run("grade", file)[1]] == [False, False]


def test_where_prompts_open_the_thinking_what_is_cut_off_is_not_graded(tmp_path, run):
    done, cut = r"so 7</think>\boxed{7}", r"I try \boxed{7}. Wait"
    assert opens_in_prompt([done, done, cut]) and not opens_in_prompt([done, cut, cut])
    file = tmp_path / "a.jsonl"
    rows = [{"gold": 7, "completion": text} for text in (done, done, cut)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    _, rows, _ = run("grade", file)
    assert [row["correct"] for row in rows] == [True, True, False]


def test_a_pointer_is_named_before_its_suffix_is_believed(tmp_path, capsys):
    shutil.copyfile(FILES / "encodings" / "lfs.jsonl", tmp_path / "a.json")
    assert cli.main(["grade", str(tmp_path / "a.json")]) == 2
    assert "git lfs pull" in capsys.readouterr().err
