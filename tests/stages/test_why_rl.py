"""Stage why_rl measures what it says, on a tiny model."""

import dataclasses
from itertools import islice
from types import SimpleNamespace

import pandas as pd
import pytest
import torch

from r1repro import config as configuration
from r1repro.artifacts import Progress
from r1repro.config import ModelConfig
from r1repro.stages import why_rl
from r1repro.stages.base_model import from_random_weights
from r1repro.stages.models import save_model
from r1repro.stages.sft import token_ids
from r1repro.tasks import corpus, negation_pairs, sign_pairs, templates, worlds
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.laptop import laptop


@pytest.fixture
def place(tmp_path):
    config = configuration.compose(["scale=smoke"])
    texts = list(islice(corpus.documents(worlds.of(config.task), 0), 300))
    tokenizer = train_tokenizer(texts)
    model = from_random_weights(laptop(ModelConfig, layers=1), tokenizer)
    save_model(model, tokenizer, tmp_path / "model")
    return config, tokenizer, model, tmp_path


def test_log_probabilities_are_those_of_a_plain_forward(place):
    config, tokenizer, model, _ = place
    pairs = sign_pairs.sample(worlds.of(config.task), 3)
    found = why_rl.measured(model, tokenizer, "mini", pairs).set_index(["pair", "answer"]).logp
    for number, pair in enumerate(pairs):
        prompt, said = token_ids(tokenizer, templates.render("mini", pair.twin), pair.right)
        ids = torch.tensor([[*prompt, *said]])
        with torch.no_grad():
            logps = model.eval()(ids).logits.log_softmax(-1)[0, len(prompt) - 1 : -1]
        whole = logps.gather(1, torch.tensor(said)[:, None]).sum()
        assert found[number, "crossed"] == pytest.approx(float(whole), abs=1e-4)


def test_sft_raises_what_it_shows(place, monkeypatch):
    config, _, _, folder = place
    rl = dataclasses.replace(config.stage.r1_zero, questions=2, generations=2)
    rl = dataclasses.replace(rl, max_completion_tokens=4)
    stages = dataclasses.replace(config.stage, r1_zero=rl)
    config = dataclasses.replace(config, stage=stages)
    base = SimpleNamespace(folder=folder)
    folders, train = [], why_rl.fine_tune
    monkeypatch.setattr(
        why_rl, "fine_tune", lambda *a, **k: folders.append(k["folder"]) or train(*a, **k)
    )
    why_rl.run(config, {"base": base}, folder, Progress(None))
    made = {path.name for path in folder.iterdir()}
    assert made == {"model", "logps.parquet", "negations.parquet"}
    assert len({*folders}) == 1 + 2 * 2, "no arm resumes from another's checkpoint"
    rows = pd.read_parquet(folder / "logps.parquet")
    wide = rows.pivot_table(index=["pair", "answer"], columns="arm", values="logp")
    assert set(wide) == {"base", *why_rl.ARMS} and len(wide) == 5 * 2 * why_rl.UPDATES
    right = wide.xs("right", level="answer")
    assert (right["SFT"] > right["base"]).all()
    negated = pd.read_parquet(folder / "negations.parquet")
    assert set(negated.arm) == {"base", why_rl.NEGATED, why_rl.BOTH}
    for form, part in negated.groupby("form"):
        pairs = [pair for pair in negation_pairs.sample() if pair.asked.task == form]
        assert len(part) == 6 * 3 * len(pairs)
        wide = part.pivot_table(index=["pair", "answer"], columns="arm", values="logp")
        gained = wide.sub(wide["base"], axis=0).groupby("answer").mean()
        assert gained.loc["shown", why_rl.NEGATED] > 0
        assert gained.loc["other, without", why_rl.BOTH] > 0, "what only this arm was shown"


def test_replies_are_measured_after_the_negation_its_opposite_and_a_greeting(place):
    config, tokenizer, model, _ = place
    pair = next(one for one in negation_pairs.sample() if one.asked.prompt == "我不喜欢")
    asked = [(problem.prompt, word) for _, problem, word in why_rl._replies(pair)]
    prompts = ["我不喜欢", "我喜欢", "你好"]
    assert asked == [(prompt, word) for word in ("猫", "狮子") for prompt in prompts]
