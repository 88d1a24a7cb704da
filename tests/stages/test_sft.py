"""What a row of a data set becomes before fine-tuning."""

from tokenizers.processors import TemplateProcessing

from r1repro.stages.sft import token_ids
from r1repro.tasks.tokenizer import train as train_tokenizer


def test_a_tokenizer_that_opens_texts_does_so_once():
    tokenizer = train_tokenizer(["User: Compute 1+2. Assistant: "] * 3)
    plain = token_ids(tokenizer, "Compute 1+2.", "3")
    assert plain[1][-1] == tokenizer.eos_token_id
    opening = tokenizer.pad_token
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{opening} $A", special_tokens=[(opening, tokenizer.pad_token_id)]
    )
    prompt, said = token_ids(tokenizer, "Compute 1+2.", "3")
    assert prompt == [tokenizer.pad_token_id, *plain[0]] and said == plain[1]
