"""A model folder is looked at before anything runs, and what is wrong is said with its remedy."""

import hashlib
import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from r1repro.config import check_places, compose, runs_folder
from r1repro.errors import R1ReproError
from r1repro.planning import folders, plan, preflight
from tests.tiny import model_folder


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Random models in HF format by their family."""
    place = tmp_path_factory.mktemp("models")
    return {name: model_folder(name, place / name) for name in ("qwen", "llama", "deepseek")}


@pytest.fixture
def folder(models, tmp_path):
    """A copy to do harm to."""
    return shutil.copytree(models["qwen"], tmp_path / "model")


@pytest.fixture(scope="module")
def words(models, tmp_path_factory):
    """The settings of a run of these models on sums of one's own."""
    place = tmp_path_factory.mktemp("task")
    rows = [{"question": f"What is {n}+{n}?", "answer": str(2 * n)} for n in range(12)]
    (place / "sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return [
        "scale=smoke", "model=local", f"model.path={models['qwen']}",
        f"student.qwen.path={models['qwen']}", f"student.llama.path={models['llama']}",
        "task=own", f"task.path={place / 'sums.jsonl'}", "task.validation_problems=2",
        "task.test_problems=3", f"runs={place / 'runs'}",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def composed(words):
    """composed(folder, *overrides): these settings with another model."""
    plain = compose(words)

    def made(folder, *overrides):
        if overrides:
            return compose([*words, f"model.path={folder}", *overrides])
        config = replace(plain, model=replace(plain.model, path=str(folder)))
        check_places(config)  # as compose does, which takes longer
        return config

    return made


def _change(file, **values):
    held = json.loads(file.read_text()) if file.is_file() else {}
    held |= values
    file.write_text(json.dumps({name: value for name, value in held.items() if value is not None}))


def _as(**values):
    return lambda folder: _change(folder / "config.json", **values)


def _only(folder, **files):
    for file in folder.iterdir():
        file.unlink()
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def _adapter(folder):
    _only(
        folder,
        adapter_config__json='{"base_model_name_or_path": "Qwen/Qwen2.5-7B"}',
        adapter_model__safetensors="x",
    )


def _adapter_beside_config(folder):
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text("[]")


def _inside(name):
    def moved(folder):
        (folder / name).mkdir(parents=True)
        for file in [file for file in folder.iterdir() if file.is_file()]:
            file.rename(folder / name / file.name)

    return moved


def _pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _slow(folder):
    (folder / "tokenizer.json").rename(folder / "tokenizer.model")


def _untokenized(folder):
    (folder / "tokenizer.json").unlink()


KINDS = [
    (lambda f: _only(f, model__gguf="GGUF"), ["it holds a GGUF file", "/model.gguf"]),
    (_adapter, ["a LoRA adapter of Qwen/Qwen2.5-7B", "merge_and_unload"]),
    (_adapter_beside_config, ["a LoRA adapter of another model"]),
    (_pickled, ["pickles (pytorch_model.bin)", "AutoModelForCausalLM.from_pretrained"]),
    (_untokenized, ["no tokenizer.json", "from the model that it was trained from"]),
    (_slow, ["only tokenizer.model", "AutoTokenizer.from_pretrained"]),
    (_as(architectures=["BertForMaskedLM"], model_type="bert"),
     ["a BertForMaskedLM, which generates no text", "ends in ForCausalLM"]),
    (_as(architectures=["T5ForConditionalGeneration"], is_encoder_decoder=True),
     ["a T5ForConditionalGeneration, which has an encoder beside"]),
    (_as(architectures=["Qwen2ForSequenceClassification"]), ["scores texts and generates none"]),
    (_as(architectures=["Qwen2_5_VLForConditionalGeneration"], vision_config={"depth": 2}),
     ["takes images or audio", "Qwen2.5 for Qwen2.5-VL"]),
    (_as(architectures=["Gemma3ForCausalLM"], vision_config={"depth": 2}),
     ["takes images or audio"]),
    (_inside("checkpoint-8"), ["the model is in", "/checkpoint-8, give that"]),
    (_inside("snapshots/0123"), ["/snapshots/0123, give that"]),
    (lambda f: (f / "config.json").write_text("version https://git-lfs"), ["is no JSON object"]),
    (_only, ["no config.json and no tokenizer.json", "save_pretrained"]),
    (shutil.rmtree, ["there is no such folder", "check the path"]),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "parts"), KINDS)
def test_another_kind_of_folder(folder, composed, harm, parts):
    harm(folder)
    with pytest.raises(R1ReproError) as refused:
        composed(folder)
    message = str(refused.value)
    assert message.startswith(f"model.path={folder} is not accepted: model.path takes a model")
    assert "\n" not in message
    for part in parts:
        assert part in message, message


def test_settings_are_refused_with_such_a_folder(folder, words):
    _pickled(folder)
    with pytest.raises(R1ReproError, match=f"student.qwen.path={folder} is not .* pickles"):
        compose([*words, f"student.qwen.path={folder}"])


def test_a_file_in_a_folders_place(folder, composed):
    (folder / "model-Q4_K_M.gguf").write_bytes(b"GGUF")
    composed(folder / "model-Q4_K_M.gguf")  # its weights are looked at when it is converted
    (folder / "model-Q4_K_M.gguf").write_bytes(b"PK")
    with pytest.raises(R1ReproError, match="a GGUF file, which begins with GGUF; it begins with"):
        composed(folder / "model-Q4_K_M.gguf")
    with pytest.raises(R1ReproError, match=f"give the folder that holds it, {folder}$"):
        composed(folder / "model.safetensors")


def test_a_gguf_file_is_looked_at_once_it_is_converted(folder, composed):
    file = folder.with_name("model.gguf")
    file.write_bytes(b"GGUF and more")
    config = composed(file)
    folders.check(config)
    sha = hashlib.sha256(file.read_bytes()).hexdigest()
    converted = runs_folder(config) / "cache" / f"gguf-{sha[:12]}"
    shutil.copytree(folder, converted)
    folders.check(config)
    (converted / "model.safetensors").unlink()
    with pytest.raises(R1ReproError, match=f"model.path={file} is .*; it has no model.safetensors"):
        folders.check(config)


def _sharded(folder):
    """The same model in several files."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(folder.glob("model-*.safetensors"))
    assert len(shards) > 2
    return shards


def _short_of_a_shard(folder):
    _sharded(folder)[1].unlink()


def _without_index(folder):
    _sharded(folder)
    (folder / "model.safetensors.index.json").unlink()


def _broken_index(folder):
    _sharded(folder)
    (folder / "model.safetensors.index.json").write_text('{"weight_map": [')


def _cut(folder):
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-4])


def _longer(folder):
    with (folder / "model.safetensors").open("ab") as file:
        file.write(b"\0\0\0\0")


def _pointer(folder):
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    (folder / "model.safetensors").write_text(text)


def _weights(folder, change):
    held = load_file(folder / "model.safetensors")
    change(held)
    save_file(held, folder / "model.safetensors", {"format": "pt"})


NORM, DOWN = "model.norm.weight", "model.layers.1.mlp.down_proj.weight"


def _without_layers(folder):
    _weights(folder, lambda held: [held.pop(name) for name in (DOWN, NORM)])


def _old_names(folder):
    """As of an early Llama: a table that is no weight any more, and one weight that is missing."""
    _weights(folder, lambda held: (held.pop(DOWN), held.update(inv_freq=torch.ones(4))))


def _other_width(folder):
    _weights(folder, lambda held: held.update({NORM: torch.ones(33)}))


def _endless(folder):
    _change(folder / "tokenizer_config.json", eos_token=None)
    for file in ("special_tokens_map.json",):
        (folder / file).unlink(missing_ok=True)


def _unknown_end(folder):
    _change(folder / "tokenizer_config.json", eos_token="<|the_end|>")


def _more_words(folder):
    held = json.loads((folder / "tokenizer.json").read_text())
    more = dict(held["added_tokens"][0], id=259, content="<|more|>")
    held["added_tokens"].append(more)
    (folder / "tokenizer.json").write_text(json.dumps(held))


def _few_positions(folder):
    _change(folder / "config.json", max_position_embeddings=64)


WRONG = [
    (lambda f: (f / "model.safetensors").unlink(), ["has no model.safetensors", "download"]),
    (_short_of_a_shard, ["has no model-00002-of-", "copy or download the folder again"]),
    (_without_index, ["no model.safetensors.index.json, which lists them"]),
    (_broken_index, ["it has no readable model.safetensors.index.json"]),
    (_cut, ["model.safetensors, of ", " bytes, is cut off or damaged"]),
    (_longer, ["is cut off or damaged"]),
    (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 99), ["cut off or damaged"]),
    (lambda f: (f / "model.safetensors").write_bytes(b""), ["cut off or damaged"]),
    (_pointer, ["Git LFS", "run `git lfs pull`"]),
    (_without_layers, ["weights lack model.", " and 1 more"]),
    (_old_names, [f"weights lack {DOWN}: copy"]),
    (_other_width, [f"{NORM} has the shape [33] and config.json describes [32]"]),
    (_as(vocab_size=400), ["embed_tokens.weight has the shape [", "describes [400, 32]"]),
    (_as(quantization_config={"quant_method": "gptq", "bits": 4}),
     ["are quantized (gptq)", "engine.quantized=true with engine.lora_rank=32"]),
    (_endless, ["names no end token: set eos_token in tokenizer_config.json",
                "by generation_config.json <|endoftext|>"]),
    (_unknown_end, ["does not have its end token <|the_end|>"]),
    (_more_words, ["tokenizer has 260 tokens and the model 259 ", "resize_token_embeddings(260)"]),
    (_few_positions, ["a model for prompts of ", "this one has 64 positions"]),
    (_as(model_type="unheard_of", architectures=None), ["describes no model that this version"]),
    (_as(model_type="t5", architectures=None), ["describes no causal language model"]),
]  # fmt: skip


@pytest.mark.parametrize(("harm", "parts"), WRONG)
def test_a_folder_that_no_stage_could_use(folder, composed, harm, parts):
    harm(folder)
    config = composed(folder)
    for looked_at in (preflight.check, lambda config: list(plan.plan(config, probed=False))):
        with pytest.raises(R1ReproError) as refused:
            looked_at(config)
        message = str(refused.value)
        assert "\n" not in message and str(folder) in message
        for part in parts:
            assert part in message, message


def test_caps_beyond_the_positions_are_named_with_one_that_fits(folder, composed):
    long = "evaluation.max_completion_tokens=900", "stage.r1_zero.max_completion_tokens=950"
    config = composed(folder, *long)
    with pytest.raises(R1ReproError) as refused:
        preflight.check(config)
    said = str(refused.value)
    assert "which has 1,024 positions, of which a prompt takes up to" in said
    remedy = said.partition(": add ")[2].split()
    assert [word.partition("=")[0] for word in remedy] == [word.partition("=")[0] for word in long]
    preflight.check(composed(folder, *remedy))
    rope = {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 1024}
    _change(folder / "config.json", rope_parameters=rope | {"rope_theta": 1e4})
    preflight.check(composed(folder, long[1]))


def test_a_raised_cap_beyond_the_positions_is_named(folder, composed):
    rise = "stage.r1_zero.raised_at=1", "stage.r1_zero.raised_cap=1000"
    with pytest.raises(R1ReproError, match=r"stage\.r1_zero\.raised_cap=1000") as refused:
        preflight.check(composed(folder, *rise))
    preflight.check(composed(folder, rise[0], *str(refused.value).partition(": add ")[2].split()))


def _with_its_head(folder):
    _weights(folder, lambda held: held.update({"lm_head.weight": held[
        "model.embed_tokens.weight"].clone()}))  # fmt: skip


def _with_an_adapter(folder):
    (folder / "adapter_config.json").write_text("{}")


@pytest.mark.parametrize(
    "change",
    [lambda f: None, _sharded, _with_its_head, _with_an_adapter,
     lambda f: (f / "training_args.bin").write_bytes(b"x")],
)  # fmt: skip
def test_a_whole_folder_is_taken(folder, composed, change):
    change(folder)
    preflight.check(composed(folder))
    assert "everything fits" in "\n".join(plan.plan(composed(folder), probed=False))


def test_the_students_and_the_teacher_are_looked_at_too(models, folder, composed):
    _cut(folder)
    for key in ("student.llama.path", "student.teacher"):
        with pytest.raises(R1ReproError, match=f"{key}={folder} is not accepted: .* cut off"):
            preflight.check(composed(models["qwen"], f"{key}={folder}"))
    shutil.copyfile(models["qwen"] / "model.safetensors", folder / "model.safetensors")
    _change(folder / "config.json", quantization_config={"quant_method": "awq", "bits": 4})
    preflight.check(composed(models["qwen"], f"student.teacher={folder}"))  # it is not trained
