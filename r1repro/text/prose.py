"""Is a right answer a sentence? Nothing but its own words would equal it."""

import re

from r1repro.text.language import HAN, words

_BEGINS_WITH_A_WORD = re.compile(rf"[\s${{]*(?:\\[a-z]+\s*\{{\s*)?(?:[^\W\d_]{{2}}|[{HAN}])")
_VERBS = frozenset(
    "is are was were be will would has have had can could must may should does do did".split()
)
_ABOUT_NOTHING = _VERBS | {"there", "no"}
"""A first word that leaves open what is spoken of."""


def is_sentence(answer: str) -> bool:
    """Whether it begins with a word and says something of it, in English or Chinese.

    "A", "east", "June 20" and "all real numbers" have no verb, "40 sweets are left" begins with its
    value, and "does not exist" or "there is no solution" are what some problems are answered with:
    these can be compared.
    """
    found = words(answer)
    if not _BEGINS_WITH_A_WORD.match(answer) or {*found[:1]} & _ABOUT_NOTHING:
        return False
    chinese = len(re.findall(rf"[{HAN}]", answer))
    return (len(found) >= 3 and not _VERBS.isdisjoint(found)) or (chinese >= 6 and "是" in found)
