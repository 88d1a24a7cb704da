import json
import re
from pathlib import Path

import pytest

from r1repro import config
from r1repro.errors import R1ReproError
from r1repro.runner.workspace import Workspace
from r1repro.tasks import tokenizer
from r1repro.tasks.datasets import SOURCES


def test_scales_compose():
    assert config.choices("scale") == ["gpu", "laptop", "paper", "pocket", "smoke"]
    for scale in ("gpu", "laptop", "smoke"):
        assert config.compose([f"scale={scale}"]).scale == scale
    pocket = ["scale=pocket", "model=qwen2.5-coder-0.5b", "task=word_problems_en"]
    found = config.compose(pocket)
    assert (found.engine.lora_rank, found.task.max_level) == (32, 3)
    with pytest.raises(R1ReproError, match="scale=pocket is not accepted: .* laptop with a model"):
        config.compose(["scale=pocket"])


def test_the_laptop_is_the_default():
    assert config.compose([]) == config.compose(["scale=laptop"])


def test_a_table_is_a_group():
    assert config.choices("task") == sorted(config.groups.table("task"))
    assert config.compose(["ablation=all"]).ablation.base_forced
    found = config.compose(["scale=gpu", "model=qwen2.5-1.5b", "task=gsm8k"])
    assert (found.model.hidden_size, found.task.test_problems) == (1536, 1319)
    assert (found.student.name, found.student.llama.name) == ("hub", "llama-3.2-1b")


@pytest.mark.parametrize(
    ("words", "steps", "precision"),
    [
        (["scale=gpu"], 400, "float32"),
        (["scale=gpu", "model=qwen2.5-0.5b"], 400, "bfloat16"),
        (["model=qwen2.5-0.5b", "scale=gpu", "stage.r1_zero.steps=7"], 7, "bfloat16"),
        (["scale=paper", "model=qwen2.5-7b", "engine.precision=float32"], 10_400, "float32"),
    ],
)
def test_pretrained_models_have_settings_of_their_own_which_overrides_change(
    words, steps, precision
):
    found = config.compose(words)
    assert (found.stage.r1_zero.steps, found.engine.precision) == (steps, precision)


def test_every_model_and_data_set_of_the_hub_is_pinned():
    found = [source.hub for source in SOURCES.values()]
    for name in config.choices("model"):
        if name not in ("mini_qwen", "local"):
            composed = config.compose([f"model={name}", "scale=gpu"])
            found += [model.hub for model in config.models(composed).values()]
    assert len(found) > 40
    for name in found:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", name), name


def test_override_wins_over_scale():
    found = config.compose(["stage.base.tokens=7000", "scale=smoke", "seed=3"])
    assert (found.stage.base.tokens, found.seed) == (7000, 3)
    assert found.stage.r1_zero.steps == config.compose(["scale=smoke"]).stage.r1_zero.steps


def test_saved_configuration_is_read_back(tmp_path):
    found = config.compose(["scale=smoke", "model.path=null", "stage.r1_zero.lr_rest=1e-3"])
    config.save(found, tmp_path / "resolved.yaml")
    assert config.load(tmp_path / "resolved.yaml") == found
    assert [file.name for file in tmp_path.iterdir()] == ["resolved.yaml"]


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("stage.r1_zero.stpes=3", ["stage.r1_zero.stpes", "stage.r1_zero.steps"]),
        ("sed=3", ["sed", "seed"]),
        ("stage.r1_zero=3", ["a group of settings", "stage.r1_zero.beta", "schema.py has all"]),
        ("seed=ten", ["seed=ten", "whole number"]),
        ("seed=1.5", ["seed=1.5", "whole number"]),
        ("seed=true", ["seed=True", "whole number"]),
        ("seed=null", ["seed=None", "whole number"]),
        ("seed=-1", ["seed=-1", "from 0"]),
        ("stage.base.lr_rest=fast", ["stage.base.lr_rest=fast", "a number"]),
        ("stage.base.tokens=0", ["stage.base.tokens=0", "at least 1"]),
        ("evaluation.top_p=1.5", ["evaluation.top_p=1.5", "at most 1"]),
        ("task.max_level=9", ["task.max_level=9", "from 1 to 8"]),
        ("stage.base.lr_rest=nan", ["stage.base.lr_rest=nan", "from 0 to 1"]),
        ("scale=huge", ["scale=huge", "gpu, laptop, paper, pocket, smoke"]),
        ("scale=null", ["scale=None", "gpu, laptop, paper, pocket, smoke"]),
        ("model=qwen2.5-1b", ["qwen2.5-1.5b, ", "and others (conf/models.yaml has all 18)"]),
        ("task=chess", ["task=chess", "conf/tasks.yaml has all 9"]),
        ("model.architecture=rnn", ["model.architecture=rnn", "qwen3"]),
        ("seed", ["`seed`", "key=value"]),
        ("=3", ["`=3`", "key=value"]),
        ("+new=1", ["`+new=1`", "exists"]),
        ("~seed", ["`~seed`", "exists"]),
        ("seed=1,2", ["`seed=1,2`", "give one"]),
        ("model.kv_heads=3", ["model.kv_heads=3", "model.heads=4"]),
        ("model.head_dim=31", ["model.head_dim=31", "even"]),
        ("stage.r1_zero.generations=1", ["stage.r1_zero.generations=1", "at least 2"]),
        ("stage.r1_zero.steps_per_generation=3", ["save_every=20", "steps_per_generation=3"]),
        ("stage.dev2.raised_at=9", ["stage.dev2.raised_cap=null", "one says when"]),
        ("stage.dev2.raised_cap=300", ["stage.dev2.raised_at=null", "one says when"]),
        ("stage.r1_zero.objective.kl=k4", ["objective.kl=k4", "one of k1, k2, k3"]),
        ("stage.r1_zero.objective.passes=0", ["objective.passes=0", "at least 1"]),
        ("stage.r1_zero.objective.advantage=gea", ["advantage=gea", "group, centred, reward"]),
        ("stage.r1_zero.objective.advantage=gae", ["kl_in=loss", "reward with advantage=gae"]),
        ("stage.r1_zero.objective.lam=0.95", ["lam=0.95", "unless advantage=gae"]),
        ("stage.base.save_every=50", ["stage.base.save_every=50", "log_every=20"]),
        ("evaluation.max_completion_tokens=1000", ["max_completion_tokens=1000", "at most 960"]),
        ("model.path=/no/such/folder", ["model.path=/no/such/folder", "check the path"]),
        ("model.hub=some/model", ["student.qwen.path=null", "model is pretrained"]),
        ("stage.rejection_sampling.general_share=1", ["general_share=1", "below 1"]),
        ("launch.processes=3", ["stage.r1_zero.questions", "launch.processes"]),
        ("evaluation.split=train", ["evaluation.split=train", "validation"]),
        (
            "task.test=aime24",
            ["task.test=aime24", "null with this task, whose problems are generated without end"],
        ),
        ("engine.precision=float16", ["engine.precision=float16", "float32, bfloat16"]),
        ("engine.attention=flash", ["engine.attention=flash", "flash_attention_2"]),
        ("engine.attention=flash_attention_2", ["sdpa or eager", "engine.precision=float32"]),
        ("engine.rollouts=hf", ["engine.rollouts=hf", "own, vllm, vllm_server"]),
        ("engine.report_to=all", ["engine.report_to=all", "tensorboard, wandb, trackio"]),
        ("engine.lora_rank=-1", ["engine.lora_rank=-1", "0"]),
        ("engine.quantized=true", ["engine.quantized=true", "engine.lora_rank is above 0"]),
        ("engine.sharded=true", ["engine.sharded=true", "launch.processes is above 1"]),
        ("launch.cluster=cloud", ["launch.cluster=cloud", "here, local, slurm"]),
        ("student.teacher=some/model", ["student.teacher=some/model", "models trained here"]),
    ],
)
def test_what_is_refused_names_key_value_and_what_is_accepted(override, parts):
    with pytest.raises(R1ReproError) as refused:
        config.compose([override])
    message = str(refused.value)
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def test_batches_are_shared_out_evenly():
    with pytest.raises(R1ReproError) as refused:
        config.compose(["launch.processes=2", "stage.dev1.batch_size=31"])
    for part in ("stage.dev1.batch_size=31", "a multiple of launch.processes=2"):
        assert part in str(refused.value)


def test_vllm_takes_adapters_but_none_beside_weights_in_4_bits():
    words = ["engine.rollouts=vllm", "engine.lora_rank=4"]
    assert config.compose(words).engine.rollouts == "vllm"
    with pytest.raises(R1ReproError) as refused:
        config.compose([*words, "engine.quantized=true"])
    assert "engine.rollouts takes own with engine.quantized=true" in str(refused.value)


def test_steps_that_leave_a_generation_unfinished():
    # TRL's sampler drops the part of a batch that is left, and would train nothing at all.
    with pytest.raises(R1ReproError) as refused:
        config.compose(["scale=smoke", "stage.r1_zero.steps=3", "stage.r1_zero.save_every=4",
                        "stage.r1_zero.steps_per_generation=4"])  # fmt: skip
    for part in ("stage.r1_zero.steps=3", "a multiple of steps_per_generation=4"):
        assert part in str(refused.value)


def test_both_weights_zero():
    with pytest.raises(R1ReproError, match="weight"):
        config.compose(["stage.r1_zero.accuracy_weight=0", "stage.r1_zero.format_weight=0"])


def test_tokenizer_that_cannot_write_the_task(tmp_path: Path):
    vocabulary = {"[UNK]": 0, **{digit: i + 1 for i, digit in enumerate("0123456789")}}
    each = {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": False}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": each,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    (tmp_path / "config.json").write_text("{}")
    paths = [f"{key}.path={tmp_path}" for key in ("model", "student.qwen", "student.llama")]
    with pytest.raises(R1ReproError) as refused:
        config.compose(paths)
    assert "round-trips the tasks" in str(refused.value) and "'+-*='" in str(refused.value)
    (tmp_path / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(R1ReproError, match="tokenizer.json can be read"):
        config.compose(paths)


def test_missing_and_foreign_file(tmp_path):
    with pytest.raises(R1ReproError, match="no configuration at"):
        config.load(tmp_path / "resolved.yaml")
    for content in ("seed: [", "sed: 3", "just words"):
        (tmp_path / "other.yaml").write_text(content)
        with pytest.raises(R1ReproError, match="not a configuration") as refused:
            config.load(tmp_path / "other.yaml")
        assert "\n" not in str(refused.value)


def test_values_leave_out_what_changes_no_result():
    found = config.compose([])
    assert "save_every" not in config.values(found, "stage.r1_zero")
    assert config.values(found, "stage.r1_zero")["generations"] == 16
    assert config.values(found, "seed") == 0


def test_where_a_run_goes_and_reports_to_changes_no_key():
    elsewhere = ["launch.cluster=slurm", "launch.hours=2", "engine.report_to=wandb"]
    first, other = config.compose([]), config.compose(elsewhere)
    for path in ("engine", "launch"):
        assert config.values(first, path) == config.values(other, path)
    assert "cluster" not in config.values(first, "launch")
    seen = config.only(other, ("engine.precision",))
    assert (seen.engine.precision, seen.engine.report_to) == ("float32", "wandb")
    assert seen.engine.lora_rank is None


def test_a_stage_sees_only_what_its_key_is_made_from():
    seen = config.only(config.compose([]), ("task", "stage.base"))
    assert seen.task.name == "mini" and seen.stage.base.tokens > 0
    assert seen.stage.base.save_every > 0 and seen.runs == "runs"
    assert seen.model is None and seen.seed is None and seen.evaluation is None
    assert seen.stage.r1_zero.steps is None and seen.stage.r1_zero.save_every > 0


def test_relative_runs_are_in_the_checkout(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert config.runs_folder(config.compose([])) == config.ROOT / "runs"
    assert config.runs_folder(config.compose([f"runs={tmp_path}"])) == tmp_path.resolve()


def test_a_raised_cap_is_no_lower_and_fits_the_positions():
    rise = "stage.r1_zero.raised_at=9"
    for cap, accepted in ((255, "at least .*max_completion_tokens=256"), (961, "at most 960")):
        with pytest.raises(R1ReproError, match=f"r1_zero.raised_cap={cap}.*{accepted}"):
            config.compose([rise, f"stage.r1_zero.raised_cap={cap}"])
    assert config.compose([rise, "stage.r1_zero.raised_cap=960"]).stage.r1_zero.last_cap == 960


def test_the_papers_settings_take_models_from_folders(tmp_path, monkeypatch):
    with pytest.raises(R1ReproError, match=r"max_completion_tokens=32768.*model\.path"):
        config.compose(["scale=paper"])
    tokenizer.train(["计算1+2。"] * 3).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    paths = [f"{key}.path=model" for key in ("model", "student.qwen", "student.llama")]
    found = config.compose(["scale=paper", *paths])
    assert found.student.llama.path == str(tmp_path / "model")
    zero = found.stage.r1_zero
    assert [zero.cap(step) for step in (0, 8_207, 8_208, 10_399)] == 2 * [32_768] + 2 * [65_536]
    assert found.stage.dev2.last_cap == found.stage.qwen_rl.last_cap == 32_768
    assert (found.stage.qwen_distilled.lr_rest, found.stage.llama_distilled.lr_rest) == (1e-4, 5e-5)
    with pytest.raises(R1ReproError, match=r"student\.llama\.path=null.*cannot be mixed"):
        config.compose(["scale=paper", "evaluation.max_completion_tokens=256", *paths[:2]])
    with pytest.raises(R1ReproError, match=r"student\.llama\.path=.*there is no such folder"):
        config.compose(["scale=paper", *paths[:2], "student.llama.path=elsewhere"])


def test_a_sweep_is_over_seeds_alone():
    found = config.sweep(["scale=smoke", "seed=0,2", "base_seed=1"])
    assert [(c.seed, c.base_seed, c.scale) for c in found] == [
        (0, 1, "smoke"),
        (2, 1, "smoke"),
    ]
    with pytest.raises(R1ReproError, match=r"varies stage\.r1_zero\.steps"):
        config.sweep(["seed=0,1", "stage.r1_zero.steps=8,16"])
    with pytest.raises(R1ReproError, match="seed=x is not accepted"):
        config.sweep(["seed=0,x"])
    with pytest.raises(R1ReproError, match="both lists"):
        config.sweep(["seed=0,1", "base_seed=0,1"])
    with pytest.raises(R1ReproError, match="seed=1 is given twice"):
        config.sweep(["seed=1,1"])


def test_an_objective_at_its_defaults_is_in_no_key():
    """Results of before there were variants stay valid; with a variant they are others."""
    plain, other = config.compose(), config.compose(["stage.dev2.objective.kl=k2"])
    assert "objective" not in config.values(plain, "stage.dev2")
    found = config.values(other, "stage.dev2")["objective"]
    assert (found["kl"], found["advantage"]) == ("k2", "group")
    before, after = Workspace(plain).keys, Workspace(other).keys
    assert before["dev1"] == after["dev1"] and before["dev2"] != after["dev2"]


PPO = [f"stage.dev2.objective.{word}" for word in ("advantage=gae", "kl_in=reward", "kl=k1")]


def test_what_ppo_and_process_supervision_are_refused_with():
    assert config.compose(PPO).stage.dev2.objective.advantage == "gae"
    with pytest.raises(R1ReproError, match=r"kl=k3 is not accepted: .* takes k1 with advantage"):
        config.compose(PPO[:2])
    for word in (
        "engine.lora_rank=8", "launch.processes=2", "engine.gradient_checkpointing=true",
    ):  # fmt: skip
        with pytest.raises(R1ReproError, match=r"takes gae only with launch.processes=1, .*lora"):
            config.compose([*PPO, word])
    process = "stage.dev2.objective.advantage=process"
    assert config.compose([process]).stage.dev2.objective.advantage == "process"
    with pytest.raises(R1ReproError, match="takes loss with advantage=process"):
        config.compose([process, "stage.dev2.objective.kl_in=reward"])
    with pytest.raises(R1ReproError, match="takes process only with task=mini"):
        config.compose([process, "scale=gpu", "model=qwen2.5-0.5b", "task=gsm8k"])


def test_settings_of_ppo_are_in_its_keys_alone():
    """Results of variants that were stored before PPO stay valid."""
    other = config.compose(["stage.dev2.objective.kl=k2"])
    assert set(config.values(other, "stage.dev2")["objective"]) == {
        "advantage", "kl", "kl_in", "normalization", "passes",
    }  # fmt: skip
    ppo = config.compose([*PPO, "stage.dev2.objective.lam=0.95"])
    found = config.values(ppo, "stage.dev2")["objective"]
    assert found["lam"] == 0.95 and "critic_lr" not in found


def test_passes_fill_whole_generations():
    words = ["stage.r1_zero.steps_per_generation=4", "stage.r1_zero.objective.passes=2"]
    found = config.compose([*words, "stage.r1_zero.steps=80", "stage.r1_zero.save_every=8"])
    assert found.stage.r1_zero.updates_per_generation == 8 and found.stage.r1_zero.batches == 40
    with pytest.raises(R1ReproError, match="steps_per_generation=4 times objective.passes=2"):
        config.compose([*words, "stage.r1_zero.steps=84", "stage.r1_zero.save_every=8"])


def test_ablations_that_need_the_mini_world_are_refused_elsewhere():
    pretrained = ["scale=gpu", "model=qwen2.5-0.5b"]
    for name in ("base_forced", "few_shot"):
        switch = f"ablation.{name}=true"
        assert getattr(config.compose([switch]).ablation, name)
        assert getattr(config.compose([*pretrained, "task=mini", switch]).ablation, name)
        with pytest.raises(R1ReproError, match=f"{switch} is not accepted.*unless task=mini"):
            config.compose([*pretrained, "task=gsm8k", switch])
    with pytest.raises(R1ReproError, match="false with model=qwen2.5-0.5b"):
        config.compose([*pretrained, "task=mini", "ablation.small_base=true"])
