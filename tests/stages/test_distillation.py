"""What a stored model's size is, without loading it."""

import pytest
from transformers import AutoModelForCausalLM, LlamaConfig

from r1repro.stages.distillation import stored_parameters
from tests.tiny import SHAPE


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("shard", ["1GB", "20KB"])
def test_parameters_are_counted_once_from_any_number_of_files(tmp_path, tied, shard):
    config = LlamaConfig(vocab_size=50, tie_word_embeddings=tied, **SHAPE)
    model = AutoModelForCausalLM.from_config(config)
    model.save_pretrained(tmp_path, max_shard_size=shard)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shard == "20KB")
    assert stored_parameters(tmp_path) == model.num_parameters()
