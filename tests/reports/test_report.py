import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import pandas as pd
import pytest

from r1repro import reports
from r1repro.evaluation.metrics import summarize
from r1repro.reports.files import read_results, write_results
from tests.reports.made_up import HOSTILE, make_results


class Page(HTMLParser):
    """Tags and addresses of a page, and whether its tags are closed in order."""

    VOID = {"meta", "link", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.open, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_whole_and_asks_for_nothing(built):
    page = Page(built.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert all(a.startswith(("data:", "#")) for a in page.addresses)
    assert page.tags.count("img") == 7
    assert "@import" not in built.read_text() and "url(" not in built.read_text()
    assert built.stat().st_size < 4 * 2**20


def test_page_says_what_was_measured(built):
    text = re.sub(r"\s+", " ", "".join(Page(built.read_text(encoding="utf-8")).text))
    for said in (
        "On 120 held-out reasoning problems, 8 samples each, pass@1 rose",
        "It speaks of one run",
        "Step 0 is measured with the prompt template",
        "15.6 → 71.0 %, later 77.9 %",
        "5 to 7 times",
        "seed 0, base seed 0",
        "levels 1, 3 and 5",
    ):
        assert said in text


def test_results_hold_every_checkpoint_and_measure(built, results):
    stored = json.loads((built.parent / "results.json").read_text())
    assert set(stored) == {"base", "r1_zero"}
    rows = pd.read_parquet(results["evaluate_r1_zero"].folder / "evaluation.parquet")
    estimate = stored["r1_zero"]["reasoning/pass@1"]
    assert set(estimate) == {"value", "low", "high", "n"}
    assert estimate["value"] == pytest.approx(rows["correct"].mean())
    assert estimate["low"] < estimate["value"] < estimate["high"]
    assert {"countdown/pass@1", "level_5/pass@1", "format_valid"} <= set(stored["base"])
    changes = json.loads((built.parent / "differences.json").read_text())
    assert changes["r1_zero - base"]["reasoning/pass@1"]["low"] > 0


def test_manifest_says_what_it_stands_on(built, config):
    manifest = json.loads((built.parent / "manifest.json").read_text())
    assert manifest["finished"] is True
    assert manifest["seeds"] == {
        "seed": config.seed,
        "base_seed": config.base_seed,
        "world_seed": config.task.world_seed,
    }
    assert manifest["hash"] == "0123abcd"
    assert set(manifest["git"]) == {"commit", "dirty"}
    assert manifest["config"]["stage"]["r1_zero"]["steps"] == config.stage.r1_zero.steps
    assert {"versions", "hardware", "wall", "stages", "code"} <= set(manifest)
    assert manifest["stages"]["r1_zero"]["key"]
    assert str(built.parent.parent) not in (built.parent / "manifest.json").read_text()


def test_hostile_model_text_is_shown_as_text(tmp_path, run_folder, config):
    results = make_results(tmp_path / "hostile", hostile=True)
    del results["comparison"]  # the estimates are then made here
    built = reports.build(run_folder, results, config, {})
    html = built.read_text(encoding="utf-8")
    page = Page(html)
    assert "script" not in page.tags and page.tags.count("img") == 7
    text = "".join(page.text)
    assert HOSTILE["script"].split("<think>")[0] in text
    assert "{{ config }} {% raw %} &lt;b&gt; </pre></details>" in text
    assert "⟨U+202E⟩" in text and "\u202e" not in html and "\x00" not in html
    assert "96,000 of 100,000 characters are not shown here" in text
    assert "等等，不对" in text


def test_a_run_without_all_stages_says_so(run_folder, results, config):
    some = {name: results[name] for name in ("base", "evaluate_base")}
    built = reports.build(run_folder, some, config, {})
    assert "This run is not finished" in built.read_text(encoding="utf-8")
    assert json.loads((run_folder / "manifest.json").read_text())["finished"] is False
    Page(reports.build(run_folder, {}, config, {}).read_text(encoding="utf-8"))


def test_estimates_survive_the_disk(tmp_path, evaluations):
    rows = evaluations["base"].assign(language_share=float("nan"))
    summaries = {"base": summarize(rows, draws=50)}
    write_results(tmp_path / "results.json", summaries)
    assert "NaN" not in (tmp_path / "results.json").read_text()
    assert repr(read_results(tmp_path / "results.json")) == repr(summaries)


def test_comparison_draws_its_figures(results):
    names = {file.name for file in (results["comparison"].folder / "figures").iterdir()}
    assert {"headline.png", "headline.svg", "behaviour.png"} <= names


def test_reports_never_need_torch():
    code = "import sys, r1repro.reports.publish, r1repro.stages.comparison as c; " \
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
