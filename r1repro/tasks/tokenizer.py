"""The mini world's tokenizer: a byte-level BPE, trained here, saved as an ordinary HF one."""

from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from r1repro.tasks.general import CAPITALS, WORDS
from r1repro.text.tags import TAGS

END, PAD = "<|endoftext|>", "<|pad|>"
VOCABULARY = 2048
# How often every number and word is shown to the trainer, so that its merges come first.
NUMBER_WEIGHT = 400
# A number takes tokens of up to three digits and never its leading blank, as in Llama 3; Han
# characters form words of their own.
_SPLIT = r"\p{Han}+| ?(?:(?!\p{Han})\p{L})+|\p{N}{1,3}|\n| |[^\s\p{L}\p{N}]"


def train(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train on the corpus; every number that the world uses, 0..99, is one token.

    Larger numbers are split into groups of three digits, of which the frequent ones are one token.

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
        vocab_size=VOCABULARY - len(TAGS) - 2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_with_every_word(texts), trainer)
    tokenizer.add_tokens([AddedToken(tag, special=False, normalized=False) for tag in TAGS])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END, pad_token=PAD, padding_side="left"
    )
    return fast


def _with_every_word(texts: Iterable[str]) -> Iterable[str]:
    words = [word for entry in (*WORDS, *CAPITALS) for word in entry]
    numbers = " ".join(map(str, range(1000)))
    for _ in range(NUMBER_WEIGHT):
        yield numbers
    for word in words:
        yield f"{word} {word}\n" * NUMBER_WEIGHT
    yield from texts
