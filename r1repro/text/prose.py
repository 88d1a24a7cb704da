"""Detects gold answers that are sentences, which no rule can compare."""

import re

from r1repro.text.language import HAN, words

_BEGINS_WITH_A_WORD = re.compile(rf"[\s${{]*(?:\\[a-z]+\s*\{{\s*)?(?:[^\W\d_]{{2}}|[{HAN}])")
_VERBS = frozenset(
    "is are was were be will would has have had can could must may should does do did".split()
)
_ABOUT_NOTHING = _VERBS | {"there", "no"}
"""First words after which the answer has no subject of its own."""


def is_sentence(answer: str) -> bool:
    """Whether an answer is a full sentence, in English or Chinese: a word first, and a verb.

    "A", "June 20" and "all real numbers" have no verb, "40 sweets are left" starts with its value,
    and "does not exist" and "there is no solution" are common answers: all can be compared.
    """
    found = words(answer)
    if not _BEGINS_WITH_A_WORD.match(answer) or {*found[:1]} & _ABOUT_NOTHING:
        return False
    chinese = len(re.findall(rf"[{HAN}]", answer))
    return (len(found) >= 3 and not _VERBS.isdisjoint(found)) or (chinese >= 6 and "是" in found)
