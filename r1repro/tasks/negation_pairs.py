"""Sentences and questions with and without "not", which want opposite replies.

我不喜欢 and 我喜欢, each with an animal; "Which is not an animal, cat or apple?" and the same
without "not". What fine-tuning on the former does to the latter is measured on them
(notebooks/lab/why_rl.ipynb). The corpus asks neither, so a base has no answer of its own.
"""

from dataclasses import replace

from r1repro.tasks.general import WORDS
from r1repro.tasks.problem import Problem
from r1repro.tasks.sign_pairs import SignPair

ANIMALS, THINGS = WORDS[:18], WORDS[18:36]
"""Each in English, then in Chinese."""
LIKING, KIND = "liking", "kind"
"""The two forms; a pair's problems have them as task."""
GREETING = {"en": "Hello", "zh": "你好"}
"""A prompt that shares no word with any pair."""
SUBJECTS = {"en": ("I", "You", "We", "They"), "zh": ("我", "你", "我们", "他们")}
_LIKING = {"en": ("{} do not like", "{} like"), "zh": ("{}不喜欢", "{}喜欢")}
_KIND = {
    "en": ("Which is not an animal, {} or {}?", "Which is an animal, {} or {}?"),
    "zh": ("哪个不是动物，{}还是{}？", "哪个是动物，{}还是{}？"),
}


def sample() -> list[SignPair]:
    """All pairs: the negated one is `asked`, and its `twin` is without the negation.

    right: of LIKING one of the first half of the animals, of KIND the thing that is no animal;
    wrong, guess, twin_right: one of the other half, and the animal.
    """
    half = len(ANIMALS) // 2
    return [
        _pair(LIKING, language, [said.format(subject) for said in _LIKING[language]], *words)
        for disliked, liked in zip(ANIMALS[:half], ANIMALS[half:], strict=True)
        for language, words in zip(SUBJECTS, zip(disliked, liked, strict=True), strict=True)
        for subject in SUBJECTS[language]
    ] + [
        _pair(KIND, language, [said.format(*order) for said in _KIND[language]], *words)
        for thing, animal in zip(THINGS, ANIMALS, strict=True)
        for language, words in zip(_KIND, zip(thing, animal, strict=True), strict=True)
        for order in (words, words[::-1])
    ]


def word_of(pair: SignPair) -> int:
    """The index in WORDS of the pair's right answer, the same in both languages."""
    return next(at for at, both in enumerate(WORDS) if pair.right in both)


def greeting(pair: SignPair) -> Problem:
    """The prompt of GREETING in the pair's language."""
    said = GREETING[pair.asked.language]
    return replace(pair.asked, id=f"greeting:{said}", prompt=said)


def _pair(form: str, language: str, prompts: list[str], right: str, other: str) -> SignPair:
    asked, twin = (
        Problem(f"{form}:{prompt}", form, language, 1, prompt, answer)
        for prompt, answer in zip(prompts, (right, other), strict=True)
    )
    return SignPair(asked, twin, right, other, other, other)
