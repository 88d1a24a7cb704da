"""What a row of a data set becomes before fine-tuning."""

from tokenizers.processors import TemplateProcessing

from r1repro.stages.sft import token_ids
from r1repro.tasks import tokenizer


def test_a_tokenizer_that_opens_texts_does_so_once():
    words = tokenizer.train(["User: Compute 1+2. Assistant: "] * 3)
    plain = token_ids(words, "Compute 1+2.", "3")
    assert plain[1][-1] == words.eos_token_id
    opening = words.pad_token
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{opening} $A", special_tokens=[(opening, words.pad_token_id)]
    )
    prompt, said = token_ids(words, "Compute 1+2.", "3")
    assert prompt == [words.pad_token_id, *plain[0]] and said == plain[1]
