"""Talking to checkpoints: which one answers, how it is asked, and what a terminal gets to see."""

import io
import json
import shutil
import sys
from dataclasses import replace

import pytest
import torch
from transformers import Qwen3Config, Qwen3ForCausalLM, Qwen3ForSequenceClassification

from r1repro import artifacts, chat, cli
from r1repro.config import PLAIN_ENGINE, runs_folder
from r1repro.runner.workspace import Workspace
from r1repro.tasks import templates
from r1repro.tasks.problem import Completion, Problem
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.tiny import SHAPE

POSITIONS = 1024


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(["用户：计算1+2。", "User: Compute 1+2. Assistant: "] * 3)


def _save(kind, tokenizer, folder, seed=0):
    torch.manual_seed(seed)
    kind(
        Qwen3Config(
            vocab_size=len(tokenizer), **SHAPE, head_dim=8, bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id,
            initializer_range=0.2, max_position_embeddings=POSITIONS,
        )
    ).save_pretrained(folder)  # fmt: skip
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tokenizer):
    """A model from elsewhere."""
    return _save(Qwen3ForCausalLM, tokenizer, tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def publish(compose, folder):
    """publish(stage, *overrides): that model as the stage's result; the result's folder."""

    def published(name, *overrides, model=True):
        config = compose(*overrides)
        work = Workspace(config).work(name)
        work.mkdir(parents=True)
        if model:
            shutil.copytree(folder, work / "model")
        facts = {"config": {"model": {"path": None, "hub": None}, "seed": 0}}
        key = Workspace(config).keys[name]
        artifacts.publish(work, runs_folder(config), name, key, facts)
        return Workspace(config).place(name)

    return published


@pytest.fixture
def talk(monkeypatch, capsys, runs):
    """talk(args, said): exit code, standard output and error of `r1repro chat` at scale=smoke."""

    def run(args, said=b"Compute 1+2.\n", settings=("scale=smoke",)):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said)))
        code = cli.main(["chat", *args, f"runs={runs}", *settings])
        written = capsys.readouterr()
        return code, written.out, written.err

    return run


def heads(out):
    """The names of who answered, in order."""
    return [line.split(" · ")[0] for line in out.splitlines() if line and line[0] != " "]


def test_a_stage_answers_every_line(talk, publish):
    publish("base")
    code, out, err = talk(["base"], b"Compute 1+2.\n\n  \nWhat is 3+4?")
    assert (code, err) == (0, "") and heads(out) == ["base", "base"]
    assert talk(["base"], b"Compute 1+2.\n\n  \nWhat is 3+4?")[1] == out, "a rerun says the same"


def test_two_are_asked_the_same_one_under_the_other(talk, publish):
    publish("base")
    publish("r1", "seed=1")
    said = b"Compute 1+2.\nCompute 2+2.\n"
    code, out, _ = talk(["r1", "seed=1", "--greedy", "--beside", "base"], said)
    assert code == 0 and heads(out) == ["r1", "base", "r1", "base"]
    answers = [answer.partition("\n")[2] for answer in out.strip("\n").split("\n\n")]
    assert answers[0] == answers[1] and answers[2] == answers[3], "the same weights, greedily"


def test_sampling_differs_from_greedy_and_from_prompt_to_prompt(talk, publish):
    publish("base")
    twice = b"Compute 1+2.\nCompute 1+2.\n"
    greedy, hot = (
        talk(["base", *how], twice)[1].strip("\n").split("\n\n")
        for how in (["--greedy"], ["--temperature", "5"])
    )
    assert greedy[0] == greedy[1] and len({greedy[0], *hot}) == 3


def test_the_template_and_its_language(monkeypatch, folder, publish, compose):
    asked = []

    def ask(model, tokenizer, problems, sampling, *, form, **rest):
        asked.append((form(problems[0]).prompt, problems[0].language))
        yield [(problems[0], 0, Completion("chat", "3", (5,), True))]

    monkeypatch.setattr(chat, "ask", ask)
    result = publish("base")
    for place in ("base", str(result), str(result / "model"), str(folder)):
        one = chat.speaker(place, *chat.find(compose(), place), PLAIN_ENGINE)
        for prompt in ("Compute 1+2.", "计算1+2。"):
            one.answer(prompt, chat.Sampling(4), 0)
    said = (Problem("", "chat", "en", 1, "Compute 1+2.", ""),
            Problem("", "chat", "zh", 1, "计算1+2。", ""))  # fmt: skip
    assert asked == [
        (templates.render(name, problem), problem.language)
        for name in ("mini", "mini", "mini", "r1_zero")
        for problem in said
    ]


def test_an_answer_is_bounded_by_the_configuration_and_the_positions(folder, compose):
    one = chat.speaker("x", *chat.find(compose(), str(folder)), PLAIN_ENGINE)
    assert len(one.answer("Compute 1+2.", chat.Sampling(7, 5.0), 0).token_ids) <= 7
    rest = one.answer("one " * 200, chat.Sampling(10 * POSITIONS, 0.0), 0)
    assert len(rest.token_ids) < POSITIONS - 200


def test_what_is_not_built_names_the_command(talk):
    code, _, err = talk(["r1", "seed=3"])
    assert code == 2 and err.count("\n") == 1
    assert (
        "stage r1 is not built at scale=smoke, seed=3: build it with `r1repro run seed=3 runs="
        in err
    )
    assert err.endswith("scale=smoke --until r1`\n")


@pytest.mark.parametrize("broken", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_folder_that_is_no_model(talk, folder, tmp_path, broken):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / broken).unlink()
    code, _, err = talk([str(tmp_path / "model")])
    assert code == 2 and "is not a model (" in err and "has no" in err and err.count("\n") == 1


def test_what_does_not_speak_is_refused(talk, folder, tokenizer, tmp_path, publish):
    code, _, err = talk(["r2"])
    assert code == 2 and "there is no stage r2 and no folder of that name" in err
    scores = _save(Qwen3ForSequenceClassification, tokenizer, tmp_path / "scores")
    code, _, err = talk([str(scores)])
    assert code == 2 and "is a Qwen3ForSequenceClassification, which generates no text" in err
    (scores / "config.json").write_text("[]")
    assert "names no architecture" in talk([str(scores)])[2]
    publish("evaluate_base", model=False)
    code, _, err = talk(["evaluate_base"])
    assert code == 2 and "evaluate_base is not a model (" in err and "has no config.json" in err


@pytest.mark.parametrize("temperature", ["0", "-1", "nan"])
def test_a_temperature_is_above_zero(talk, temperature):
    code, _, err = talk(["base", "--temperature", temperature])
    assert code == 2 and "--greedy" in err


def test_a_prompt_too_long_is_refused_and_the_next_one_asked(talk, publish):
    publish("base")
    code, out, err = talk(["base"], b"one " * POSITIONS + b"\nCompute 1+2.\n")
    assert code == 2 and heads(out) == ["base"]
    assert err.startswith("error: the prompt has ") and err.count("\n") == 1


def test_bytes_that_are_no_text_are_asked_as_far_as_they_go(talk, publish):
    publish("base")
    code, out, err = talk(["base"], b"Compute \xff\xfe 1+2.\n\x00\n")
    assert (code, err) == (0, "") and heads(out) == ["base", "base"]


def test_a_person_is_asked_until_the_end_of_input(monkeypatch, capsys):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal("Compute 1+2.\n\nWhat?\udcff\n"))
    assert list(chat.prompts(["What is 1+2?"])) == ["Compute 1+2.", "What??"]
    said = capsys.readouterr()
    assert said.out == "> " * 4 + "\n"
    assert said.err.endswith("trained on questions such as:\n  What is 1+2?\n")


def test_examples_are_of_each_family_and_language_of_the_mini_world(compose):
    config = compose()
    assert len(chat.examples(config)) == 4
    own = replace(config, task=replace(config.task, path="rows.jsonl"))
    assert chat.examples(own) == []


def test_no_answer_gives_orders_to_the_terminal_or_passes_for_another():
    said = "\x1b[2J\x1b]0;title\x07<think>\rok\x9b1A\u202e</think>\nr1 · 3 tokens\n  right"
    told = chat.shown("base", Completion("chat", said, (1, 2), False))
    assert told.startswith("base · 2 tokens, cut off\n")
    assert all(c == "\n" or c.isprintable() for c in told)
    assert [line for line in told.split("\n") if line and not line.startswith("  ")] == [
        "base · 2 tokens, cut off"
    ]


def test_an_endless_answer_is_cut():
    told = chat.shown("base", Completion("chat", "7" * (chat.LONGEST + 5), (1,), True))
    assert told.count("7") == chat.LONGEST and "5 more characters are not shown" in told


def test_a_manifest_that_is_none_is_no_result(folder, tmp_path, compose):
    shutil.copytree(folder, tmp_path / "model")
    for text in ("[]", "{}", json.dumps({"config": {"model": {"path": "x", "hub": None}}})):
        (tmp_path / "manifest.json").write_text(text)
        assert chat.find(compose(), str(tmp_path))[1] == "r1_zero"


@pytest.mark.parametrize(
    ("stage", "settings", "form"),
    [
        ("r1", {"model": {"path": None, "hub": None, "chat": "mini"}}, "mini"),
        ("base", {"model": {"path": None, "hub": "some/qwen", "chat": "qwen"}}, "r1_zero"),
        ("dev1", {"model": {"path": None, "hub": "some/qwen", "chat": "qwen"}}, "qwen"),
        ("qwen_rl", {"student.qwen.path": None, "student.qwen.hub": None}, "mini"),
        ("qwen_rl", {"student.qwen.hub": "0123", "student.qwen.chat": "qwen"}, "r1_zero"),
        ("llama_distilled", {"student.llama.hub": "0123", "student.llama.chat": "llama"}, "llama"),
        ("llama_base", {"student.llama": {"path": [["a", 1, 2]], "chat": "llama"}}, "r1_zero"),
    ],
)
def test_a_result_is_asked_in_the_form_that_it_was_trained_in(tmp_path, stage, settings, form):
    (tmp_path / "model").mkdir()
    manifest = {"stage": stage, "config": settings}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    assert chat._form(tmp_path / "model") == form
