"""What is not installed is refused in one sentence that names the extra."""

import importlib.machinery
import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch
from trl import GRPOTrainer
from trl.generation.vllm_generation import VLLMGeneration

from r1repro import config as configuration
from r1repro import cores
from r1repro.errors import R1ReproError
from r1repro.runner.graph import find
from r1repro.runner.workspace import Workspace
from r1repro.stages import engines
from r1repro.stages.engines import check_engine
from r1repro.training import sharding
from r1repro.training.trl_adapter import PackedGRPOTrainer, check_overrides


def _compose(*overrides):
    return configuration.compose(["scale=smoke", *overrides])


def test_the_default_needs_nothing(monkeypatch):
    monkeypatch.setattr(engines, "find_spec", lambda name: pytest.fail(name))
    check_engine(_compose())


@pytest.mark.parametrize(
    ("overrides", "package", "extra"),
    [
        (["engine.quantized=true", "engine.lora_rank=4"], "bitsandbytes", ".[quantized]"),
        (["engine.unsloth=true"], "unsloth", ".[unsloth]"),
        (["engine.rollouts=vllm"], "vllm", ".[vllm]"),
        (["engine.rollouts=vllm_server"], "vllm", ".[vllm]"),
        (
            ["engine.attention=flash_attention_2", "engine.precision=bfloat16"],
            "flash_attn",
            "pip install flash-attn",
        ),
        (["engine.report_to=wandb"], "wandb", "pip install wandb"),
        (["engine.report_to=tensorboard"], "tensorboard", "pip install tensorboard"),
    ],
)
def test_absent_packages_are_named(monkeypatch, overrides, package, extra):
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(R1ReproError) as refused:
        check_engine(_compose(*overrides))
    said = str(refused.value)
    assert overrides[0] in said and f"package {package}" in said and extra in said
    assert "\n" not in said


def test_weights_are_shared_out_among_gpus_only(monkeypatch):
    monkeypatch.setattr(cores, "_GPUS", ("/no/such/device",))
    with pytest.raises(R1ReproError, match=r"engine\.sharded=true needs GPUs to shard the weights"):
        check_engine(_compose("engine.sharded=true", "launch.processes=2"))
    sharding.check(SimpleNamespace(fsdp=None), torch.nn.Linear(1, 1))
    with pytest.raises(R1ReproError, match=r"engine\.sharded=true sharded nothing"):
        sharding.check(SimpleNamespace(fsdp=True), torch.nn.Linear(1, 1))


def test_without_a_gpu_a_package_that_is_there_is_of_no_use(monkeypatch):
    monkeypatch.setattr(
        engines, "find_spec", lambda name: importlib.machinery.ModuleSpec(name, None)
    )
    monkeypatch.setattr(cores, "_GPUS", ("/no/such/device",))
    with pytest.raises(R1ReproError, match=r"engine\.rollouts=vllm needs a GPU"):
        check_engine(_compose("engine.rollouts=vllm"))
    check_engine(_compose("engine.report_to=wandb"))


@pytest.mark.parametrize(
    ("patch", "said"),
    [
        ("import trl\ntrl.GRPOTrainer._compute_loss = lambda *given: None", "_compute_loss"),
        ("raise OSError(2)", "OSError"),
    ],
)
def test_unsloth_is_tried_before_trl_in_a_process_of_its_own(tmp_path, monkeypatch, patch, said):
    """A stand-in that patches TRL's class when it is imported, as Unsloth does."""
    (tmp_path / "unsloth.py").write_text(patch)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{configuration.ROOT}")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(cores, "_GPUS", (str(tmp_path),))
    with pytest.raises(R1ReproError, match="unsloth") as refused:
        check_engine(_compose("engine.unsloth=true"))
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_our_methods_are_in_force_unless_something_takes_their_place(monkeypatch):
    check_overrides()
    foreign = ModuleType("unsloth_compiled")
    exec("def patched(self, *args): ...", foreign.__dict__)
    for kind, whose, name in (
        (GRPOTrainer, "GRPOTrainer", "_generate_and_score_completions"),
        (GRPOTrainer, "GRPOTrainer", "_save_checkpoint"),
        (PackedGRPOTrainer, "GRPOTrainer", "training_step"),
        (VLLMGeneration, "VLLMGeneration", "sync_weights"),
        (VLLMGeneration, "VLLMGeneration", "_iter_named_params"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(kind, name, foreign.patched)
            with pytest.raises(R1ReproError, match=f"{whose} \\({name}\\)"):
                check_overrides()
    check_overrides()


def test_unsloth_after_trl_is_refused():
    assert "trl" in sys.modules
    with pytest.raises(R1ReproError, match="before TRL is imported"):
        engines.import_unsloth()


@pytest.mark.parametrize(
    ("override", "changed", "same"),
    [
        ("engine.precision=bfloat16", ["base", "evaluate_base", "r1_zero"], []),
        ("engine.lora_rank=4", ["r1_zero", "dev1", "reward_model"], ["base", "evaluate_base"]),
        ("engine.rollouts=vllm", ["evaluate_base", "r1_zero", "cold_start_data"], ["base"]),
        ("launch.cluster=local", [], ["base", "r1_zero", "comparison"]),
        ("engine.report_to=wandb", [], ["base", "r1_zero", "comparison"]),
    ],
)
def test_a_result_is_keyed_by_what_computed_it(override, changed, same):
    before, after = Workspace(_compose()).keys, Workspace(_compose(override)).keys
    assert [name for name in (*changed, *same) if before[name] != after[name]] == changed


def test_data_do_not_depend_on_how_others_train():
    """Beyond their input, whose key has it."""
    stage = find("rejection_sampling")
    before, after = (
        Workspace(_compose(*words)).settings(stage) for words in ([], ["engine.lora_rank=4"])
    )
    assert before == after
