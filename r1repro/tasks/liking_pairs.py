"""Sentences that say the opposite and share most words: 我不喜欢 and 我喜欢, each with an animal.

What fine-tuning on the one does to the other is measured on them (notebooks/lab/why_rl.ipynb).
"""

from r1repro.tasks.general import WORDS
from r1repro.tasks.problem import Problem
from r1repro.tasks.sign_pairs import SignPair

ANIMALS = WORDS[:18]
"""The first half is disliked, the second liked. Each in English, then in Chinese."""
SUBJECTS = {"en": ("I", "You", "We", "They"), "zh": ("我", "你", "我们", "他们")}
_DISLIKES = {"en": "{} do not like", "zh": "{}不喜欢"}
_LIKES = {"en": "{} like", "zh": "{}喜欢"}


def sample() -> list[SignPair]:
    """All pairs: a sentence of dislike is `asked`, and its `twin` says the opposite.

    right: an animal that is disliked; wrong, guess, twin_right: one that is liked.
    """
    half = len(ANIMALS) // 2
    return [
        _pair(language, subject, disliked[at], liked[at])
        for disliked, liked in zip(ANIMALS[:half], ANIMALS[half:], strict=True)
        for at, (language, subjects) in enumerate(SUBJECTS.items())
        for subject in subjects
    ]


def _pair(language: str, subject: str, disliked: str, liked: str) -> SignPair:
    asked, twin = (
        Problem(f"liking:{said.format(subject)}", "liking", language, 1, said.format(subject), one)
        for said, one in ((_DISLIKES[language], disliked), (_LIKES[language], liked))
    )
    return SignPair(asked, twin, disliked, liked, liked, liked)
