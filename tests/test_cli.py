import os
import subprocess
import sys
from pathlib import Path

import pytest

from r1repro import cli, launch
from r1repro.config import ROOT
from r1repro.errors import StageFailed


def cli_run(*words: str, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "r1repro", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("sed=3", "error: `sed`"),
        ("seed=ten", "error: seed=ten is not accepted"),
        ("model.kv_heads=3", "error: model.kv_heads=3"),
        ("--from base_model", "error: there is no stage base_model: the stages are "),
        ("--until end", "error: there is no stage end"),
        ("from=r1_zero", "error: `from=r1_zero` is not a setting: write `--from STAGE`"),
        ("until=r1_zero", "error: `until=r1_zero` is not a setting: write `--until STAGE`"),
    ],
)
def test_what_a_person_can_mend_ends_in_two(override, said, tmp_path, capsys):
    assert cli.main(["run", "scale=smoke", f"runs={tmp_path}", *override.split()]) == 2
    written = capsys.readouterr()
    assert written.err.startswith(said) and written.err.count("\n") == 1
    assert len(written.err) < 300
    assert not list(tmp_path.iterdir())


def test_broken_stage_ends_in_one(monkeypatch, tmp_path, capsys):
    def broken(config, **stages):
        raise StageFailed("stage base, notebook 00_base_model.ipynb: it fell")

    monkeypatch.setattr(launch, "run", broken)
    assert cli.main(["run", "scale=smoke", f"runs={tmp_path}"]) == 1
    assert capsys.readouterr().err == "error: stage base, notebook 00_base_model.ipynb: it fell\n"


def test_folder_that_cannot_be_written_ends_in_two(tmp_path, capsys):
    (tmp_path / "taken").write_text("a file")
    assert cli.main(["run", "scale=smoke", f"runs={tmp_path / 'taken'}"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "taken" in said and said.count("\n") == 1


def test_a_world_without_so_many_problems_is_refused_before_anything_runs(tmp_path, capsys):
    words = ["run", "scale=smoke", f"runs={tmp_path}", "task.test_problems=20000"]
    assert cli.main(words) == 2
    assert "task.test_problems=20000" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_interrupt(monkeypatch, capsys):
    def interrupted(config, **stages):
        raise KeyboardInterrupt

    monkeypatch.setattr(launch, "run", interrupted)
    assert cli.main(["run", "scale=smoke"]) == 130
    assert "to resume" in capsys.readouterr().err


def test_last_line_is_the_report(monkeypatch, capsys):
    monkeypatch.setattr(launch, "run", lambda config, **stages: Path("r/report.html"))
    assert cli.main(["run", "scale=smoke"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "report: r/report.html"


def test_publish_of_a_missing_folder(tmp_path, capsys):
    assert cli.main(["publish", str(tmp_path / "none")]) == 2
    assert "no run at" in capsys.readouterr().err


def test_publish_refuses_before_it_loads_what_writes_versions(tmp_path):
    (tmp_path / "manifest.json").write_text('{"scale": "smoke", "finished": false}')
    code = (
        "import sys\nfrom r1repro import cli\n"
        "assert cli.main(['publish', sys.argv[1]]) == 2\n"
        "print([n for n in ('pandas', 'scipy', 'matplotlib', 'nbformat') if n in sys.modules])"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert "is at scale=smoke, where nothing is learned" in done.stderr
    assert done.stdout.strip() == "[]"


def test_doctor_of_what_is_no_run(tmp_path, capsys):
    assert cli.main(["doctor", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and "is not a run folder" in said and said.count("\n") == 1


def test_from_anywhere_without_loading_torch(tmp_path):
    done = cli_run("run", "sed=3", cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.startswith("error: `sed`")
    code = (
        "import sys\nfrom r1repro import cli, config, notebook\n"
        "from r1repro.runner import sequence, workspace\n"
        "space = workspace.Workspace(config.compose(['scale=smoke']))\n"
        "sequence.run_folder(space)\n"
        "print([name for name in ('torch', 'transformers', 'trl') if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("wrong", ["model.path=/none/here", "task.path=/none/here.jsonl"])
def test_a_path_that_is_not_there_is_named_before_what_goes_with_it(wrong, capsys):
    model = ["model=local"] if wrong.startswith("model") else []
    assert cli.main(["plan", *model, wrong]) == 2  # at scale=laptop neither would be taken
    said = capsys.readouterr().err
    assert said.startswith(f"error: {wrong} is not accepted") and said.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "written"),
    [
        ("fetch", "~/.cache/huggingface"),
        ("join", "runs/SCALE-TASK-Nseeds-HASH/report.html"),
        ("compare", "compare-FIRST-SECOND.md in the current folder"),
    ],
)
def test_help_says_where_it_writes_and_gives_an_example(command, written, capsys):
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    said = capsys.readouterr().out
    assert written in said and f"  r1repro {command} " in said


def test_help_and_no_command():
    assert "scale=smoke" in cli_run("run", "--help").stdout
    assert cli_run().returncode == 2


def test_multirun_may_stand_anywhere_among_the_settings(monkeypatch, capsys):
    seen = []

    def run_seeds(configs, *stages):
        seen.append([config.seed for config in configs])
        return "x"

    monkeypatch.setattr(launch, "run_seeds", run_seeds)
    for words in (
        ["--multirun", "scale=smoke", "seed=0,1"],
        ["scale=smoke", "--multirun", "seed=0,1"],
        ["scale=smoke", "seed=0,1", "-m"],
    ):
        assert cli.main(["run", *words]) == 0
    assert seen == [[0, 1]] * 3 and "report: x" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main(["run", "scale=smoke", "--no-such-option", "seed=0"])


def test_a_wrong_name_gets_the_nearest_and_where_all_are(tmp_path, capsys):
    wrong = ["run", "scale=smoke", f"runs={tmp_path}", "--from", "r1zero"]
    for words in (wrong, ["chat", "r1zero"]):
        assert cli.main(words) == 2
        nearest = "r1_zero, evaluate_r1_zero, r1"
        told = f"the stages are {nearest} and others (`r1repro plan` lists all "
        assert told in capsys.readouterr().err
