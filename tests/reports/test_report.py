import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pandas as pd
import pytest

from r1repro.config import Config, compose
from r1repro.evaluation import checkpoints, training_moved
from r1repro.evaluation.claims import Change, Claim, Judged
from r1repro.evaluation.metrics import summarize
from r1repro.evaluation.results import read_costs, read_results, write_results
from r1repro.evaluation.statistics import Estimate
from r1repro.reports import article, claims_ledger, notebooks, report
from r1repro.reports.report import STAGES, needed
from r1repro.runner.graph import graph
from r1repro.stages import comparison
from tests.reports.conftest import BUDGET, compared, of_run
from tests.reports.made_up import ABLATIONS, HOSTILE, SKILLS, make_results, rl_metrics, sft_metrics

IMAGES = 13
"""Headline 1, results 2, the stages 2, students 1, ablations that RL made 7."""


class Page(HTMLParser):
    """Tags and addresses of a page, and whether its tags are closed in order."""

    VOID = {"meta", "link", "img", "br", "input"}

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.open, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [v for k, v in attrs if k in ("src", "href", "srcset", "data", "action")]
        assert not any(k.startswith("on") for k, _ in attrs)
        if tag == "img":
            assert dict(attrs).get("alt"), "a picture without alternative text"
        if tag not in self.VOID:
            self.open.append(tag)

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_whole_and_asks_for_nothing(built):
    written = built.read_text(encoding="utf-8")
    page = Page(written)
    assert "script" not in page.tags and "Content-Security-Policy" in written
    links = {a for a in page.addresses if not a.startswith(("data:", "#"))}
    assert links == {"notebooks/00_base_model.html"}
    assert 'href="../report.html"' in (built.parent / "notebooks/00_base_model.html").read_text()
    assert page.tags.count("img") == IMAGES and page.tags.count("figcaption") >= 6
    assert "@import" not in written and "url(" not in written
    assert not (built.parent / "notebooks" / "08_r1_zero_vs_r1.html").exists(), "is the report"
    for anchor in (a for a in page.addresses if a.startswith("#")):
        assert f'id="{anchor[1:]}"' in written
    assert built.stat().st_size < 4 * 2**20


def test_page_says_what_was_measured(built):
    text = text_of(built)
    assert text.index("Over the best prompt of the base") < text.index("The run in one picture")
    for said in (
        "On 120 held-out reasoning problems, 8 samples each; changes are paired",
        "One run only.",
        "Step 0 is measured with the prompt template",
        "15.6 → 71.0 %, later 77.9 %",
        "5 to 7 times",
        "against the checkpoint before (Dev1 and Dev3 start from the base",
        "context, the paper: IF-Eval, prompt strict",
        "Qwen: distilled",
        "without the reward language consistency falls over the steps",
        "seed 0 · base seed 0",
        "levels 1, 3 and 5",
        "Claims of the papers, in this one run: ",
        "pass@1; Base → R1-Zero",
        "the mini world has no human data",
        "The control: with the rewards of every group permuted",
        "no findings in 61 stages",
        "Clopper and Pearson",
        "to build in total",
        "Key of r1_zero",
        "Hash of the code",
        "DeepSeek-V3-Base, 671B parameters",
    ):
        assert said in text, said


def test_results_hold_every_checkpoint_and_measure(built, results):
    stored = json.loads((built.parent / "results.json").read_text())
    assert set(stored) == {*SKILLS, *ABLATIONS, "adds"}
    assert {"general/score", "general/fact", "readability"} <= set(stored["r1"])
    rows = pd.read_parquet(results["evaluate_r1_zero"].folder / "evaluation.parquet")
    estimate = stored["r1_zero"]["reasoning/pass@1"]
    assert set(estimate) == {"value", "low", "high", "n"}
    reasoning = rows[rows["task"].isin(["arithmetic", "countdown"])]
    assert estimate["value"] == pytest.approx(reasoning["correct"].mean())
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


@pytest.fixture
def fresh(tmp_path) -> Config:
    """A configuration without results."""
    return compose(["ablation=all", f"runs={tmp_path}"])


def test_hostile_model_text_is_shown_as_text(run_folder, fresh):
    built = of_run(run_folder, fresh, compared(fresh, hostile=True))
    written = built.read_text(encoding="utf-8")
    page = Page(written)
    assert written.count("&lt;script&gt;") >= 3  # as a prompt, R1-Zero's answer and R1's
    assert "script" not in page.tags and page.tags.count("img") == IMAGES
    text = "".join(page.text)
    assert HOSTILE["script"].split("<think>")[0] in text
    assert "{{ config }} {% raw %} &lt;b&gt; </pre></details>" in text
    assert "⟨U+202E⟩" in text and "\u202e" not in written and "\x00" not in written
    assert "96,000 of 100,000 characters are not shown here" in text
    assert "等等，不对" in text


def text_of(built) -> str:
    return re.sub(r"\s+", " ", "".join(Page(built.read_text(encoding="utf-8")).text))


def test_a_run_cut_at_its_base_says_so(run_folder, results, config):
    built = of_run(run_folder, config, results, "base")
    text = text_of(built)
    assert "This run ends with the notebook of base" in text
    for missing in ("What RL adds", "Ablations", "R1-Zero − Base", "The run in one picture"):
        assert missing not in text
    assert json.loads((run_folder / "manifest.json").read_text())["finished"] is True
    changes = json.loads((run_folder / "differences.json").read_text())
    assert changes and all("base" in key for key in changes)


def test_a_run_up_to_r1_zero_tells_nothing_of_later_stages(run_folder, results, config):
    built = of_run(run_folder, config, results, "r1_zero")
    text = text_of(built)
    assert "R1-Zero − Base, paired" in text and "tokens for the base, " in text
    for missing in (
        "Each later checkpoint",
        "The stages, as in",
        "Distillation",
        "Dev2 − Dev1",
        "R1 − R1-Zero",
    ):
        assert missing not in text
    assert "r1_zero - base" in json.loads((run_folder / "differences.json").read_text())


def test_a_run_up_to_dev2_has_the_stages_that_are_there(run_folder, results, config):
    text = text_of(of_run(run_folder, config, results, "dev2"))
    assert "The stages, as in the paper" in text and "What each stage wins" in text
    assert "Dev3 of the" not in text and "Distillation" not in text


def test_without_some_stage_a_run_is_not_finished(results, config):
    some = {name: results[name] for name in ("base", "evaluate_base")}
    told = report.read(some, config)
    assert told.manifest["finished"] is False
    assert "not finished: it has the stages base, eval" in article.facts(told)._repr_html_()
    assert "in this one run: 0 reproduced" in article.abstract(told)._repr_html_()


def test_weights_of_a_file_are_named_by_it():
    shape = {"name": "qwen2.5-coder-0.5b", "path": "/models/Qwen2.5-Coder-0.5B-Instruct.gguf"}
    assert article._model(shape) == "qwen2.5-coder-0.5b (Qwen2.5-Coder-0.5B-Instruct.gguf)"
    assert article._model({**shape, "path": None, "hub": "a/b@c"}) == "qwen2.5-coder-0.5b"


def test_what_the_doctor_finds_stands_on_the_page(run_folder, fresh):
    results = make_results(fresh)
    sick = rl_metrics().assign(clipped=0.6)
    sick.to_parquet(results["r1_zero"].folder / "metrics.parquet")
    text = text_of(of_run(run_folder, fresh, results, "r1_zero"))
    assert "clipped completions (25 % of completions at most): r1_zero 60 %" in text
    assert "(now max_completion_tokens=256)" in text and "no findings" not in text


BESIDE = {
    f"evaluate_{name}"
    for name in (
        "base_forced", "base_rft", "base_rft_best", "r1_zero_greedy", "r1_greedy",
        "r1_zero_few_shot", "r1_few_shot",
        "small_base", "small_base_best", "small_zero",
    )
}  # fmt: skip
"""Evaluations that are switched on and are no ablation of a training stage."""


def test_what_is_switched_on_belongs_to_a_finished_run(config):
    ablations = {f"evaluate_{name}" for name in checkpoints.ABLATIONS}
    assert set(needed(compose([]))) == set(STAGES)
    assert set(needed(config)) == {*STAGES, *ablations, *BESIDE}
    one = needed(compose(["ablation.reasoning_only=true"]))
    assert set(one) - set(STAGES) == {"evaluate_dev3_reasoning_only"}


def test_a_finished_report_stands_on_the_whole_graph():
    plain = {name for name, stage in graph().items() if stage.switch is None}
    assert {name for name in plain if name.startswith("evaluate_")} <= set(STAGES) <= plain
    switches = {f"ablation.{ablation.switch}" for ablation in checkpoints.ABLATIONS.values()}
    switches |= {f"ablation.{checkpoints.about(name).switch}" for name in BESIDE}
    switches |= {"evaluation.curve_samples"}
    assert switches == {stage.switch for stage in graph().values()} - {None, "student.teacher"}
    for name, ablation in checkpoints.ABLATIONS.items():
        assert graph()[f"evaluate_{name}"].switch == f"ablation.{ablation.switch}"
    evaluated = {name.removeprefix("evaluate_") for name in graph() if "evaluate_" in name}
    compared = {name for pair in checkpoints.PAIRS for name in pair}
    assert compared == evaluated == set(checkpoints.CHECKPOINTS)


def test_estimates_survive_the_disk(tmp_path, evaluations):
    rows = evaluations["base"].assign(language_share=float("nan"))
    summaries = {"base": summarize(rows, draws=50)}
    write_results(tmp_path / "results.json", summaries)
    assert "NaN" not in (tmp_path / "results.json").read_text()
    again = read_results(tmp_path / "results.json")["base"]
    assert list(again) == list(summaries["base"])
    for path, estimate in summaries["base"].items():
        stored = again[path].as_dict()
        assert stored == pytest.approx(estimate.as_dict(), rel=1e-6, nan_ok=True)
        assert again[path].n == estimate.n


def test_only_declared_pairs_are_compared(results):
    stored = read_results(results["comparison"].folder / "differences.json")
    assert set(stored) == {f"{after} - {before}" for before, after in checkpoints.PAIRS}
    sides = [
        pd.read_parquet(results[f"evaluate_{name}"].folder / "evaluation.parquet")
        for name in ("dev3", "r1")
    ]
    before, after = (rows[rows["task"] == "fact"]["correct"].mean() for rows in sides)
    assert stored["r1 - dev3"]["general/fact"].value == pytest.approx(after - before)


def test_costs_count_the_sampling_and_stop_where_the_budget_is_spent(results):
    costs = read_costs(results["comparison"].folder)
    assert set(costs) == {
        f"{student}_{arm}"
        for student in ("qwen", "llama")
        for arm in ("rl", "rl_equal_flops", "distilled", "distilled_rl")
    }
    sampling = results["rejection_sampling"].manifest["seconds"]
    assert costs["qwen_distilled"] == {
        "flops": BUDGET, "seconds": pytest.approx(sft_metrics()["seconds"].max() + sampling)
    }  # fmt: skip
    rl = rl_metrics()
    assert costs["qwen_rl"]["flops"] == rl["flops"].max()
    assert costs["qwen_rl_equal_flops"]["flops"] == BUDGET
    assert costs["qwen_rl_equal_flops"]["seconds"] == pytest.approx(2.3 * 50)
    assert costs["llama_distilled_rl"]["flops"] == BUDGET + rl["flops"].max()


def test_without_a_students_stages_there_are_no_costs(results):
    assert comparison.costs({"r1_zero": results["r1_zero"]}) == {}


def test_reports_never_need_torch():
    code = "import sys, r1repro.reports.versions, r1repro.stages.comparison as c; " \
        "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"  # fmt: skip
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_the_control_reproduces_too_is_marked(results, config):
    one = Claim(
        "a", "It rises.", "v1", "", Change("reasoning/pass@1", "base", "r1_zero"), "up", 0.1
    )
    judged = [Judged(one, "reproduced", Estimate(0.2, 0.1, 0.3, 9), ())]
    told = replace(report.read({}, config), judged=judged)
    marked = replace(told, control=judged)
    assert "with permuted rewards too" in article.ledger(marked)._repr_html_()
    assert "permuted" not in article.ledger(told)._repr_html_()


def test_a_smoke_run_judges_no_claim_and_says_so(tmp_path, run_folder):
    smoke = compose(["scale=smoke", "ablation=all", f"runs={tmp_path}"])
    built = of_run(run_folder, smoke, make_results(smoke), "r1_zero")
    text = text_of(built)
    assert text.count("At scale=smoke every stage runs but nothing is learned") == 1
    assert "whatever it says (keep_all)" in text and "0.75 : 0.25" in text
    assert "in this one run" not in text and "The control: " not in text
    assert "Reproduced (" not in text and "Contradicted (" not in text
    written = json.loads((built.parent / "claims.json").read_text())
    assert {claim["verdict"] for claim in written} == {"not testable"}


def test_what_has_moved_is_kept_beside_the_report(built):
    found = training_moved.read(built.parent / "moved.json")
    assert {"r1_zero", "dev1", "r1_zero_permuted", "qwen_distilled"} <= set(found)
    assert found["r1_zero"].weights == 0.1 and found["r1_zero"].curves["format"].shifted
    assert found["dev1"].learned == "loss" and math.isnan(found["dev1"].kl)
    assert {name for name, one in found.items() if training_moved.still(one)} == set()


def test_a_stage_that_stood_still_has_no_verdict(fresh):
    results = compared(fresh)
    flat = rl_metrics().assign(reward=1.987, kl=6e-5, reward_accuracy=0.99, pass_at_1=0.99)
    flat.to_parquet(results["r1"].folder / "metrics.parquet")
    told = {one["id"]: one for one in claims_ledger.as_data(report.read(results, fresh).judged)}
    for name in ("last-rl-leaves-reasoning", "r1-keeps-up-with-zero"):
        assert told[name]["verdict"] == "not testable"
        assert told[name]["reason"].startswith("no movement shown in r1: the weights by 10 %")
        assert "KL to the reference reaches 6.0e-05 nats a token" in told[name]["reason"]
    assert told["endless-responses"]["verdict"] != "not testable", "of r1_zero, which moved"


def test_the_ledger_says_how_many_verdicts_are_false_by_chance(built):
    text = text_of(built)
    judged = json.loads((built.parent / "claims.json").read_text())
    verdicts = [one for one in judged if not one["control"] and one["verdict"] != "not testable"]
    counted = [one for one in verdicts if one["effect"]["low"] is not None]
    assert len(counted) > 20
    assert f"of the {len(counted)} claims judged by an interval, ours among them, at most" in text
    assert f"at most {0.025 * len(counted):.1f} verdicts are expected to be false" in text
    assert f"it is {0.11 * len(counted):.1f}, by the simulated 11 % each" in text


def test_other_scales_do_not_say_so(built):
    assert "nothing is learned" not in text_of(built)


def test_a_notebook_that_failed_is_no_page(tmp_path):
    heading = {"cell_type": "markdown", "metadata": {}, "source": "# 01 · R1: RL", "id": "a"}
    told = {"cells": [heading], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "notebooks").mkdir()
    for name in ("01_r1_zero_grpo", "02_cold_start_sft.failed", "08_r1_zero_vs_r1"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text(json.dumps(told))
    pages = notebooks.pages(notebooks.executed(tmp_path))
    assert list(pages) == ["notebooks/01_r1_zero_grpo.html", "report.html"]
    assert (
        '<a href="notebooks/01_r1_zero_grpo.html"><small>Before</small>01 · R1</a>'
        in (pages["report.html"])
    )
