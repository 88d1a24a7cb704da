"""The shape of the tests' smallest models, and models in the form of families at the hub."""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast, Qwen2Config

SHAPE = dict(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    intermediate_size=48,
)

# Each family's tokenizer as far as a template meets it: its special tokens, its end of a text, and
# what it opens every text with. Made here: none of the real ones could be loaded.
FAMILIES = {
    "qwen": (["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>", None),
    "llama": (
        ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>",
         "<|eot_id|>"],
        "<|end_of_text|>",
        "<|begin_of_text|>",
    ),
    "deepseek": (
        ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
        "<｜end▁of▁sentence｜>",
        "<｜begin▁of▁sentence｜>",
    ),
}  # fmt: skip


def tokenizer_of(family):
    """A byte-level tokenizer with the family's special tokens."""
    special, end, opening = FAMILIES[family]
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator([], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    raw.add_special_tokens([AddedToken(token, special=True) for token in special])
    if opening is not None:
        raw.post_processor = processors.TemplateProcessing(
            single=f"{opening} $A", special_tokens=[(opening, raw.token_to_id(opening))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=raw, eos_token=end, bos_token=opening)


def model_folder(family, place):
    """A random model of the family's architecture in `place`, with that tokenizer."""
    torch.manual_seed(0)
    tokenizer = tokenizer_of(family)
    kind = LlamaConfig if family == "llama" else Qwen2Config
    shape = kind(
        vocab_size=len(tokenizer),
        **SHAPE,
        max_position_embeddings=1_024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    AutoModelForCausalLM.from_config(shape).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place
