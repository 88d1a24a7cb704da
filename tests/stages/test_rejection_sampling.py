"""A stronger teacher in Dev2's place: sampled, sifted, learned from, and part of the graph."""

import json
import re
import sys
from types import ModuleType, SimpleNamespace

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.artifacts import Progress, StageResult
from r1repro.errors import R1ReproError
from r1repro.generation import problem_samples
from r1repro.generation.rollouts import Rollout
from r1repro.planning import plan, preflight
from r1repro.planning.stage_memory import needs
from r1repro.planning.work import work
from r1repro.reports.report import without_places
from r1repro.reports.settings import students
from r1repro.runner.graph import find, graph
from r1repro.runner.workspace import Workspace
from r1repro.stages import rejection_sampling, sft
from r1repro.stages.student_data import stored_parameters
from r1repro.tasks.problem import GENERAL
from tests.tiny import model_folder, tokenizer_of

DROPPED = ["", "wrong answer", "mixed languages", "cut off at the cap", "near-duplicate"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Models in HF format by their family."""
    place = tmp_path_factory.mktemp("models")
    return {name: model_folder(name, place / name) for name in ("qwen", "llama", "deepseek")}


@pytest.fixture
def compose(folders, tmp_path):
    """compose(*overrides) with a Qwen, a Llama student and sums of one's own."""
    rows = [{"question": f"What is {a}+{b}?", "answer": a + b} for a in range(9) for b in range(9)]
    task = tmp_path / "sums.jsonl"
    task.write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = [
        "scale=smoke", "model=local", f"model.path={folders['qwen']}",
        f"student.qwen.path={folders['qwen']}", f"student.llama.path={folders['llama']}",
        "task=own", f"task.path={task}", "task.validation_problems=2", "task.test_problems=4",
        "stage.rejection_sampling.questions=3", "stage.rejection_sampling.samples=5",
        "stage.rejection_sampling.keep_all=false", f"runs={tmp_path / 'runs'}",
    ]  # fmt: skip
    return lambda *overrides: configuration.compose([*settings, *overrides])


def said(asked, number):
    """What the teacher says to a prompt the `number`th time, and whether it ends by itself."""
    assert asked.endswith("<｜Assistant｜><think>\n"), "not in its own chat form"
    a, b = map(int, re.findall(r"What is (\d+)\+(\d+)\?", asked)[-1])
    total = a + b
    return (
        (f"{a}+{b}={total}\n</think>\n\nIt is \\boxed{{{total}}}.", True),
        (f"{a}+{b}={total}\n</think>\n\nIt is \\boxed{{{total + 1}}}.", True),
        (f"{a}+{b}={total}\n</think>\n\n所以 \\boxed{{{total}}}.", True),
        (f"{a}+{b}={total}\n</think>\n\nIt is \\boxed{{{total}}}", False),
        (f"Well, {a}+{b}={total}\n</think>\nThat makes \\boxed{{{total}}}.", True),
    )[number]


@pytest.fixture(params=["own", "vllm"])
def rollouts(request, monkeypatch):
    """Our sampler, or vLLM by a module in its place, that says these things."""
    tokenizer = tokenizer_of("deepseek")

    def answers(prompts):
        told = [said(tokenizer.decode(ids), i % 5) for i, ids in enumerate(prompts)]
        return [(tokenizer.encode(text, add_special_tokens=False), ends) for text, ends in told]

    class LLM:
        def __init__(self, model, **settings):
            assert model.endswith("deepseek")

        def generate(self, prompts, parameters, use_tqdm):
            found = answers([prompt["prompt_token_ids"] for prompt in prompts])
            outputs = [
                SimpleNamespace(token_ids=ids, finish_reason="stop" if ends else "length")
                for ids, ends in found
            ]
            return [SimpleNamespace(outputs=[output]) for output in outputs]

    def sample(model, prompts, sampling, **more):
        if request.param == "vllm":
            pytest.fail("vLLM was to sample")
        return [Rollout(ids, ends) for ids, ends in answers(prompts)]

    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = LLM, SimpleNamespace
    monkeypatch.setitem(sys.modules, "vllm", module)
    monkeypatch.setattr(problem_samples, "sample", sample)
    return request.param


def _made(config, folder):
    """The stage's result, run with no more of the configuration than its key is made from."""
    stage = find("teacher_sampling", config)
    folder.mkdir()
    rejection_sampling.by_teacher(
        configuration.only(config, stage.config), {}, folder, Progress(None)
    )
    return StageResult("teacher_sampling", "key", folder, {})


def test_right_answers_are_kept_and_the_students_learn_them(
    compose, folders, rollouts, tmp_path, monkeypatch
):
    config = compose(
        f"student.teacher={folders['deepseek']}", "student.teacher_chat=deepseek",
        f"engine.rollouts={rollouts}",
    )  # fmt: skip
    made = _made(config, tmp_path / "made")
    table = pd.read_parquet(made.folder / "samples.parquet")
    assert table.dropped.tolist() == DROPPED * 3
    (parameters,) = set(table.teacher_parameters)
    assert parameters == stored_parameters(folders["deepseek"])
    assert set(table.tokens_sampled) == {int(table.tokens_sampled.iloc[0])} != {0}

    data = pd.read_parquet(made.folder / "dataset.parquet")
    reasoning = data[~data.task.isin(GENERAL)]
    assert len(reasoning) == 3 and len(data) == 4 and data.tokens.min() > 0
    for row in reasoning.itertuples():
        assert row.completion.startswith("<think>\n")
        assert row.completion.endswith(f"\\boxed{{{row.answer}}}.\n<answer>{row.answer}</answer>")

    seen = []

    def fine_tune(model, tokenizer, examples, settings, **more):
        seen.extend(
            (tokenizer.decode(asked), tokenizer.decode(learned)) for asked, learned in examples
        )
        return [{"step": 1, "loss": 0.0}]

    monkeypatch.setattr(sft, "fine_tune", fine_tune)
    (tmp_path / "llama_base").mkdir()
    model_folder("llama", tmp_path / "llama_base" / "model")
    base = StageResult("llama_base", "key", tmp_path / "llama_base", {})
    seen_config = configuration.only(config, find("llama_distilled", config).config)
    sft.distilled(
        seen_config, {"llama_base": base, "teacher_sampling": made}, tmp_path, Progress(None)
    )
    assert len(seen) == 4
    for (asked, learned), row in zip(seen, data.itertuples(), strict=True):
        assert asked.endswith("<|end_header_id|>\n\n<think>\n")
        assert learned == row.completion.removeprefix("<think>").lstrip("\n") + "<|end_of_text|>"


def test_where_nothing_is_right_the_form_of_the_prompts_is_named(compose, folders, tmp_path):
    config = compose(f"student.teacher={folders['deepseek']}")
    with pytest.raises(R1ReproError, match=r"every sample: .* student\.teacher_chat"):
        _made(config, tmp_path / "made")


def test_the_stage_is_there_with_a_teacher_only_and_the_students_alone_depend_on_it(
    compose, folders, tmp_path
):
    plain = compose()
    assert "teacher_sampling" not in graph(plain)
    with pytest.raises(R1ReproError, match=r"set student\.teacher=MODEL to run it"):
        find("teacher_sampling", plain)
    other = compose(f"student.teacher={folders['deepseek']}", "student.teacher_chat=deepseek")
    before, after = Workspace(plain).keys, Workspace(other).keys
    assert after.keys() - before.keys() == {"teacher_sampling"}
    arms = {f"{s}_{arm}" for s in ("qwen", "llama") for arm in ("distilled", "rl", "distilled_rl")}
    taught = arms | {f"evaluate_{name}" for name in arms} | {"comparison"}
    taught |= {f"evaluate_{name}_rl_equal_flops" for name in ("qwen", "llama")}
    assert {name for name in before if before[name] != after[name]} == taught
    names = list(graph(other))
    assert names.index("teacher_sampling") == names.index("rejection_sampling") + 1

    own = model_folder("deepseek", tmp_path / "own")
    settings = [f"student.teacher={own}", "student.teacher_chat=deepseek"]
    before = Workspace(compose(*settings)).keys
    for setting in ("engine.precision=bfloat16", "student.teacher_chat=qwen"):
        other = Workspace(compose(*settings, setting)).keys
        assert other["teacher_sampling"] != before["teacher_sampling"]
    # Other weights in the same folder are another teacher.
    (own / "generation_config.json").write_text("{}")
    again = Workspace(compose(*settings)).keys
    assert {name for name in again if again[name] != before[name]} == taught | {"teacher_sampling"}


def test_a_plan_counts_the_teacher_and_a_report_names_it_without_its_place(
    compose, folders, tmp_path
):
    config = compose(f"student.teacher={folders['deepseek']}")
    counted = work(config, find("teacher_sampling", config))
    assert counted.completions == 15 and needs(config, find("teacher_sampling", config)).peak > 0
    distilled, dev3 = (work(config, find(n, config)).said for n in ("qwen_distilled", "dev3"))
    assert "examples of teacher_sampling" in distilled and "of rejection_sampling" in dev3
    told = "\n".join(plan.plan(config, probed=False))
    assert re.search(r"student\.teacher +\d[\d,]* of deepseek \(qwen2, by its config\.json\)", told)
    assert without_places(config).student.teacher == "deepseek"
    told_of = [row.cells[0] for row in students(config, {}).rows]
    assert any(cell.startswith("deepseek's right answers") for cell in told_of)

    elsewhere = compose("student.teacher=some/teacher")
    assert needs(elsewhere, find("teacher_sampling", elsewhere)) is None
    told = "\n".join(plan.plan(elsewhere, probed=False))
    assert "some/teacher is not on this machine" in told


def test_a_teacher_is_looked_at_before_anything_runs(compose, folders, monkeypatch):
    with pytest.raises(R1ReproError, match=r"student\.teacher=.*nowhere.*there is no such folder"):
        compose("student.teacher=./nowhere")
    with pytest.raises(R1ReproError, match=r"null with student\.traces"):
        compose("student.teacher=some/teacher", "student.traces=some/traces")
    config = compose(f"student.teacher={folders['deepseek']}", "student.teacher_chat=gemma")
    with pytest.raises(R1ReproError, match=r"teacher_chat=gemma.*deepseek, llama, mini, qwen"):
        preflight.check(config)
    monkeypatch.chdir(folders["deepseek"].parent)
    assert compose("student.teacher=deepseek").student.teacher == str(folders["deepseek"])
