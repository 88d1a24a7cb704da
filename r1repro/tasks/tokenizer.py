"""The mini world's tokenizer: a byte-level BPE, trained here, saved as an ordinary HF one."""

import json
import re
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from r1repro.tasks.general import CAPITALS, WORDS
from r1repro.text.tags import END, TAGS

PAD = "<|pad|>"
VOCABULARY = 2560
# How often every word of the world is shown to the trainer, so that rare ones get a token too.
WORD_WEIGHT = 60
# A number takes tokens of up to three digits and never its leading blank, as in Llama 3; Han
# characters form words of their own.
_SPLIT = r"\p{Han}+| ?(?:(?!\p{Han})\p{L})+|\p{N}{1,3}|\n| |[^\s\p{L}\p{N}]"

_NUMBERS = [str(number) for number in range(10, 1000)]


def train(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train on the corpus; every number 0..999 is one token, longer ones are groups of three.

    The think and answer tags are added tokens but NOT special ones: rewards and people read text
    decoded without special tokens, and must see them.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(_NUMBERS) - len(TAGS) - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(_without_digits, _with_every_word(texts)), trainer)
    tokenizer = _with_every_number(tokenizer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left"
    )
    return fast


def _with_every_word(texts: Iterable[str]) -> Iterable[str]:
    for word in (word for entry in (*WORDS, *CAPITALS) for word in entry):
        yield f"{word} {word}\n" * WORD_WEIGHT
    yield from texts


def _without_digits(text: str) -> str:
    return re.sub(r"\d", "", text)


def _with_every_number(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with a token for each of 10..999, whichever of its digits merge first."""
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for number in _NUMBERS:
        vocabulary[number] = len(vocabulary)
        state["model"]["merges"].append([number[:-1], number[-1]])
        if len(number) == 3 and number[1] != "0":
            state["model"]["merges"].append([number[0], number[1:]])
    return Tokenizer.from_str(json.dumps(state))
