"""What distillation has cost, from stored results, without loading a model."""

import pandas as pd
import pytest
from transformers import AutoModelForCausalLM, LlamaConfig

from r1repro.artifacts import StageResult
from r1repro.stages.student_data import distillation_flops, stored_parameters, training_data
from tests.tiny import SHAPE


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_parameters_are_counted_once_from_any_number_of_files(tmp_path, tied, shard):
    config = LlamaConfig(vocab_size=50, tie_word_embeddings=tied, **SHAPE)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "20KB")
    assert stored_parameters(tmp_path) == model.num_parameters()


def test_who_wrote_the_data_is_charged_by_its_own_size(tmp_path):
    def result(name, **files):
        (tmp_path / name).mkdir()
        for file, columns in files.items():
            pd.DataFrame(columns).to_parquet(tmp_path / name / f"{file}.parquet")
        return StageResult(name, "key", tmp_path / name, {})

    found = {
        "dev2": result("dev2"),
        "rejection_sampling": result("rejection_sampling", samples={"tokens_sampled": [5, 5]}),
    }
    shape = LlamaConfig(vocab_size=50, **SHAPE)
    model = AutoModelForCausalLM.from_config(shape)
    model.save_pretrained(tmp_path / "dev2" / "model")
    distilled = result("qwen_distilled", metrics={"flops": [1e3, 1e6]})
    assert distillation_flops(distilled, found) == 1e6 + 2 * model.num_parameters() * 5
    told = {"tokens_sampled": [7, 7], "teacher_parameters": [10**9, 10**9]}
    found["teacher_sampling"] = result("teacher_sampling", samples=told)
    assert training_data(found) is found["teacher_sampling"]
    assert distillation_flops(distilled, found) == 1e6 + 2 * 10**9 * 7
