import json

import pyarrow as pa
import pytest
from pyarrow import parquet

from r1repro import cli, row_files
from r1repro.errors import R1ReproError

ROWS = [{"text": "a\u2028b", "n": 1}, {"text": "\ud83d", "n": 2}]


def test_the_three_kinds_of_files(tmp_path):
    lines = tmp_path / "a.jsonl"
    lines.write_text("\n\n".join(json.dumps(row) for row in ROWS) + "\n\n", encoding="utf-8")
    assert list(row_files.read(lines)) == [(1, ROWS[0]), (3, ROWS[1])], "as a person counts lines"
    listed = tmp_path / "a.json"
    listed.write_text(json.dumps(ROWS), encoding="utf-8")
    assert list(row_files.read(listed)) == [(1, ROWS[0]), (2, ROWS[1])]
    table = tmp_path / "a.parquet"
    parquet.write_table(pa.Table.from_pylist([{"text": "a", "n": 1}]), table)
    assert list(row_files.read(table)) == [(1, {"text": "a", "n": 1})]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.jsonl", '{"a": 1}\n{"a":', "row 2 is not valid JSON"),
        ("a.jsonl", "[1]\n", "row 1 is not a JSON object"),
        ("a.json", '{"a": 1}', "is not a JSON list"),
        ("a.json", "[1]", "row 1 is not a JSON object"),
        ("a.csv", "a,b", "is not a .jsonl, .json, .parquet file"),
        (None, "", "there is no file"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, text, said):
    file = tmp_path / (name or "missing.jsonl")
    if name:
        file.write_text(text)
    with pytest.raises(R1ReproError, match=said):
        list(row_files.read(file))


def test_bytes_that_are_none_of_it(tmp_path):
    for name, said in (("a.jsonl", "not encoded in UTF-8"), ("a.parquet", "is not a Parquet file")):
        (tmp_path / name).write_bytes(b"\xff\xfe{}")
        with pytest.raises(R1ReproError, match=said):
            list(row_files.read(tmp_path / name))


def test_analyze_writes_a_line_a_row_and_a_summary(tmp_path, capsys):
    file = tmp_path / "a.jsonl"
    texts = ["<think>wait \ud83d</think><answer>7</answer>", "\u2028 7", ""]
    file.write_text("".join(json.dumps({"completion": text}) + "\n" for text in texts))
    assert cli.main(["analyze", str(file), "--language", "en"]) == 0
    written = capsys.readouterr()
    rows = [json.loads(line) for line in written.out.splitlines()]
    assert [row["row"] for row in rows] == [1, 2, 3]
    assert [row["format_valid"] for row in rows] == [True, False, False]
    assert "rows: 3\n" in written.err and "format_valid: 0.3333\n" in written.err


def test_decontaminate_gives_the_evidence(tmp_path, capsys):
    train, held = tmp_path / "train.jsonl", tmp_path / "held.json"
    train.write_text('{"problem": "What is 2 + 2?"}\n{"problem": "What is 2 + 3?"}\n')
    held.write_text('[{"question": "what is $2+2$"}]')
    assert cli.main(["decontaminate", str(train), str(held), "--eval-field", "question"]) == 0
    written = capsys.readouterr()
    (row,) = map(json.loads, written.out.splitlines())
    assert (row["train"], row["evaluation"], row["evidence"]) == (1, 1, "exact")
    assert row["train_text"] == "What is 2 + 2?" and row["eval_text"] == "what is $2+2$"
    assert written.err.startswith("1 of 2 rows overlap with 1: 1 exact, 0 edited; further 0 differ")


def test_decontaminate_keeps_the_fields_of_a_row(tmp_path, capsys):
    train, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    train.write_text('{"problem": "What is 2 + 2?", "id": 7, "share": NaN, "train": "mine"}\n')
    held.write_text('{"problem": "What is 2 + 2?"}\n')
    assert cli.main(["decontaminate", str(train), str(held)]) == 0

    def refused(name):
        raise AssertionError(f"{name} is no JSON")

    row = json.loads(capsys.readouterr().out, parse_constant=refused)
    assert (row["id"], row["share"], row["train"]) == (7, None, "mine")
    assert (row["overlap_share"], row["overlap_train"], row["evidence"]) == (1.0, 1, "exact")


def test_decontaminate_lists_the_evidence_that_is_asked_for(tmp_path, capsys):
    train, held = tmp_path / "train.jsonl", tmp_path / "held.jsonl"
    asked = "A train travels {} miles in 3 hours. How many more hours would 180 more miles take it?"
    train.write_text(json.dumps({"problem": asked.format(270)}))
    held.write_text(json.dumps({"problem": asked.format(360)}))
    for kinds, lines in (((), 1), (("--evidence", "exact", "edited"), 0)):
        assert cli.main(["decontaminate", str(train), str(held), *kinds]) == 0
        written = capsys.readouterr()
        assert len(written.out.splitlines()) == lines
        assert "0 of 1 rows overlap" in written.err and "1 differ in numbers" in written.err


@pytest.mark.parametrize("name", ["train.jsonl", "held.jsonl"])
def test_decontaminate_refuses_an_empty_file(tmp_path, capsys, name):
    files = [tmp_path / "train.jsonl", tmp_path / "held.jsonl"]
    for file in files:
        file.write_text("" if file.name == name else '{"problem": "What is 2 + 2?"}\n')
    assert cli.main(["decontaminate", *map(str, files)]) == 2
    assert f"{name} holds no rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "said"),
    [('{"text": "a"}', "row 1 has no field completion: its fields are text"),
     ('{"completion": 3}', "row 1: completion is int: it must be a string")],
)  # fmt: skip
def test_a_field_that_is_not_there_ends_in_two(tmp_path, capsys, line, said):
    file = tmp_path / "a.jsonl"
    file.write_text(line + "\n")
    assert cli.main(["analyze", str(file)]) == 2
    assert said in capsys.readouterr().err
