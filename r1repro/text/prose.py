"""Is a right answer a sentence? Nothing but its own words would equal it."""

import re

from r1repro.text.language import HAN, words

_BEGINS_WITH_A_WORD = re.compile(rf"[\s${{]*(?:\\[a-z]+\s*\{{\s*)?(?:[^\W\d_]{{2}}|[{HAN}])")
_VERBS = frozenset(
    "is are was were be will would has have had can could must may should does do did".split()
)


def is_sentence(answer: str) -> bool:
    """Whether it begins with a word and says something of it, in English or Chinese.

    "A", "east", "June 20" and "all real numbers" have no verb, and "40 sweets are left" begins with
    its value: these can be compared.
    """
    if not _BEGINS_WITH_A_WORD.match(answer):
        return False
    found = words(answer)
    chinese = len(re.findall(rf"[{HAN}]", answer))
    return (len(found) >= 3 and not _VERBS.isdisjoint(found)) or (chinese >= 6 and "是" in found)
