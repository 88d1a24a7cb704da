"""README's figures are those of the version that it names, and what it points to exists."""

import gzip
import json
import re

import pytest

from benchmarks.figures_in_docs import _real_zh
from benchmarks.readme import BEGIN, COLUMNS, END, LATER, ROWS, _of_real, text
from r1repro.config import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_figures_are_of_the_version_that_is_named():
    begin = README.index(BEGIN.split("{")[0])
    versions = re.findall(r"reports/[^ ]+", README[begin:].partition("-->")[0])
    told = README[begin : README.index(END) + len(END)]
    assert told == text(*(ROOT / version for version in versions))


def test_links_lead_somewhere():
    for page in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]):
        links = re.findall(r"\]\(([^)#:]+)[)#]", page.read_text(encoding="utf-8"))
        missing = [link for link in links if not (page.parent / link).exists()]
        assert not missing, (page.name, missing)


def test_a_link_into_a_report_finds_its_part():
    links = re.findall(r"\]\((reports/[^)#]+)#([^)]+)\)", README)
    assert links
    for report, part in links:
        assert f'id="{part}"' in (ROOT / report).read_text(encoding="utf-8"), (report, part)


def made(folder, seeds, bases, verdicts):
    """A version with what README reads of it; every figure is 0.25."""
    one = {"value": 0.25, "low": 0.0, "high": 0.5}
    adds = {family: one for family in ("arithmetic", "countdown")}
    more = "reasoning/pass@1 false_check length reconsidered_right".split()
    more += [f"{one}/{what}" for one in adds for what in ("sound", "pass@16")]
    paths = [*ROWS, *more]
    results = {name: dict.fromkeys(paths, one) for name in COLUMNS} | {"adds": adds}
    claims = [
        {"id": name, "verdict": verdict, "ours": name == "ours", "control": name == "control"}
        for name, verdict in verdicts.items()
    ]
    manifest = {"seeds": {"seed": seeds, "base_seed": bases}}
    folder.mkdir()
    for name, data in (("results", results), ("claims", claims), ("manifest", manifest)):
        (folder / f"{name}.json").write_text(json.dumps(data))
    changes = {"r1 - r1_zero": dict.fromkeys(LATER, one)} if verdicts else {}
    with gzip.open(folder / "differences.json.gz", "wt") as file:
        json.dump(changes, file)
    return folder


def test_seeds_stand_above_and_contradicted_claims_have_names(tmp_path):
    verdicts = {
        "rises": "reproduced", "falls": "contradicted", "stays": "contradicted",
        "ours": "contradicted", "control": "contradicted",
    }  # fmt: skip
    whole = made(tmp_path / "whole", [6, 7, 8], [0, 0, 0], verdicts)
    parts = text(whole).split("\n\n")
    assert "Held-out problems, [seeds 6–8](reports/whole/report.html) on one base," in parts[0]
    assert "95 % intervals over problems and seeds. R1-Zero and its controls:" in parts[0]
    assert parts[2] == "The later stages:"
    assert (
        "1 reproduced, 0 inconclusive, 0 not testable, 2 contradicted: *falls*, *stays*."
        in (parts[3])
    )
    assert "* R1 minus R1-Zero, in points: arithmetic, pass@1 +25.0 [+0.0, +50.0]; " in parts[3]
    assert parts[4] == "Every checkpoint:"
    alone = text(made(tmp_path / "alone", 7, 0, {}))
    assert "[seed 7](reports/alone/report.html), 95 % intervals over problems. R1" in alone
    apart = made(tmp_path / "apart", [7, 9], [0, 1], {})
    assert "[seeds 7, 9](reports/apart/report.html), 95 %" in text(apart)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"path": "/models/Qwen2.5-Coder-0.5B-Instruct.gguf", "hub": "a/b@c"}, None),
        ({"path": None, "hub": "Qwen/Qwen2.5-Coder-0.5B-Instruct@8123ea"}, None),
        ({"path": "/models/Qwen2.5-1.5B", "hub": None}, "Qwen2.5-1.5B"),
    ],
)
def test_real_weights_are_told_with_their_control_and_soundness(model, named, tmp_path):
    version = made(tmp_path / "real", 3, 0, {})
    manifest = json.loads((version / "manifest.json").read_text())
    (version / "manifest.json").write_text(json.dumps(manifest | {"config": {"model": model}}))
    results = json.loads((version / "results.json").read_text())
    results["adds"] = {"word_problems": {"value": 0.07, "low": 0.01, "high": 0.13}}
    results["r1_zero"]["reasoning/pass@1"] = {"value": 0.725}
    results["base_best"]["sound"] = {"value": 0.99}
    (version / "results.json").write_text(json.dumps(results))
    told = _of_real(version)
    assert told == (
        f"**Real weights**, {named or 'Qwen2.5-Coder-0.5B-Instruct'}, word problems, "
        "[seed 3](reports/real/report.html), intervals over problems: base 25.0 %, with its best "
        "prompt 25.0, R1-Zero 72.5, R1 25.0; R1-Zero minus the best prompt +7.0 [+1.0, +13.0]. But "
        "only 25.0 % of R1-Zero's right answers are sound, under that prompt 99.0."
    )
    results["r1_zero_format_only"] = {"reasoning/pass@1": {"value": 0.2}}
    (version / "results.json").write_text(json.dumps(results))
    assert " Format reward alone: 20.0 %." in _of_real(version)
    assert "只奖励格式 20.0 %。" in _real_zh(version)


def test_a_readme_of_a_screen_and_a_half():
    assert len(README.split()) <= 900
