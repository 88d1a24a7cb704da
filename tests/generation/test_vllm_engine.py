"""Calls to vLLM, tested with a stub module since vLLM needs a GPU."""

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest

from r1repro.generation.problem_samples import ask
from r1repro.generation.rollouts import Sampling
from r1repro.generation.vllm_engine import PROMPT_ROOM, VLLM
from r1repro.tasks import mini_world, templates
from r1repro.tasks.tokenizer import train as train_tokenizer


@pytest.fixture
def calls(monkeypatch):
    """Calls to the stub: ("LLM", its arguments), ("generate", prompts, parameters)."""
    made = []

    class LLM:
        def __init__(self, **settings):
            made.append(("LLM", settings))

        def generate(self, prompts, parameters, use_tqdm):
            made.append(("generate", prompts, parameters))
            # Every second completion ends by itself, the others at the cap.
            return [
                SimpleNamespace(
                    outputs=[
                        SimpleNamespace(
                            token_ids=(7,) * p.max_tokens if i % 2 else (7, p.stop_token_ids[0]),
                            finish_reason="length" if i % 2 else "stop",
                        )
                    ]
                )
                for i, p in enumerate(parameters)
            ]

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", module)
    return made


def test_what_is_asked_and_what_comes_back(calls, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 32_768}))
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "])
    stream = mini_world.build(0, 20, 20).train(0)
    problems = [next(stream) for _ in range(3)]
    model = VLLM(tmp_path, "bfloat16", max_tokens=5)
    batches = list(
        ask(model, tokenizer, problems, Sampling(5, 0.6, 0.95), form=templates.asked("mini"),
            samples=2, rollout_batch=4, seed=3)
    )  # fmt: skip
    (_, engine), (_, prompts, parameters), (_, last, _) = calls
    assert engine["model"] == str(tmp_path) and engine["dtype"] == "bfloat16"
    assert engine["max_model_len"] == PROMPT_ROOM + 5 and engine["skip_tokenizer_init"]
    encoded = [tokenizer.encode(templates.render("mini", p)) for p in problems]
    of = [0, 0, 1, 1]
    assert [p["prompt_token_ids"] for p in prompts] == [encoded[i] for i in of] and len(last) == 2
    for one in parameters:
        assert (one.temperature, one.top_p, one.max_tokens) == (0.6, 0.95, 5)
        assert one.stop_token_ids == [tokenizer.eos_token_id]
    seeds = [one.seed for call in calls[1:] for one in call[2]]
    assert len(set(seeds)) == 6 and max(seeds) < 2**63
    answers = [answer for batch in batches for answer in batch]
    assert [(p.id, number) for p, number, _ in answers] == [
        (p.id, number) for p in problems for number in (0, 1)
    ]
    assert [said.finished for *_, said in answers] == [True, False] * 3
    assert [len(said.token_ids) for *_, said in answers] == [2, 5] * 3
    before = seeds[:]
    form = templates.asked("mini")
    list(
        ask(model, tokenizer, problems, Sampling(5), form=form, samples=2, rollout_batch=4, seed=3)
    )
    assert [one.seed for call in calls[3:] for one in call[2]] == before


def test_a_model_of_few_positions_bounds_the_cache(calls, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    VLLM(tmp_path, "float32", max_tokens=128)
    assert calls[0][1]["max_model_len"] == 512
