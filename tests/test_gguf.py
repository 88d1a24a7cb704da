"""GGUF files that are made here: which are refused, and how they enter a key."""

import numpy as np
import pytest
from gguf import GGUFWriter

from r1repro import gguf
from r1repro.config import compose
from r1repro.errors import R1ReproError
from r1repro.runner.workspace import Workspace

TOKENS = ["<|endoftext|>", "a", "b", "ab"]


def written(place, architecture="llama", kind="gpt2", pre="smollm", end=0):
    writer = GGUFWriter(place, architecture)
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 1, 1, 1])
    writer.add_token_merges(["a b"])
    if end is not None:
        writer.add_eos_token_id(end)
    writer.add_tensor("output_norm.weight", np.ones(32, dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return place


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"architecture": "rwkv9"}, "cannot be read by Transformers .*rwkv9"),
        ({"kind": "llama"}, "its tokenizer is llama with smollm, and only gpt2 with one of"),
        ({"pre": "tekken"}, "its tokenizer is gpt2 with tekken, and only gpt2 with one of"),
        ({"end": None}, "its tokenizer has no end token"),
        ({}, "it has 32 of the [0-9,]+ weights of its shape"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(tmp_path, more, reason):
    file = written(tmp_path / "model.gguf", **more)
    with pytest.raises(R1ReproError, match=reason) as refused:
        gguf.converted(file, tmp_path / "cache")
    message = str(refused.value)
    assert str(file) in message and "\n" not in message and message.endswith("in HF format")
    assert not [*(tmp_path / "cache").glob("*")]


def test_the_tokenizer_is_by_the_metadata(tmp_path):
    tokenizer = gguf.tokenizer(gguf.metadata(written(tmp_path / "model.gguf")))
    assert tokenizer.encode("aab<|endoftext|>") == [1, 3, 0]
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.bos_token) == (0, 0, None)


def test_what_is_no_gguf_file_is_refused_when_a_run_is_composed(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"PK\x03\x04")
    for name, reason in (
        ("model.gguf", "begins with b'PK"),
        ("other.gguf", "takes an existing GGUF file"),
    ):
        with pytest.raises(R1ReproError, match=reason):
            compose(words(tmp_path / name, tmp_path))


def test_another_file_is_another_key(tmp_path):
    file = written(tmp_path / "model.gguf")
    before = Workspace(compose(words(file, tmp_path))).keys
    assert Workspace(compose(words(file, tmp_path))).keys == before
    written(file, pre="qwen2")
    after = Workspace(compose(words(file, tmp_path))).keys
    assert all(after[name] != key for name, key in before.items())


def words(file, runs):
    keys = ("model", "student.qwen", "student.llama")
    return ["scale=smoke", "model=local", f"runs={runs}", *(f"{key}.path={file}" for key in keys)]
