"""What becomes training data: which samples are kept, the general part, the table of the set."""

import dataclasses
import itertools
import random
import re

import pandas as pd
import pytest

from r1repro import config as configuration
from r1repro.errors import R1ReproError
from r1repro.rewards import soundness
from r1repro.stages import cold_start_data, rejection_sampling, samples
from r1repro.tasks import filters, general, mini_world, prompting, worlds
from r1repro.tasks.problem import GENERAL, Completion, Problem
from r1repro.text.tags import read

EN = Problem("arithmetic:5+7-4", "arithmetic", "en", 2, "Compute 5+7-4.", "8")


def _said(text, finished=True):
    return Completion(EN.id, text, (), finished)


@pytest.mark.parametrize("sieve", [cold_start_data.FILTERS, rejection_sampling.FILTERS])
def test_each_sample_is_dropped_under_the_first_filter_it_fails(sieve):
    right = "<think>5+7=12\n12-4=8</think><answer>8</answer>"
    loop = "<think>" + "5+7=12\n12-4=8\n" * 9 + "</think><answer>8</answer>"
    answers = [
        (EN, 0, _said(right)),
        (EN, 1, _said(right.replace("<answer>8", "<answer>9"))),
        (EN, 2, _said(right.removesuffix("</answer>"), finished=False)),
        (EN, 3, _said(loop)),
        (EN, 4, _said("<think>then 5+7=12\n所以12-4=8</think><answer>8</answer>")),
        (EN, 5, _said("8")),  # right, but not in the tag
    ]
    kept, table = samples.sift(answers, sieve)
    assert kept == [0]
    assert table.dropped.tolist() == [
        "", "wrong answer", "cut off at the cap", "repetition", "mixed languages", "wrong answer",
    ]  # fmt: skip
    assert table.text.tolist() == [said.text for _, _, said in answers]


def test_rejection_sampling_names_what_the_paper_drops():
    """Mixed languages, long paragraphs, code blocks (R1 v1, 2.3.3), each counted by its name."""
    right = "<think>{}5+7=12\n12-4=8</think><answer>8</answer>"
    said = ["", "所以", "then " * 250 + "\n", "```python\nprint(5+7)\n```\n"]
    answers = [(EN, i, _said(right.format(text))) for i, text in enumerate(said)]
    kept, table = samples.sift(answers, rejection_sampling.FILTERS)
    names = ["", "mixed languages", "repetition", "code blocks"]
    assert kept == [0] and table.dropped.tolist() == names
    long = " and ".join(f"{a}+{b}={a + b}" for a in range(10, 30) for b in range(30, 40))
    _, table = samples.sift([(EN, 0, _said(right.format(long)))], rejection_sampling.FILTERS)
    assert table.dropped.tolist() == ["long paragraphs"]


def test_what_rejection_sampling_keeps_is_sound(monkeypatch):
    """A second derivation that differs is mostly a false one, and near-duplicates prefer it."""
    config = configuration.compose(["scale=smoke"])
    stage = dataclasses.replace(config.stage.rejection_sampling, keep_all=False, kept=4)
    config = dataclasses.replace(
        config, stage=dataclasses.replace(config.stage, rejection_sampling=stage)
    )
    rng = random.Random(0)
    answers, unsound = [], 0
    for problem in itertools.islice(worlds.of(config.task).train("rejection"), 60):
        text = prompting.worked(rng, problem)
        if text is None:
            continue
        *lines, closing = text.removeprefix(f"{problem.prompt}\n").split("\n")
        answer = problem.answer
        if problem.task == "countdown":
            answer = closing.replace("The answer is ", "").replace("答案是", "")
        said = [[*lines], [*lines[:-1]], [*lines, lines[-1]], [*lines, "..."], []]
        false = re.sub(r"(\d)(?=[^\d]*$)", lambda digit: str((int(digit[1]) + 1) % 10), lines[0])
        said += [[false, *lines[1:]], ["1+1=3", *lines]]
        for number, work in enumerate(said):
            body = "\n".join(work)
            text = f"<think>{body}</think><answer>{answer}</answer>"
            answers.append((problem, number, Completion(problem.id, text, (), True)))
            unsound += not soundness.judge(problem, text).sound
    data, table = rejection_sampling.chosen(config, answers, "none")
    kept = data[~data.task.isin(GENERAL)]
    assert len(kept) >= 40 and unsound > 150
    for row in kept.itertuples():
        problem = Problem(row.problem_id, row.task, row.language, row.level, row.prompt, row.answer)
        assert soundness.judge(problem, row.completion).sound, row.completion
    assert (table.dropped == "unsound reasoning").sum() > 100
    assert table.columns.tolist().count("coverage") == 1


def test_general_rows_are_answered_in_form_and_never_held_out():
    world = mini_world.build(0, 20, 20)
    rows = pd.DataFrame(rejection_sampling.general_rows(world, 120, seed=0))
    assert len(rows) == 120 and not rows.duplicated(["problem_id", "language"]).any()
    assert not set(rows.problem_id) & world.held_out
    assert set(rows.task) == set(GENERAL)
    for _, row in rows.iterrows():
        reading = read(row.completion)
        assert reading.format_valid and reading.answer == row.answer
        problem = Problem(row.problem_id, row.task, row.language, 1, row.prompt, row.answer)
        if row.task != "translation":
            assert filters.unmixed(problem, reading.think)
    assert rejection_sampling.general_rows(world, 0, seed=0) == []
    everything = rejection_sampling.general_rows(world, 10**6, seed=0)
    assert len(everything) == len(world.general_train)


def test_a_thought_names_what_the_answer_is_made_of():
    items = {item.prompt: item for item in general.items()}
    thought = {prompt: general.thought(item) for prompt, item in items.items()}
    assert thought["What is 红色的猫 in English?"] == "红色: red\n猫: cat"
    assert thought["cat用中文怎么说？"] == "cat: 猫"
    assert thought["What is the capital of France?"] == "The capital of France is Paris."
    assert thought["巴黎是哪国的首都？"] == "法国的首都是巴黎。"
    assert thought["Say cat 2 times."] == "cat, 2 times"


def test_an_empty_set_is_refused_where_it_is_made():
    samples.require([{"prompt": "1+1"}], samples.TRAIN_LONGER)
    with pytest.raises(R1ReproError, match="the filters dropped every sample"):
        samples.require([], samples.TRAIN_LONGER)


def test_composition_is_the_papers_table():
    data = pd.DataFrame({"task": ["a", "a", "b"], "tokens": [10, 20, 60]})
    table = rejection_sampling.composition(data)
    assert table.loc["a"].tolist() == [2, 15.0] and table.loc["total"].tolist() == [3, 30.0]
