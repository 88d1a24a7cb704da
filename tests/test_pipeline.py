import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from r1repro import artifacts, pipeline, reports
from r1repro.config import ROOT, Config, load
from r1repro.duration import duration
from r1repro.errors import R1ReproError, StageFailed
from r1repro.stages import find, process, state
from r1repro.stages.display import line, page


@pytest.fixture(autouse=True)
def no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(folder: Path, results: object, config: Config, wall: object) -> Path:
        (folder / "report.html").write_text("report")
        return folder / "report.html"

    monkeypatch.setattr(reports, "build", build, raising=False)


def wait_until(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def test_run_then_rerun_executes_nothing_again(fake_notebooks, compose, capsys):
    config = compose()
    outcome = pipeline.run(config, fake_notebooks)
    assert outcome.report == outcome.folder / "report.html"
    assert (outcome.results["second"].folder / "copy.txt").read_text() == "0"
    assert load(outcome.folder / "resolved.yaml").seed == config.seed
    executed = outcome.folder / "notebooks" / "01_second.ipynb"
    assert json.loads(executed.read_text())["metadata"]["r1repro"]["keys"] == state.keys(config)
    first = (outcome.folder / "notebooks" / "00_first.ipynb").read_text()
    assert "polyline" in first and "pass@1 5.0 % → 50.0 %" in first
    said = capsys.readouterr().out
    assert re.search(r"first +100 % .* pass@1 50.0 % .*tokens/s 1,234", said)
    assert re.search(r"^total +\d+ s$", said, re.MULTILINE)
    before = executed.stat().st_mtime_ns
    began = time.monotonic()
    pipeline.run(config, fake_notebooks)
    assert time.monotonic() - began < 5
    assert executed.stat().st_mtime_ns == before
    assert "done before" in capsys.readouterr().out


def test_changed_notebook_is_executed_again_but_builds_nothing(fake_notebooks, compose, capsys):
    config = compose()
    first = pipeline.run(config, fake_notebooks)
    made = first.results["first"].folder.stat().st_mtime_ns
    source = fake_notebooks / "00_first.ipynb"
    source.write_text(source.read_text().replace(".key", ".folder.name"))
    capsys.readouterr()
    pipeline.run(config, fake_notebooks)
    said = capsys.readouterr().out
    assert "first  done before\n" in said and "100 %" not in said
    assert "first-" in (first.folder / "notebooks" / "00_first.ipynb").read_text()
    assert first.results["first"].folder.stat().st_mtime_ns == made


def test_another_seed_shares_what_does_not_depend_on_it(fake_notebooks, compose):
    one = pipeline.run(compose(), fake_notebooks)
    two = pipeline.run(compose("seed=1"), fake_notebooks)
    assert one.results["first"].folder == two.results["first"].folder
    assert one.results["second"].folder != two.results["second"].folder
    assert one.folder != two.folder


def test_failing_stage_names_stage_notebook_and_reason(fake_notebooks, compose, runs):
    config = compose()
    (runs / "fail").touch()
    with pytest.raises(StageFailed) as failed:
        pipeline.run(config, fake_notebooks)
    for part in ("stage first", "notebook 00_first.ipynb", "ValueError: the tower fell"):
        assert part in str(failed.value)
    copies = pipeline.run_folder(config) / "notebooks"
    assert [file.name for file in copies.iterdir()] == ["00_first.failed.ipynb"]
    assert not (runs / "cache").exists()
    (runs / "fail").unlink()
    outcome = pipeline.run(config, fake_notebooks)
    assert (outcome.results["first"].folder / "begun_at.txt").read_text() == "4"
    assert not (copies / "00_first.failed.ipynb").exists()


def test_stage_that_is_killed_says_so_and_continues(compose, fake_graph, runs):
    config = compose()
    (runs / "die").touch()
    with pytest.raises(StageFailed, match="SIGKILL"):
        process.build(config, "first")
    (runs / "die").unlink()
    result = process.build(config, "first")
    assert (result.folder / "begun_at.txt").read_text() == "4"
    assert not (result.folder / "checkpoints").exists()
    told = "key stage version config inputs code versions hardware seconds files".split()
    assert set(told) <= set(result.manifest)


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGINT])
def test_ending_the_run_ends_the_stage_and_a_rerun_continues(fake_notebooks, compose, runs, sign):
    config = compose()
    (runs / "slow").touch()
    work = state.work_folder(config, "first")
    code = (
        "import sys\nfrom pathlib import Path\nfrom r1repro import config, pipeline\n"
        "try:\n    pipeline.run(config.compose(sys.argv[2:]), Path(sys.argv[1]))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)"
    )
    command = [sys.executable, "-c", code, str(fake_notebooks), "scale=smoke", f"runs={runs}"]
    parent = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: len(artifacts.read_progress(work)) >= 3)
    parent.send_signal(sign)
    _, said = parent.communicate(timeout=60)
    if sign == signal.SIGINT:
        assert (parent.returncode, said) == (130, ""), "the kernel says nothing of it"

    def is_free() -> bool:
        with artifacts.lock(work.with_name(work.name + ".lock")) as held:
            return held is not None

    wait_until(is_free)
    assert not (runs / "cache").exists()
    (runs / "slow").unlink()
    outcome = pipeline.run(config, fake_notebooks)
    assert int((outcome.results["first"].folder / "begun_at.txt").read_text()) >= 2


def test_two_runs_build_a_stage_once(compose, fake_graph, runs):
    config = compose()
    (runs / "slow").touch()
    code = (
        "import sys\nfrom r1repro import config\nfrom r1repro.stages import process\n"
        "process.build(config.compose(sys.argv[1:]), 'first')"
    )
    command = [sys.executable, "-c", code, "scale=smoke", f"runs={runs}"]
    pair = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)]
    folder = state.work_folder(config, "first")
    wait_until(lambda: artifacts.read_progress(folder))
    pair.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
    assert "waiting for it" in pair[1].stdout.readline()
    (runs / "slow").unlink()
    said = [other.communicate(timeout=300)[0] for other in pair]
    assert [other.returncode for other in pair] == [0, 0]
    assert "waiting for it" not in said[0]
    lines = artifacts.read_progress(state.load(config, "first").folder)
    assert [entry["step"] for entry in lines] == list(range(1, 11))


def test_a_distributed_stage_runs_in_as_many_processes_as_told(compose, fake_graph):
    config = compose("launch.processes=2")
    assert process.build(config, "first").manifest["processes"] == 1
    assert process.build(config, "second").manifest["processes"] == 2


def test_more_processes_than_there_are_gpus(compose, fake_graph, monkeypatch):
    monkeypatch.setattr(process, "launcher", lambda processes: [])  # so few are started then
    config = compose("launch.processes=2")
    process.build(config, "first")
    with pytest.raises(StageFailed, match="launch.processes=2 started 1"):
        process.build(config, "second")


def test_damaged_result_is_announced_moved_and_built_again(compose, fake_graph):
    config, said = compose(), []
    result = process.build(config, "first")
    (result.folder / "begun_at.txt").unlink()
    again = process.build(config, "first", announce=said.append)
    assert (again.folder / "begun_at.txt").exists()
    assert "has no begun_at.txt" in said[0] and "built again" in said[0]


def test_other_code_is_announced_and_the_result_used(compose, fake_graph, monkeypatch):
    config, said = compose(), []
    made = process.build(config, "first")
    monkeypatch.setattr(artifacts, "code_hash", lambda: "other")
    assert process.build(config, "first", announce=said.append).manifest == made.manifest
    assert "other code" in said[0]


def test_from_builds_anew_and_until_stops(fake_notebooks, compose, runs):
    early = pipeline.run(compose("until=first"), fake_notebooks)
    assert list(early.results) == ["first"]
    made = early.results["first"].folder
    inode = made.stat().st_ino
    outcome = pipeline.run(compose("from=first"), fake_notebooks)
    assert early.folder.name == f"{outcome.folder.name}-until-first"
    assert made.stat().st_ino != inode
    assert len(list((runs / "replaced").iterdir())) == 1


def test_unknown_stage_and_wrong_order(fake_notebooks, compose):
    with pytest.raises(R1ReproError, match="no stage third: the stages are first, second"):
        pipeline.run(compose("from=third"), fake_notebooks)
    with pytest.raises(R1ReproError, match="until=first comes before from=second"):
        pipeline.run(compose("from=second", "until=first"), fake_notebooks)


def test_missing_notebook(fake_notebooks, compose):
    (fake_notebooks / "01_second.ipynb").unlink()
    with pytest.raises(R1ReproError, match="no notebook 01_second.ipynb"):
        pipeline.run(compose(), fake_notebooks)


def test_run_folder_in_use(fake_notebooks, compose):
    config = compose()
    with (
        artifacts.lock(pipeline.run_folder(config) / "lock"),
        pytest.raises(R1ReproError, match=f"in use by process {os.getpid()}"),
    ):
        pipeline.run(config, fake_notebooks)


def test_keys_follow_what_matters(compose, monkeypatch):
    plain = state.keys(compose())
    for free in ("stage.base.save_every=40", "stage.r1_zero.save_every=1", "until=base"):
        assert state.keys(compose(free)) == plain
    shared = state.keys(compose("launch.processes=2"))
    assert shared["r1_zero"] != plain["r1_zero"] and shared["base"] == plain["base"]
    changed = _changed_by(compose, "seed=1")
    bases = {name for name in plain if re.fullmatch(r"(evaluate_)?(\w+_)?base", name)}
    bases |= {name for name in plain if name.startswith(("base_search", "evaluate_base_"))}
    assert changed == set(plain) - bases
    evaluations = {name for name in plain if name.startswith("evaluate_")}
    searched = {"base_search", "comparison"}
    assert _changed_by(compose, "evaluation.top_p=0.9") == evaluations | searched
    in_depth = {f"evaluate_{name}" for name in ("base", "r1_zero")}
    assert _changed_by(compose, "evaluation.samples=3") == in_depth | {"comparison"}
    alone = _with_evaluations("qwen_base", "llama_base") - {"comparison"}
    assert not alone & _changed_by(compose, "model.layers=3")
    assert state.with_inputs(compose(), "r1_zero") == ["base", "r1_zero"]
    assert find("base").seconds(compose()) > 0


def _changed_by(compose, setting):
    plain, other = state.keys(compose()), state.keys(compose(setting))
    return {name for name in plain if plain[name] != other[name]}


def _with_evaluations(*names):
    return {*names, *(f"evaluate_{name}" for name in names), "comparison"}


def test_a_setting_reruns_its_stage_and_what_follows_and_nothing_else(compose):
    """Down the graph of the paper: base, cold start, reasoning RL, SFT set, second SFT, last RL."""
    last = _with_evaluations("r1")
    assert _changed_by(compose, "stage.r1.steps=3") == last
    assert _changed_by(compose, "stage.reward_model.epochs=2") == last | {"reward_model"}
    third = _with_evaluations("dev3", "r1") | {"reward_model"}
    assert _changed_by(compose, "stage.dev3.epochs=2") == third
    students = {
        checkpoint
        for name in ("qwen", "llama")
        for checkpoint in (f"{name}_distilled", f"{name}_rl", f"{name}_distilled_rl")
    }
    after = _with_evaluations(*students) | {
        f"evaluate_{name}_rl_equal_flops" for name in ("qwen", "llama")
    }
    sampled = after | third | {"rejection_sampling"}
    assert _changed_by(compose, "stage.rejection_sampling.questions=41") == sampled
    second = sampled | _with_evaluations("dev2")
    assert _changed_by(compose, "stage.dev2.steps=3") == second
    first = second | _with_evaluations("dev1") | {"cold_start_data"}
    assert _changed_by(compose, "stage.cold_start_data.questions=41") == first
    own = {name for name in after if name.startswith(("qwen", "evaluate_qwen"))}
    own |= _with_evaluations("qwen_base")
    assert _changed_by(compose, "student.qwen.layers=3") == own


def test_ablations_are_off_until_switched_on_and_change_nothing_else(compose):
    plain, switched = state.keys(compose()), state.keys(compose("ablation=all"))
    assert {name for name in switched if name not in plain} == {
        name
        for checkpoint in (
            "r1_zero_permuted",
            "r1_zero_format_only",
            "r1_zero_equal_weights",
            "dev2_no_language_reward",
            "dev3_reasoning_only",
            "r1_preference_throughout",
            "qwen_rl_plateau",
            "llama_rl_plateau",
        )
        for name in (checkpoint, f"evaluate_{checkpoint}")
    } | {"base_rft_data", "base_rft", "evaluate_base_rft", "evaluate_base_forced"}
    assert {name for name in plain if plain[name] != switched[name]} == {"comparison"}
    with pytest.raises(R1ReproError, match="ablation.reasoning_only=true runs it"):
        find("dev3_reasoning_only", compose())


def test_pace_and_display():
    lines = [
        {"started": 0.0, "time": 50.0, "step": 5, "total": 20, "figures": {}},
        {"started": 100.0, "time": 110.0, "step": 4, "total": 20, "figures": {}},
        {"started": 100.0, "time": 130.0, "step": 8, "total": 20, "figures": {"pass_at_1": 0.5}},
    ]
    found = state.pace(lines, now=130.0)
    assert (found.step, found.total, found.elapsed, found.left) == (8, 20, 80.0, 60.0)
    assert "pass@1 50.0 %" in line("r1_zero", found, lines[-1]["figures"], 90.0, 80.0)
    assert line("r1_zero ", None, {}, 90.0, 187.0) == "r1_zero      –   3:07 min  starting"
    assert [duration(s) for s in (9.4, 187, 3900)] == ["9 s", "3:07 min", "1:05 h"]
    assert duration(None) == duration(float("nan")) == "–"
    assert "polyline" in page("<r1>", lines, found) and "<r1>" not in page("<r1>", lines, found)


def test_estimate_follows_the_speed_of_this_machine(compose, fake_graph, monkeypatch):
    found, names = compose(), ["first", "second"]
    assert state.run_left(found, names, state.seconds_taken(found, names), now=0.0) == 25
    process.build(found, "first")
    taken = state.seconds_taken(found, names)
    assert list(taken) == ["first"]
    assert state.run_left(found, names, taken, now=0.0) == 5  # too little to judge by
    monkeypatch.setattr(state, "TELLING", 10.0)
    assert state.run_left(found, names, {"first": 40.0}, now=0.0) == 10


def test_an_input_that_was_built_anew_makes_what_stands_on_it_be_built_anew(
    compose, fake_graph, runs
):
    found = compose()
    for name in ("first", "second"):
        process.build(found, name)
    artifacts.set_aside(state.result_folder(found, "first"), runs)
    assert state.is_done(found, "second")  # its input is away, and may come back as it was
    process.build(found, "first")
    with pytest.raises(artifacts.Damaged, match="made from another first"):
        state.load(found, "second")
    said = []
    process.build(found, "second", announce=said.append)
    assert "made from another first" in said[0] and state.is_done(found, "second")


def test_several_seeds_are_run_and_then_joined(compose, monkeypatch, tmp_path):
    from types import SimpleNamespace

    from r1repro.reports import seeds

    ran, aside = [], []

    def run(config):
        ran.append((config.seed, config.from_stage))
        return SimpleNamespace(folder=tmp_path / f"run-{config.seed}")

    monkeypatch.setattr(pipeline, "run", run)
    monkeypatch.setattr(pipeline, "_set_aside_from", lambda config: aside.append(config.seed))
    monkeypatch.setattr(seeds, "join", lambda folders, target: (folders, target.name))
    configs = [compose(f"seed={seed}", "from=r1_zero") for seed in (0, 1)]
    folders, name = pipeline.run_seeds(configs)
    assert ran == [(0, None), (1, None)] and aside == [0, 1], "set aside before any of them runs"
    assert folders == [tmp_path / "run-0", tmp_path / "run-1"] and "-2seeds-" in name
    with pytest.raises(R1ReproError, match="several seeds"):
        pipeline.run_seeds(configs[:1])
    _, name = pipeline.run_seeds([compose(f"seed={seed}", "until=second") for seed in (0, 1)])
    assert name.endswith("-until-second")


def test_a_stage_that_is_silent_shows_how_long(compose, fake_graph):
    config, now = compose(), time.time()
    work = state.work_folder(config, "first")
    work.mkdir(parents=True)

    def show():
        return pipeline._line(config, "first", ["first", "second"], {}, began=now - 187)

    assert re.match(r"first      –   3:0\d min  starting$", show())
    old = {"started": now - 40_000, "time": now - 36_000, "step": 4, "total": 10, "figures": {}}
    (work / "progress.jsonl").write_text(json.dumps(old) + "\n")
    assert "starting" in show(), "of an earlier session"
    artifacts.Progress(work).update(6, 10)
    assert re.match(r"first   60 %     1:06 h", show())


def test_the_last_table_has_columns_for_long_names_and_a_total(capsys):
    results = {
        name: artifacts.StageResult(name, "k", Path(f"{name}-0123"), {"seconds": seconds})
        for name, seconds in (("base", 100.0), ("evaluate_qwen_rl_equal_flops", 20.0))
    }
    pipeline._table(results)
    lines = capsys.readouterr().out.splitlines()[1:]
    places = {
        line.index("-0123") - len(name) for line, name in zip(lines[1:], results, strict=False)
    }
    assert len(places) == 1 and lines[0].index("result") in places
    assert lines[-1].split() == ["total", "2:00", "min"]
