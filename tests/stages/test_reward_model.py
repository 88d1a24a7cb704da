"""Which pairs the preference reward model learns from, and where it reads their scores."""

from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForSequenceClassification, LlamaConfig

from r1repro.rewards.preference import encoded
from r1repro.stages.reward_model import pick
from r1repro.tasks.problem import Problem
from r1repro.tasks.tokenizer import train as train_tokenizer
from r1repro.training.reward_model import pad_apart
from tests.tiny import SHAPE, tokenizer_of

WORD = Problem("translation:cat", "translation", "en", 1, "What is 猫 in English?", "cat")


def test_the_pair_is_the_most_alike_in_what_is_shown():
    short = "<think>猫: cat</think><answer>cat</answer>"
    wordy = f"<think>{'猫: cat ' * 20}</think><answer>cat</answer>"
    near, far = f"<think>{'狗 ' * 90}</think><answer>dog</answer>", "<answer>big old horse</answer>"
    # The thinking is not shown, so it makes no pair unlike.
    pair = pick(
        WORD, {(short, True): 3.0, (wordy, True): 3.0, (near, False): 1.0, (far, True): 1.0}
    )
    assert pair == (("What is 猫 in English?\ncat", True), ("What is 猫 in English?\ndog", False))


def test_no_pair_without_a_difference():
    right = "<think>猫: cat</think><answer>cat</answer>"
    assert pick(WORD, {(right, True): 3.0, ("<answer>cat</answer>", True): 3.0}) is None
    # The same answer without its tag is graded lower, and shown alike.
    assert pick(WORD, {(right, True): 3.0, ("<think>x</think>cat", True): 1.0}) is None
    assert pick(WORD, {}) is None


@pytest.mark.parametrize("family", ["qwen", "llama", "deepseek"])
def test_an_end_is_no_padding(family):
    """Where padding is the end token, the score would be read before it, finished or not."""
    tokenizer = tokenizer_of(family)
    tokenizer.pad_token = tokenizer.eos_token
    torch.manual_seed(0)
    shape = LlamaConfig(vocab_size=len(tokenizer), num_labels=1, **SHAPE)
    model = AutoModelForSequenceClassification.from_config(shape).eval()
    model.config.pad_token_id = tokenizer.pad_token_id
    torch.nn.init.normal_(model.score.weight)
    finished = encoded(tokenizer, "What is 1+1?\n2", True)
    cut = encoded(tokenizer, "What is 1+1?\n2", False)
    longer = encoded(tokenizer, "What is 1+1?\n2, that is two", True)

    def scores(*rows):
        width = max(map(len, rows))
        ids = [row + [tokenizer.pad_token_id] * (width - len(row)) for row in rows]
        mask = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        with torch.inference_mode():
            found = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
        return found.logits[:, 0].tolist()

    assert len(set(scores(finished, cut, longer)[:2])) == 1, "the fault"
    pad_apart(model, tokenizer)
    assert tokenizer.pad_token_id == model.config.pad_token_id != tokenizer.eos_token_id
    together = scores(finished, cut, longer)
    assert abs(together[0] - together[1]) > 1e-4
    assert together[:2] == pytest.approx(scores(finished) + scores(cut), abs=1e-5)


def test_a_padding_of_its_own_stays():
    tokenizer = train_tokenizer(["a b"])
    model = SimpleNamespace(config=SimpleNamespace())
    pad_apart(model, tokenizer)
    assert tokenizer.pad_token == "<|pad|>"
    assert model.config.pad_token_id == tokenizer.convert_tokens_to_ids("<|pad|>")
