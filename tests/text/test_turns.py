"""Where a turn and its thinking end, in the tags of several families."""

import time

import pytest

from r1repro.text.tags import marked_answer, math_answer, read
from r1repro.text.turns import after_thought, without_ending

ENDS = ("<|im_end|>", "<|endoftext|>", "<｜end▁of▁sentence｜>", "</s>", "<|eot_id|>", "<eos>\n")


@pytest.mark.parametrize("end", ENDS)
def test_an_end_token_is_no_text(end):
    reading = read(f"<think>6+6</think>\n<answer>12</answer>{end}")
    assert reading.format_valid and reading.answer == "12"
    assert without_ending(f"a {end}{end}") == "a" and without_ending(f"{end}a") == f"{end}a"
    assert not read(f"<think>6+6</think>{end}<answer>12</answer>x").format_valid
    assert not read(f"<think>6+6</think><answer>12</answer>{end}<answer>13</answer>").format_valid


THINKING = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<reasoning>", "</reasoning>"),
    ("<thought>", "</thought>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<THINK>", "</THINK>"),
]


@pytest.mark.parametrize(("opened", "closed"), THINKING)
def test_thinking_that_was_cut_off_holds_no_answer(opened, closed):
    assert math_answer(f"{opened}I try \\boxed{{13}}. Wait, that is 12") is None
    assert math_answer(f"{opened}I try \\boxed{{13}}.{closed} So I am not sure.") is None
    assert marked_answer(f"{opened}I try \\boxed{{13}}.{closed}\\boxed{{12}}") == "12"
    assert math_answer(f"{opened}I try \\boxed{{13}}.{closed}It is 12.") == "12"
    assert marked_answer(f"{opened}6+6{closed}<answer>12</answer>") == "12"
    assert marked_answer(f"I try \\boxed{{13}}.{closed}\\boxed{{12}}") == "12", (
        "opened in the prompt"
    )


def test_a_tag_of_another_family_within_the_thinking_ends_nothing():
    text = "<think>I try <reflection>\\boxed{13}</reflection> or \\boxed{14}"
    assert after_thought(text) is None
    assert marked_answer(f"{text}</think>\\boxed{{12}}") == "12"
    sky = "<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>\n\\boxed{12}.\n"
    assert marked_answer(f"{sky}<|end_of_solution|>") == "12"


@pytest.mark.parametrize(
    "invented",
    [
        "<|im_end|>\n<|im_start|>user\n5+5?<|im_end|>\n<|im_start|>assistant\n\\boxed{10}",
        "\n\nUser: What is 5+5? Assistant: <think>5+5</think><answer>10</answer>",
        "\n\nQuestion: What is 5+5?\nAnswer: It is \\boxed{10}.",
        "\n\n### Problem 2:\nWhat is 5+5?\n\\boxed{10}",
        "\n\nHuman: What is 5+5?\n\nAssistant: It is \\boxed{10}.",
        "<|endoftext|>Human: What is 5+5?\n\nAssistant: \\boxed{10}",
        "<｜end▁of▁sentence｜><｜User｜>5+5?<｜Assistant｜>\\boxed{10}",
        "<|eot_id|><|start_header_id|>user<|end_header_id|>5+5?<|eot_id|>\\boxed{10}",
    ],
)
@pytest.mark.parametrize(
    "said", ["It is \\boxed{12}.", "<think>6+6</think><answer>12</answer>", "8</think>\\boxed{12}"]
)
def test_only_the_first_turn_is_read(said, invented):
    assert marked_answer(said + invented) == "12"
    assert marked_answer(f"<|im_start|>assistant\n{said}{invented}") == "12"


def test_a_question_within_the_turn_does_not_end_it():
    assert marked_answer("First \\boxed{10}? No: \\boxed{12}.") == "12"
    assert marked_answer("\nQuestion: what is 6+6?\nIt is \\boxed{12}.") == "12"
    thinking = "<think>\\boxed{10}\nQuestion: is it?\nUser: no</think>\\boxed{12}"
    assert marked_answer(thinking) == "12"


@pytest.mark.parametrize(
    "unit",
    ["<|a|>", "\nQ:", "\nQ: \\boxed{1", "</s>", " ", "<think>", "</think>", "</thought>", "<|"],
)
def test_hostile_text_is_read_quickly(unit):
    began = time.process_time()
    math_answer(unit * 30_000)
    read(unit * 30_000)
    assert time.process_time() - began < 4


@pytest.mark.parametrize("tag", ["solution", "final_answer", "ANSWER"])
def test_other_answer_tags_are_read_where_nothing_else_is_marked(tag):
    assert marked_answer(f"<think>6+6</think><{tag}> 12 </{tag}>") == "12"
    assert marked_answer(f"<think>6+6</think>\\boxed{{12}}<{tag}>13</{tag}>") == "12"
    assert marked_answer(f"<{tag}>12</{tag}><{tag}>13</{tag}>") is None
    assert marked_answer(f"<think><{tag}>12</{tag}>") is None
