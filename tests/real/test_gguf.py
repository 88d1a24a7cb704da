"""A GGUF file as a folder: its weights, its shape, its special tokens, and what is refused."""

import json

import numpy as np
import pytest
from safetensors import safe_open
from transformers import AutoConfig

from r1repro import gguf
from r1repro.config import compose
from r1repro.errors import R1ReproError
from r1repro.generation.rollouts import Sampling, ends, sample
from r1repro.stages.student_data import stored_parameters

pytestmark = pytest.mark.real

SHAPES = {"smollm2": (134_515_008, "llama", True), "qwen": (630_167_424, "qwen2", False)}


def test_shape_and_parameters_are_the_files(real):
    parameters, architecture, tied = SHAPES[real.name]
    shape = AutoConfig.from_pretrained(real.folder)
    assert (shape.model_type, shape.tie_word_embeddings) == (architecture, tied)
    assert stored_parameters(real.folder) == parameters
    told = json.loads((real.folder / "config.json").read_text())
    assert "quantization_config" not in told
    assert told["vocab_size"] == shape.vocab_size >= len(real.tokenizer)


def test_weights_are_the_dequantized_ones(real):
    from gguf import GGUFReader, dequantize

    tensors = {one.name: one for one in GGUFReader(real.file).tensors}
    names = {
        "token_embd.weight": "model.embed_tokens.weight",
        "blk.3.ffn_down.weight": "model.layers.3.mlp.down_proj.weight",
        "blk.0.attn_v.weight": "model.layers.0.self_attn.v_proj.weight",
        "output_norm.weight": "model.norm.weight",
    }
    with safe_open(real.folder / "model.safetensors", "np") as stored:
        for name, ours in names.items():
            exact = dequantize(tensors[name].data, tensors[name].tensor_type)
            found = stored.get_tensor(ours)
            assert found.dtype == np.float32 and np.array_equal(found, exact), name


def test_the_end_is_in_every_place_that_is_asked(real, model):
    end = real.tokenizer.eos_token_id
    assert ends(model, real.tokenizer) == [end]
    assert model.config.eos_token_id == end and model.config.pad_token_id is not None
    assert real.tokenizer.chat_template == gguf.metadata(real.file)["tokenizer.chat_template"]


def test_it_answers_in_its_own_form_and_ends(real, model):
    turn = {"role": "user", "content": "What is the capital of France? Answer in one sentence."}
    ids = real.tokenizer.apply_chat_template([turn], add_generation_prompt=True)["input_ids"]
    (said,) = sample(
        model, [ids], Sampling(48, 0.0), end_ids=ends(model, real.tokenizer),
        pad_id=real.tokenizer.pad_token_id, seed=0,
    )  # fmt: skip
    assert "Paris" in real.tokenizer.decode(said.token_ids) and said.finished


def test_a_second_reading_converts_nothing(real, monkeypatch):
    monkeypatch.setattr(gguf, "_convert", None)
    assert gguf.converted(real.file, real.folder.parent) == real.folder


def test_a_broken_conversion_leaves_nothing(real, tmp_path, monkeypatch):
    def broken(file, folder):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(gguf, "_convert", broken)
    with pytest.raises(KeyboardInterrupt):
        gguf.converted(real.file, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_off_file_is_refused_in_one_sentence(real, tmp_path):
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(real.file.read_bytes()[:30_000_000])
    with pytest.raises(R1ReproError, match="cut.gguf cannot be read by Transformers .*HF format$"):
        gguf.converted(cut, tmp_path / "cache")
    assert not [*(tmp_path / "cache").glob("*")]


def test_a_run_takes_the_file_as_a_model(real, tmp_path):
    config = compose(
        ["scale=smoke", "model=local", f"runs={tmp_path}"]
        + [f"{key}.path={real.file}" for key in ("model", "student.qwen", "student.llama")]
    )
    assert config.model.path == str(real.file.resolve())
