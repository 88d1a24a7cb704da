"""What is told of a run before it is made."""

import json
import re
from dataclasses import replace

import pytest

from benchmarks.memory_table import table
from r1repro import artifacts, cli
from r1repro.config import LABS, ROOT
from r1repro.config import compose as composed
from r1repro.planning import plan
from r1repro.planning.expected import Expected
from r1repro.planning.probe import Speed
from r1repro.planning.stage_memory import needs
from r1repro.planning.work import Work
from r1repro.runner.graph import find, graph
from r1repro.runner.workspace import Workspace
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.tasks.tokenizer import train as train_tokenizer

SPEED = Speed(
    pretrained=1_000, sampled=500, learned=200, tuned=100, prompt=30, machine="a machine", seconds=9
)  # fmt: skip


def _text(config, **settings):
    return "\n".join(plan.plan(config, **{"probed": False, **settings}))


def _publish(config, name, runs, write):
    key = Workspace(config).keys[name]
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
        "at most 2,048 tokens (16 of the longest rows), 1 process; 4 steps = 64 completions" in told
    )


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_has_no_students(compose, lab):
    text = _text(compose(f"lab={lab}"))
    assert f"\nlab/{lab}" in text
    assert re.search(r"^  model +[\d,]+ of mini_qwen", text, re.M) and "llama" not in text


def test_what_is_cached_begun_and_built_anew(compose, runs):
    config = compose()
    tokenizer = train_tokenizer(["User: Compute 1+2."])

    def write(folder):
        save_model(from_random_weights(config.model, tokenizer), tokenizer, folder / "model")

    _publish(config, "base", runs, write)
    begun = Workspace(config).work("evaluate_base")
    begun.mkdir(parents=True)
    artifacts.Progress(begun).update(3, 9)
    text = _text(config, until="r1_zero")
    told = text.partition("parameters")[0].splitlines()
    standing = {x.split()[0]: " ".join(x.split()[1:3]) for x in told if x[:2] == "  "}
    assert standing["base"].startswith("cached") and standing["evaluate_base"].startswith("at 3/9")
    assert standing["r1_zero"] == "to build" and "dev1" not in standing
    # The base that stands there has another vocabulary than the configuration says.
    counted = sum(p.numel() for p in from_random_weights(config.model, tokenizer).parameters())
    assert f"{counted:,} of mini_qwen (qwen3, by its config.json)" in text
    again = _text(config, from_stage="base", until="r1_zero")
    assert "0 of them cached" in again and "cached " not in again


def test_data_that_is_of_no_use_is_told_once_and_not_counted(tmp_path):
    (tmp_path / "few.jsonl").write_text('{"question": "1 + 1?", "answer": "2"}\n')
    words = ["scale=gpu", "model=qwen2.5-1.5b", "task=own", f"task.path={tmp_path / 'few.jsonl'}"]
    text = _text(composed(words))
    assert text.count("has 1 problems outside the test set") == 1
    assert "8 samples per held-out problem, whose number is not yet known" in text
    assert "; evaluations are not counted" in text


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
    (told,) = (line for line in text.splitlines() if "80 GB: too small for r1_zero" in line)
    assert told.endswith(f"; fits with {' '.join(changed)}")
    assert "141 GB" not in text and "is not on this machine: run `r1repro fetch`" in text


def test_several_processes_may_share_the_weights_out():
    words = ["scale=gpu", "model=qwen2.5-7b", "engine.lora_rank=0", "launch.processes=8"]
    assert plan.remedy(composed(words), "dev3", 80) == ["engine.sharded=true"]


def test_fits_leaves_a_tenth_and_a_gibibyte():
    assert plan.fits(20 * plan.GIB, 23.0) and not plan.fits(21 * plan.GIB, 24.0)


def test_time_by_hand(compose):
    config = compose("launch.processes=2")
    rl, alike = Work("", completions=10), Expected(length=30, rows=10, row=30, assumed=False)
    found = plan.seconds(config, find("r1_zero", config), rl, alike, SPEED)
    assert found == pytest.approx(plan.LOADING + 10 * 30 / 500 + 10 * (30 + 30) / 200)
    tuned = Expected(length=0, rows=10, row=60, assumed=True)
    found = plan.seconds(config, find("dev1", config), Work(""), tuned, SPEED)
    assert found == pytest.approx(plan.LOADING + 10 * (30 + 60) / 100)
    base, nothing = Work("", pretrained=5_000), Expected(0, 0, 0, False)
    assert plan.seconds(config, find("base", config), base, nothing, SPEED) == plan.FORKED + 5


def test_the_probe_is_extrapolated_stage_by_stage(compose, monkeypatch):
    slow = replace(SPEED, pretrained=500)
    asked = []

    def probed(config, keys):
        asked.extend(keys)
        return {key: slow if key.startswith("student") else SPEED for key in keys}

    monkeypatch.setattr(plan, "probe", probed)
    monkeypatch.setattr(plan.cores, "at_once", lambda: 2)
    text = _text(compose(), probed=True)
    assert asked == ["model", "student.qwen", "student.llama"]
    assert "probe, 27 s, random weights" in text and "pretraining 500, rollouts 500" in text
    told = {}
    for line in text.partition("\ntime")[2].splitlines()[1:]:
        told[line[2:36].strip()] = line[36:].split()
    for name, tokens in (("base", 60_000 / 1_000), ("qwen_base", 20_000 / 500)):
        assert told[name] == [str(round(plan.FORKED + tokens)), "s"]
    assert told["r1_zero"][-1] == told["dev1"][-1] == "assumed"
    # Students are built two at a time.
    config = compose()
    halves = {name for name in told if name != "total" and find(name, config).half}
    seconds = {name: _seconds(words) for name, words in told.items()}
    alone = sum(s for name, s in seconds.items() if name not in {*halves, "total"})
    both = sum(seconds[name] for name in halves)
    assert seconds["total"] == pytest.approx(alone + both / 2, abs=len(told))
    assert "between" in told["total"]


def _seconds(words):
    minutes = words[0].split(":")
    return int(minutes[0]) if len(minutes) == 1 else 60 * int(minutes[0]) + int(minutes[1])


def test_what_is_left_of_a_persons_own_questions(tmp_path, monkeypatch):
    asked = "Count the apples in all of the {} baskets on the long table of house {} today."
    rows = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(70)]
    rows += [{"question": asked.format("seven", n), "answer": "7"} for n in (1, 2)]
    rows += [{"question": "Which of the two is right?", "answer": n} for n in ("1", "2")]
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    test = tmp_path / "test.jsonl"
    test.write_text(json.dumps({"question": asked.format("seven", 3), "answer": "7"}) + "\n")
    words = ["scale=gpu", "model=qwen2.5-1.5b", "task=own", f"task.path={path}"]
    words += [f"task.test_path={test}", "task.validation_problems=5", "task.world_seed=2"]
    text = _text(composed(words))
    assert "67 of 72 questions are for training, 5 are held out for validation and 1" in text
    assert re.search(r"; [12] training questions share 10 words in a row with a held-out one", text)
    assert "1 question of own has rows with different gold answers" in text


def test_command_line(capsys, tmp_path):
    words = ["plan", "scale=smoke", f"runs={tmp_path / 'none'}", "--until", "base"]
    assert cli.main([*words, "--no-probe", "--card", "24"]) == 0
    assert "24 GB: everything fits" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()
    assert cli.main([*words, "--card", "0"]) == 2
    assert cli.main(["plan", "--until", "nowhere"]) == 2
    assert "there is no stage nowhere" in capsys.readouterr().err


def test_the_table_in_docs_is_what_plan_computes():
    assert table() in (ROOT / "docs" / "gpu.md").read_text(encoding="utf-8")
