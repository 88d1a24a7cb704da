"""The mini world's byte-level BPE tokenizer, trained here and saved as a Hugging Face tokenizer."""

import json
import re
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from r1repro.tasks.general import CAPITALS, WORDS
from r1repro.text.tags import END, TAGS

PAD = "<|pad|>"
VOCABULARY = 2560
# Repetitions of every mini-world word in the training text, so rare words get a token too.
WORD_WEIGHT = 60
# Digits split into groups of up to three without the leading space, as in Llama 3; runs of Han
# characters are split from other text.
_SPLIT = r"\p{Han}+| ?(?:(?!\p{Han})\p{L})+|\p{N}{1,3}|\n| |[^\s\p{L}\p{N}]"

_NUMBERS = [str(number) for number in range(10, 1000)]


def train(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train on the corpus; each of 0..999 is one token, longer numbers are groups of three digits.

    The think and answer tags are added tokens but not special ones, so that they survive decoding
    that skips special tokens.
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
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left"
    )


def _with_every_word(texts: Iterable[str]) -> Iterable[str]:
    for word in (word for entry in (*WORDS, *CAPITALS) for word in entry):
        yield f"{word} {word}\n" * WORD_WEIGHT
    yield from texts


def _without_digits(text: str) -> str:
    return re.sub(r"\d", "", text)


def _with_every_number(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with a token for each of 10..999, for either merge order of the digits."""
    state = json.loads(tokenizer.to_str())
    vocabulary = state["model"]["vocab"]
    for number in _NUMBERS:
        vocabulary[number] = len(vocabulary)
        state["model"]["merges"].append([number[:-1], number[-1]])
        if len(number) == 3 and number[1] != "0":
            state["model"]["merges"].append([number[0], number[1:]])
    return Tokenizer.from_str(json.dumps(state))
