"""Figures in README.zh.md and docs/primer*.md are those of the versions that README names."""

import ast
import json
import re

import pytest

from benchmarks.figures_in_docs import (
    COLUMNS_ZH,
    FIGURE,
    HOLDS,
    PAGES,
    ROWS_ZH,
    Versions,
    filled,
    untrue,
)
from benchmarks.readme import BEGIN, COLUMNS, END, ROWS
from r1repro.config import ROOT
from r1repro.errors import R1ReproError

README = (ROOT / "README.md").read_text(encoding="utf-8")


def versions_of(page):
    return re.findall(r"reports/[^ ]+", page[page.index(BEGIN.split("{")[0]) :].partition("-->")[0])


@pytest.mark.parametrize("name", PAGES)
def test_figures_of_every_page_are_those_of_readme_s_versions(name):
    page = (ROOT / name).read_text(encoding="utf-8")
    assert versions_of(page) == versions_of(README)
    versions = Versions(*(ROOT / version for version in versions_of(page)))
    assert page == filled(page, name, versions)
    assert list(untrue(page, versions)) == []


def test_pages_in_two_languages_have_the_same_figures():
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8")
        for name in ("docs/primer.md", "docs/primer.zh.md")
    )
    for mark in (FIGURE, HOLDS):
        told = [sorted(found[:-1] for found in mark.findall(page)) for page in (english, chinese)]
        assert told[0] == told[1]
        assert told[0]
    assert (list(COLUMNS_ZH), list(ROWS_ZH)) == (list(COLUMNS), list(ROWS))


@pytest.mark.parametrize("name", PAGES)
def test_no_line_begins_with_a_figure(name):
    """Markdown would take the line for a block of HTML, which ends the paragraph before it."""
    page = (ROOT / name).read_text(encoding="utf-8")
    assert re.findall(r"(?m)^[ *>-]*<!--(?! )", page) == []


def test_functions_named_by_the_primer_exist():
    tree = ast.parse((ROOT / "r1repro/training/objective.py").read_text(encoding="utf-8"))
    known = {n.name for n in tree.body if isinstance(n, ast.FunctionDef)} | {
        alias.name for n in tree.body if isinstance(n, ast.ImportFrom) for alias in n.names
    }
    for name in ("docs/primer.md", "docs/primer.zh.md"):
        named = re.findall(r"`objective\.(\w+)`", (ROOT / name).read_text(encoding="utf-8"))
        assert set(named) <= known
        assert named


def test_the_primer_can_be_read_in_half_an_hour():
    english, chinese = (
        re.sub(r"(?s)<!--.*?-->|```.*?```", "", (ROOT / name).read_text(encoding="utf-8"))
        for name in ("docs/primer.md", "docs/primer.zh.md")
    )
    assert sum(any(map(str.isalnum, word)) for word in english.split()) <= 2500
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) <= 4000


def version(folder, results, **claims):
    folder.mkdir()
    results = {
        name: {path: {"value": value} for path, value in measures.items()}
        for name, measures in results.items()
    }
    claims = [
        {"id": c.replace("_", "-"), "verdict": v, "control": False} for c, v in claims.items()
    ]
    manifest = {"seeds": {"seed": 7, "base_seed": 0}}
    for name, data in (("results", results), ("claims", claims), ("manifest", manifest)):
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def versions(tmp_path):
    r1_zero = {"reasoning/pass@1": 0.625, "length": 12.345}
    whole = version(
        tmp_path / "whole", {"r1_zero": r1_zero, "r1": {"length": 20.0, "sound": None}},
        it_rises="reproduced", it_falls="not testable",
    )  # fmt: skip
    lab = version(
        tmp_path / "lab", {"lab_grpo": {"length": 9.0}}, it_rises="contradicted",
        it_falls="reproduced",
    )  # fmt: skip
    adds = {"countdown": {"value": 0.3, "low": -0.1, "high": 0.7}}
    results = json.loads((whole / "results.json").read_text()) | {"adds": adds}
    (whole / "results.json").write_text(json.dumps(results))
    return Versions(whole, lab)


def in_page(words):
    return f"{BEGIN.format('')}\n{END}\n{words}"


@pytest.mark.parametrize(
    ("asked", "english", "chinese"),
    [
        ("r1_zero reasoning/pass@1", "62.5", "62.5"),
        ("r1_zero length", "12.3", "12.3"),
        ("r1 length", "20.0", "20.0"),
        ("lab_grpo length", "9.0", "9.0"),
        ("adds countdown", "+30.0 [−10.0, +70.0]", "+30.0 [−10.0, +70.0]"),
        ("claim it-rises", "reproduced", "得到复现"),
        ("claim it-falls", "reproduced", "得到复现"),
    ],
)
def test_a_figure_is_of_the_whole_sequence_or_of_the_lab(versions, asked, english, chinese):
    for name, shown in (("docs/primer.md", english), ("docs/primer.zh.md", chinese)):
        page = in_page(f"<!--f {asked}-->1<!--/f-->, <!--f {asked}-->2<!--/f-->")
        told = filled(page, name, versions).partition(END)[2]
        assert told == f"\n<!--f {asked}-->{shown}<!--/f-->, <!--f {asked}-->{shown}<!--/f-->"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("<!--f r2 length-->1<!--/f-->", "whole has no checkpoint 'r2'; it has r1_zero, r1"),
        ("<!--f r1 lenght-->1<!--/f-->", "r1 has no figure for 'lenght' in whole; it has length"),
        ("<!--f r1 sound-->1<!--/f-->", "r1 has no figure for 'sound'"),
        ("<!--f adds chess-->1<!--/f-->", "RL adds nothing to 'chess'; it adds to countdown"),
        (
            "<!--f claim it-sinks-->1<!--/f-->",
            "no version has a claim 'it-sinks'; they have it-rises, it-falls",
        ),
        ("<!--f r1-->1<!--/f-->", "1 marks of figures begin and 0 are whole"),
        ("<!--f r1 length-->1", "1 marks of figures begin and 0 are whole"),
    ],
)
def test_a_mark_that_names_nothing_is_an_error(versions, words, told):
    with pytest.raises(R1ReproError, match=re.escape(told)):
        filled(in_page(words), "docs/primer.md", versions)


def test_a_sentence_that_no_longer_holds_is_named(versions):
    holds = "<!--holds length r1_zero < r1--><!--holds reasoning/pass@1 0.6 < r1_zero < 0.7-->"
    assert list(untrue(holds, versions)) == []
    (said,) = untrue("<!--holds reasoning/pass@1 0.7 < r1_zero-->", versions)
    assert said.startswith("reasoning/pass@1: 0.7 < r1_zero does not hold (0.7, 0.625)")
    assert len(list(untrue("<!--holds length r1_zero < r1 < r1-->", versions))) == 1
    with pytest.raises(R1ReproError, match="must read"):
        list(untrue("<!--holds length r1_zero > r1-->", versions))
