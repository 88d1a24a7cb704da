"""A batch that a killed stage has sampled is taken from its file, unless it is damaged."""

import json

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from r1repro.generation import problem_samples as asking
from r1repro.generation.rollouts import Sampling
from r1repro.tasks import mini_world, templates
from r1repro.tasks.tokenizer import train as train_tokenizer
from tests.tiny import SHAPE


@pytest.fixture(scope="module")
def asked():
    """asked(kept=None): all batches of twelve problems, two samples each, four rows at once."""
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    torch.manual_seed(0)
    shape = LlamaConfig(**SHAPE, vocab_size=len(tokenizer), eos_token_id=tokenizer.eos_token_id)
    model = LlamaForCausalLM(shape).eval()
    stream = mini_world.build(0, 20, 20).train(0)
    problems = [next(stream) for _ in range(12)]

    def batches(kept=None, temperature=1.0):
        return asking.ask(
            model, tokenizer, problems, Sampling(8, temperature), form=templates.asked("mini"),
            samples=2, rollout_batch=4, seed=3, kept=kept,
        )  # fmt: skip

    return batches


@pytest.fixture
def drawn(monkeypatch):
    """One entry for every batch that is sampled."""
    made, sample = [], asking.sample

    def counted(*args, **kwargs):
        made.append(kwargs["seed"])
        return sample(*args, **kwargs)

    monkeypatch.setattr(asking, "sample", counted)
    return made


def test_finished_batches_are_not_sampled_again(asked, drawn, tmp_path):
    expected, kept = list(asked()), asking.samples_of(tmp_path, "0")
    assert len(expected) == len(drawn) == 6
    stopped = asked(kept)
    assert [next(stopped), next(stopped)] == expected[:2]
    with kept.open("a") as file:
        file.write('["a torn li')
    drawn.clear()
    assert list(asked(kept)) == expected and len(drawn) == 4
    drawn.clear()
    assert list(asked(kept)) == expected and not drawn
    assert list(asked(kept, temperature=0.5)) != expected and len(drawn) == 6


def test_a_modified_batch_is_sampled_again(asked, drawn, tmp_path, capsys):
    kept = asking.samples_of(tmp_path, "0")
    expected = list(asked(kept))
    lines = kept.read_text().splitlines()
    asked_for, checksum, batch = json.loads(lines[2])
    batch[0][0][0] += 1
    lines[2] = json.dumps([asked_for, checksum, batch])
    lines[4] = lines[4][:-9]
    kept.write_text("\n".join(lines) + "\n")
    drawn.clear()
    assert list(asked(kept)) == expected and len(drawn) == 2
    said = capsys.readouterr().out
    assert "line 3 was modified" in said and "line 5 was modified" in said
