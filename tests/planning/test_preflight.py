"""What is refused before anything runs, and what is found in the hub's cache."""

import json
from dataclasses import replace

import pytest

from r1repro import cli, hub
from r1repro.config import compose, models, save
from r1repro.errors import R1ReproError
from r1repro.notebook import open_run
from r1repro.planning import preflight
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.tasks.datasets import SOURCES

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no network whatever this machine has."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.folder.cache_clear()
    yield tmp_path / "hub"
    hub.folder.cache_clear()


def fetched(cache, kind, named, files):
    """A repository in the cache, laid out as the hub's own library does; no branch where pinned."""
    repository, revision = hub.parts(named)
    folder = cache / f"{kind}s--{repository.replace('/', '--')}"
    place = folder / "snapshots" / (COMMIT if revision == "main" else revision)
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    if revision == "main":
        (folder / "refs").mkdir()
        (folder / "refs" / "main").write_text(COMMIT)
    return place


def test_a_model_in_the_cache_is_found_whole_or_not_at_all(cache):
    weights = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    files = {
        "config.json": "{}", "tokenizer.json": "{}", "model-1.safetensors": "x",
        "model.safetensors.index.json": json.dumps(weights),
    }  # fmt: skip
    place = fetched(cache, "model", "some/model", files)
    assert hub.folder("some/model", "model") is None
    assert hub.missing_weights(place) == "model-2.safetensors"
    (place / "model-2.safetensors").write_text("x")
    hub.folder.cache_clear()
    assert hub.folder("some/model", "model") == place
    assert hub.folder("some/other", "model") is None
    for broken in (
        '{"weight_map": [',
        '{"weight_map": {"a": 1}}',
        "[]",
        '{"weight_map": {"a": []}}',
    ):
        (place / "model.safetensors.index.json").write_text(broken)
        assert hub.missing_weights(place) == "readable model.safetensors.index.json"


FILES = dict.fromkeys(("config.json", "tokenizer.json", "model.safetensors"), "{}")
ROW = {"question": "What is 3+4?", "answer": "#### 7"}
SPLITS = dict.fromkeys(("train.jsonl", "test.jsonl"), json.dumps(ROW))


def listed(place, sizes):
    """What the hub's library writes beside a snapshot: the repository's files at that commit."""
    files = {name: {"size": size, "blob_id": "0" * 40} for name, size in sizes.items()}
    trees = place.parents[1] / "trees"
    trees.mkdir()
    (trees / f"{COMMIT}.json").write_text(json.dumps({"format_version": 1, "files": files}))


def _dangling(place):
    (place / "test.jsonl").unlink()
    (place / "test.jsonl").symlink_to("../../blobs/gone")


def _empty(place):
    (place / "test.jsonl").write_text("")


def _broken_off(place):
    (place.parents[1] / "blobs").mkdir()
    (place.parents[1] / "blobs" / "abc.0123.incomplete").write_text("{")


def _nothing(place):
    for file in place.iterdir():
        file.unlink()


@pytest.mark.parametrize("harm", [_dangling, _empty, _broken_off, _nothing])
def test_a_data_set_without_a_listing_is_refused_where_it_looks_unfinished(cache, harm):
    place = fetched(cache, "dataset", "some/data", SPLITS)
    assert hub.folder("some/data", "dataset") == place
    harm(place)
    hub.folder.cache_clear()
    assert hub.folder("some/data", "dataset") is None
    with pytest.raises(R1ReproError, match="is incomplete .*: delete .*--data and fetch it again"):
        hub.fetch("some/data", "dataset")


def test_a_data_set_is_whole_by_the_listing_of_its_commit(cache):
    place = fetched(cache, "dataset", "some/data", SPLITS | {"none.csv": ""})
    sizes = {name: len(text) for name, text in SPLITS.items()} | {"none.csv": 0, "load.py": 9}
    listed(place, sizes)
    _broken_off(place)  # of another commit
    assert hub.folder("some/data", "dataset") == place
    hub.folder.cache_clear()
    (place / "test.jsonl").write_text("{}")
    assert hub.folder("some/data", "dataset") is None
    assert hub.damaged(place, "some/data", "dataset") == "test.jsonl"
    (place / "test.jsonl").unlink()  # a run broken off between two files
    hub.folder.cache_clear()
    assert hub.folder("some/data", "dataset") is None
    with pytest.raises(R1ReproError, match="could not be downloaded"):
        hub.fetch("some/data", "dataset")


@pytest.mark.parametrize("command", ["run", "fetch"])
def test_a_run_without_its_model_ends_before_anything_starts(cache, capsys, command):
    assert cli.main([command, "scale=gpu", "model=qwen2.5-1.5b", "task=gsm8k"]) == 2
    said = capsys.readouterr().err
    assert "run `r1repro fetch`" not in said  # which may be what runs
    for part in (
        "the model Qwen/Qwen2.5-1.5B at revision 8faed761d45a263340a0528343f099c05c9a4323 could",
        "where there is one, `r1repro fetch` fills",
        "model.path=", "scale=laptop",
    ):  # fmt: skip
        assert part in said
    assert said.count("\n") == 1


def test_fetch_says_what_is_there(cache, capsys):
    words = ["scale=gpu", "model=qwen2.5-1.5b", "task=gsm8k"]
    names = [model.hub for model in models(compose(words)).values()]
    for name in names:
        fetched(cache, "model", name, FILES)
    row = {"question": "What is 3+4?", "answer": "#### 7"}
    for name, file in (("gsm8k", "main/train.jsonl"), ("mgsm_zh", "zh/test.jsonl")):
        names.append(SOURCES[name].hub)
        fetched(cache, "dataset", names[-1], {file: json.dumps(row)})
    assert cli.main(["fetch", *words]) == 0
    said = capsys.readouterr().out
    assert len(set(names)) == 5
    for name in names:
        assert "{}, commit {}: already here".format(*hub.parts(name)) in said
    assert cli.main(["fetch"]) == 0
    assert "nothing to fetch" in capsys.readouterr().out


def test_a_run_that_ends_before_the_students_needs_none_of_them(cache, monkeypatch):
    config = compose(["scale=gpu", "model=qwen2.5-math-1.5b", "task=word_problems"])
    fetched(cache, "model", config.model.hub, FILES)
    (said,) = preflight.fetch(config, ["base", "evaluate_base", "r1_zero"])
    assert config.model.hub.partition("@")[0] in said
    weighed = []
    monkeypatch.setattr(preflight, "_bytes", lambda _, shape: weighed.append(shape.name) or 0)
    preflight._check_disk(config, ["base", "evaluate_base", "r1_zero"])
    assert weighed == [config.model.name]
    with pytest.raises(R1ReproError, match="could not be downloaded"):
        list(preflight.fetch(config, ["r1_zero", "llama_base"]))


def test_a_run_is_opened_again_without_the_models_that_it_did_not_use(cache, tmp_path):
    config = compose(["scale=gpu", "model=qwen2.5-math-1.5b", "task=word_problems"])
    save(config, tmp_path / "resolved.yaml")
    assert open_run(tmp_path / "resolved.yaml").config.model == config.model
    words = ["scale=gpu", "model=qwen2.5-math-1.5b", "task=word_problems", f"runs={tmp_path}"]
    run = open_run("", words, build_missing=False)
    with pytest.raises(R1ReproError, match="is not built"):
        run.stage("base")
    with pytest.raises(R1ReproError, match="could not be downloaded"):
        replace(run, build_missing=True).stage("base")
    with pytest.raises(R1ReproError, match="could not be downloaded"):
        open_run("", words, build_missing=True)


def test_a_teacher_of_the_hub_is_fetched_and_its_commit_is_in_the_key(cache):
    config = compose(["scale=gpu", "model=qwen2.5-0.5b", "student.teacher=some/teacher"])
    for model in set(models(config).values()):
        fetched(cache, "model", model.hub, FILES)
    with pytest.raises(R1ReproError, match="the model some/teacher at revision main could not be"):
        list(preflight.fetch(config))
    fetched(cache, "model", "some/teacher", FILES)
    hub.folder.cache_clear()
    assert f"model some/teacher, commit {COMMIT}: already here" in list(preflight.fetch(config))
    told = Workspace(config).settings(find("teacher_sampling", config))
    assert (told["student.teacher"], told["student.teacher.hub"]) == ("some/teacher", COMMIT)


@pytest.mark.parametrize("named", ["models/my model", "a/b/c", "模型", "models/模型@main"])
def test_what_is_neither_a_folder_nor_a_name_at_the_hub(cache, capsys, named):
    words = ["scale=gpu", "model=qwen2.5-0.5b", f"student.teacher={named}"]
    for command in ("plan", "run"):
        assert cli.main([command, *words]) == 2
        said = capsys.readouterr().err
        assert (
            f"error: {named} is neither a file or folder here nor a name on the hub: check" in said
        )
        assert said.count("\n") == 1


def test_a_stage_that_memory_cannot_hold_is_told_before(monkeypatch):
    config = compose(["scale=gpu", "model=qwen2.5-32b", "engine.lora_rank=0"])
    monkeypatch.setattr("os.sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**22}.get)
    with pytest.raises(R1ReproError, match="needs about .* GiB and this"):
        preflight.check_room(config, ["r1_zero"])
    preflight.check_room(compose([]), ["r1_zero"])


def test_a_full_disk_is_told_before(monkeypatch, tmp_path):
    config = compose([f"runs={tmp_path}"])
    monkeypatch.setattr(preflight, "_bytes", lambda config, shape: 10**15)
    with pytest.raises(
        R1ReproError, match="need about .* GB under .* set runs=FOLDER on a larger disk"
    ):
        preflight.check_room(config, ["evaluate_base", "r1_zero"])
    preflight.check_room(config, ["evaluate_base"])  # keeps no model
    preflight.check(config)  # a notebook that is opened asks for no room
