"""General data of a person's own: read, in R1's form, apart from evaluations, and in the keys."""

import json

import pytest

from r1repro.config import GeneralConfig
from r1repro.config import compose as compose_all
from r1repro.errors import R1ReproError
from r1repro.runner.workspace import Workspace
from r1repro.stages import rejection_sampling, reward_model, rl
from r1repro.tasks import own_general, worlds
from r1repro.tasks.problem import GENERAL
from r1repro.text.tags import read

SFT = [
    {"prompt": f"Write a line about {thing}.", "completion": f"A {thing} is fine."}
    for thing in ("rain", "tea", "Rome", "bread", "snow")
]
PAIRS = [
    {"prompt": row["prompt"], "chosen": row["completion"], "rejected": "No."} for row in SFT
]  # fmt: skip


@pytest.fixture
def file(tmp_path):
    def written(*rows, name="rows.jsonl"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return written


@pytest.fixture
def compose(compose):
    return lambda *settings: compose("model=qwen2.5-0.5b", *settings)


def test_answers_are_put_in_r1s_form():
    whole = "<think>so</think>\nFine. <answer>Yes</answer>"
    assert own_general.in_form(whole) == whole
    assert own_general.in_form("so</think>Yes") == "<think>so</think>\n<answer>Yes</answer>"
    plain = own_general.in_form("A rain.\nTwo lines.")
    assert plain == "<think>\n</think>\n<answer>A rain.\nTwo lines.</answer>"
    assert read(plain).answer == "A rain.\nTwo lines."


def test_questions_and_answers_are_text_or_chats(file):
    chat = [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Hello."}]
    path = file(SFT[0], SFT[0], {"prompt": "你好？", "completion": "你好。"}, {"completion": chat})
    found = own_general.completions(GeneralConfig(sft=path))
    assert [asked.prompt for asked, _ in found] == [SFT[0]["prompt"], "你好？", "Hi?"]
    assert [asked.language for asked, _ in found] == ["en", "zh", "en"]
    assert {asked.task for asked, _ in found} <= set(GENERAL)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"prompt": "Hi?"}, "row 1 has no field completion"),
        ({"completion": "Hi."}, "row 1 has no field prompt"),
        ({"prompt": "Hi?", "completion": ""}, "row 1: completion must be non-empty text"),
        ({"prompt": None, "completion": "Hi."}, "row 1: prompt must be non-empty text"),
    ],
)
def test_a_row_without_them_is_named(file, row, said):
    with pytest.raises(R1ReproError, match=said):
        own_general.completions(GeneralConfig(sft=file(row)))
    with pytest.raises(R1ReproError, match="holds no rows"):
        own_general.completions(GeneralConfig(sft=file(name="empty.jsonl")))
    same = {"prompt": "Hi?", "chosen": "a", "rejected": "a"}
    with pytest.raises(R1ReproError, match="chosen and rejected are the same"):
        own_general.pairs(GeneralConfig(pairs=file(same, name="pairs.jsonl")))


def test_the_part_of_a_data_set_comes_from_the_file_and_says_when_it_is_short(
    compose, file, capsys
):
    config = compose(f"general.sft={file(*SFT)}")
    rows = rejection_sampling._general(config, 3)
    assert len(rows) == 3 and capsys.readouterr().out == ""
    assert all(read(row["completion"]).answer.startswith("A ") for row in rows)
    assert len(rejection_sampling._general(config, 9)) == len(SFT)
    assert "5 rows instead of the 9 that general_share=" in capsys.readouterr().out
    items = len(worlds.of(config.task).general_train)
    assert len(rejection_sampling._general(compose(), 10**5)) == items
    said = capsys.readouterr().out
    assert f"{items:,} rows instead of the 100,000" in said and "general.sft=FILE" in said


def test_pairs_are_split_by_question_and_hold_no_held_out_one(compose, file):
    config = compose()
    asked = worlds.of(config.task).test[0].prompt
    held = {"prompt": asked, "chosen": "Yes.", "rejected": "No."}
    config = compose(f"general.pairs={file(*PAIRS, *PAIRS, held)}")
    found = reward_model.own_pairs(config)
    assert len(found) == 2 * len(PAIRS)
    by_split = {split: {r["problem_id"] for r in found if r["split"] == split} for split in
                ("train", "held out")}  # fmt: skip
    assert len(by_split["held out"]) == 1 and not by_split["train"] & by_split["held out"]
    assert found[0]["chosen"].startswith("Write a line about ")


def test_rl_asks_the_questions_of_the_file(compose, file):
    config = compose(f"general.sft={file(*SFT)}")
    settings = config.stage.r1
    asked = [p for p in rl.scenarios(config, settings) if p.task in GENERAL]
    assert asked and {p.prompt for p in asked} <= {row["prompt"] for row in SFT}


def test_only_the_stages_that_read_the_files_have_other_keys(compose, file):
    plain, path = Workspace(compose()).keys, file(*SFT)
    other = Workspace(compose(f"general.sft={path}")).keys
    changed = {name for name in plain if plain[name] != other[name]}
    assert {"rejection_sampling", "dev3", "r1"} <= changed
    assert not changed & {"base", "r1_zero", "cold_start_data", "dev1", "dev2"}
    file(*SFT, *PAIRS)
    assert Workspace(compose(f"general.sft={path}")).keys["dev3"] != other["dev3"]


def test_what_cannot_be_is_refused(file, tmp_path):
    with pytest.raises(R1ReproError, match="general.sft=.* null with models trained here"):
        compose_all([f"general.sft={file(*SFT)}"])
    with pytest.raises(R1ReproError, match="general.pairs=.* an existing file, \\.jsonl, "):
        compose_all(["scale=gpu", "model=qwen2.5-0.5b", f"general.pairs={tmp_path}/none.jsonl"])
