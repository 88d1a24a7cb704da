"""Questions of the mini world as a person types them."""

import re
import unicodedata

from r1repro.tasks import arithmetic, countdown
from r1repro.tasks.problem import Problem
from r1repro.text.language import language_of

_OPERATOR = re.compile(r"(?<=\d)\s*([-+])\s*(?=\d)")
_SEPARATOR = re.compile(r"(?<=\d)(?:\s*(?:,\s*and\b|,|、|和|与|\band\b)\s*|\s+)(?=\d)")
_SIGNED = re.compile(r"(?<!\d)[-+]\d")
_CHAIN = re.compile(r"\d{1,3}(?:[-+]\d{1,3})+")
_NUMBERS = re.compile(r"\d{1,3}(?:,\d{1,3}){2,3}")
_NUMBER = re.compile(r"\d+")


def problem(text: str) -> Problem | None:
    """The problem that a question asks, with its answer; None if it is not the mini world's.

    "What is 12+7-3?" is arithmetic. Three or four numbers in a row and one apart from them, as in
    "Use 3, 5 and 2 to make 16" or "用3,5,2得到16。", are a countdown. Numbers have no sign and at
    most three digits.
    """
    language = language_of(text)
    plain = _OPERATOR.sub(r"\1", unicodedata.normalize("NFKC", text).replace("−", "-"))
    plain = _SEPARATOR.sub(",", plain)
    if _SIGNED.search(plain) or any(len(number) > 3 for number in _NUMBER.findall(plain)):
        return None
    chain = _CHAIN.search(plain)
    if chain is not None and not _NUMBER.search(plain.replace(chain[0], "", 1)):
        return arithmetic.asked(arithmetic.parse(chain[0]), language, text)
    listed = _NUMBERS.search(plain)
    if listed is None:
        return None
    target = _NUMBER.findall(plain.replace(listed[0], "", 1))
    if len(target) != 1:
        return None
    numbers = [int(number) for number in listed[0].split(",")]
    return countdown.asked(numbers, int(target[0]), language, 1, text)
