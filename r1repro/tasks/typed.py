"""Questions of the mini world as a person types them."""

import re

from r1repro.tasks import arithmetic
from r1repro.tasks.problem import Problem
from r1repro.text.language import language_of

_CHAIN = re.compile(r"(?<!\d)\d{1,3}(?:[-+]\d{1,3})+(?!\d)")
_NUMBERS = re.compile(r"(?<!\d)\d{1,3}(?:[,，、 ]+\d{1,3}){2,3}(?!\d)")
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?!\d)")


def problem(text: str) -> Problem | None:
    """The problem that a question asks, with its answer; None if it is not the mini world's.

    "What is 12+7-3?" is arithmetic. Three or four numbers in a row and one apart from them, as in
    "Use 3,5,2 to make 16" or "用3,5,2得到16。", are a countdown.
    """
    language = language_of(text)
    chain = _CHAIN.search(text)
    if chain is not None and not _NUMBER.search(text.replace(chain[0], "", 1)):
        found = arithmetic.parse(chain[0])
        level = max(1, len(found.operations) - 1)
        return Problem(
            f"arithmetic:{found.text}", "arithmetic", language, level, text, str(found.value)
        )
    listed = _NUMBERS.search(text)
    if listed is None:
        return None
    target = _NUMBER.findall(text.replace(listed[0], "", 1))
    if len(target) != 1:
        return None
    numbers = sorted(map(int, _NUMBER.findall(listed[0])))
    form = f"{','.join(map(str, numbers))}={int(target[0])}"
    return Problem(f"countdown:{form}", "countdown", language, 1, text, form)
