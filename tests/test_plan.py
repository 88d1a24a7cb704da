"""What is told of a run before it is made."""

import math
from dataclasses import replace

import pytest

from benchmarks.memory_table import table
from r1repro import artifacts, cli, plan
from r1repro.config import ROOT
from r1repro.config import compose as composed
from r1repro.stages import find, graph, state
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.stages.probe import Speed
from r1repro.stages.work import Work, needs
from r1repro.tasks import tokenizer

SPEED = Speed(
    pretrained=1_000, sampled=500, learned=200, tuned=100, prompt=30, machine="a machine", seconds=9
)  # fmt: skip


def _text(config, **settings):
    return "\n".join(plan.plan(config, **{"probed": False, **settings}))


def _publish(config, name, runs, write):
    key = state.keys(config)[name]
    folder = artifacts.work_folder(runs, name, key)
    folder.mkdir(parents=True)
    write(folder)
    artifacts.publish(folder, runs, name, key, {"seconds": 1.0})


def test_every_stage_in_order_with_what_it_does(compose):
    config = compose()
    lines = _text(config).splitlines()
    places = [
        next(i for i, x in enumerate(lines) if x.startswith(f"  {n} ")) for n in graph(config)
    ]
    assert places == sorted(places)
    assert lines[1] == f"{len(places)} stages, 0 of them cached"

    told = lines[places[list(graph(config)).index("r1_zero")]]
    assert (
        "4 questions x 4 answers = 16 completions a step of at most 48 tokens, in micro-batches of "
        "at most 8,192 tokens (16 of the longest rows), 1 process; 4 steps = 64 completions" in told
    )


def test_what_is_cached_begun_and_built_anew(compose, runs):
    config = compose("until=r1_zero")
    words = tokenizer.train(["User: Compute 1+2."])

    def write(folder):
        save_model(from_random_weights(config.model, words), words, folder / "model")

    _publish(config, "base", runs, write)
    begun = state.work_folder(config, "evaluate_base")
    begun.mkdir(parents=True)
    artifacts.Progress(begun).update(3, 9)
    text = _text(config)
    told = text.partition("parameters")[0].splitlines()
    standing = {x.split()[0]: " ".join(x.split()[1:3]) for x in told if x[:2] == "  "}
    assert standing["base"].startswith("cached") and standing["evaluate_base"].startswith("at 3/9")
    assert standing["r1_zero"] == "to build" and "dev1" not in standing
    # The base that stands there has another vocabulary than the configuration says.
    counted = sum(p.numel() for p in from_random_weights(config.model, words).parameters())
    assert f"{counted:,} of mini_qwen (qwen3, by its config.json)" in text
    again = _text(replace(config, from_stage="base"))
    assert "0 of them cached" in again and "cached " not in again


def test_data_that_is_of_no_use_is_told_once_and_not_counted(tmp_path):
    (tmp_path / "few.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    words = ["scale=gpu", "model=qwen2.5-1.5b", "task=own", f"task.path={tmp_path / 'few.jsonl'}"]
    text = _text(composed(words))
    assert text.count("has 1 problems that are in no test set") == 1
    assert "8 samples of each held-out problem, which cannot be counted yet" in text


def test_what_does_not_fit_is_told_with_settings_that_do():
    config = composed(["scale=gpu", "model=qwen2.5-7b", "engine.lora_rank=0"])
    stage = find("r1_zero", config)
    assert not plan.fits(needs(config, stage).peak, 80)
    assert plan.remedy(config, "r1_zero", 0.5) == []
    changed = plan.remedy(config, "r1_zero", 80)
    assert changed
    better = composed(["scale=gpu", "model=qwen2.5-7b", "engine.lora_rank=0", *changed])
    assert plan.fits(needs(better, stage).peak, 80)
    text = _text(config, card=80)
    (told,) = (line for line in text.splitlines() if "80 GB: too large are r1_zero" in line)
    assert told.endswith(f"; with {' '.join(changed)} it would")
    assert "141 GB" not in text and "the probe takes models that are made here" in text


def test_fits_leaves_a_tenth_and_a_gibibyte():
    assert plan.fits(20 * plan.GIB, 23.0) and not plan.fits(21 * plan.GIB, 24.0)


def test_time_by_hand(compose):
    config = compose()
    rl = Work("", completions=10, cap=60, learned=10, longest=60)
    half = plan.seconds(config, find("r1_zero", config), rl, SPEED, 30)
    assert half == pytest.approx(plan.LOADING + 10 * 30 / 500 + 10 * (30 + 30) / 200)
    sft = Work("", learned=10, longest=60)
    whole = plan.seconds(config, find("dev1", config), sft, SPEED, math.inf)
    assert whole == pytest.approx(plan.LOADING + 10 * (30 + 60) / 100)
    base = Work("", pretrained=5_000)
    assert plan.seconds(config, find("base", config), base, SPEED, 9) == plan.LOADING + 5
    student = plan.seconds(config, find("qwen_base", config), base, SPEED, 9)
    assert plan.LOADING < student < plan.LOADING + 5


def test_the_probe_is_extrapolated_stage_by_stage(compose, monkeypatch):
    monkeypatch.setattr(plan, "probe", lambda config: SPEED)
    text = _text(compose("until=base"), probed=True)
    assert "probe: 9 s on a machine, random weights of this shape: pretraining 1,000 tok" in text
    expected = plan.LOADING + 60_000 / 1_000
    told = [line.split() for line in text.splitlines() if line.startswith("  base ")][-1]
    assert told == ["base", *(2 * [str(round(expected)), "s"])]


def test_command_line(capsys, tmp_path):
    words = ["plan", "scale=smoke", f"runs={tmp_path / 'none'}", "until=base"]
    assert cli.main([*words, "--no-probe", "--card", "24"]) == 0
    assert "24 GB: everything fits" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    assert cli.main([*words, "--card", "0"]) == 2
    assert cli.main(["plan", "until=nowhere"]) == 2
    assert "there is no stage nowhere" in capsys.readouterr().err


def test_the_table_in_docs_is_what_plan_computes():
    assert table() in (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
