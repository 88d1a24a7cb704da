"""Results that a completion states and then withdraws, as in the paper's "aha moment".

In R1 v1, Table 3 (v2, Table 2), a completion stops, says "Wait" and evaluates again. Here a result,
the "= number" of a calculation, is withdrawn if a rejecting word follows it on the same line or
opens the next. In a search this is the usual verdict on a failed attempt.
"""

import re
from collections.abc import Iterator

_RESULT = r"=\s*-?\d+"
_REFUSAL = (
    r"(?:(?:no|not|wrong|wait|mistake|incorrect|actually|hmm)(?![A-Za-z])"
    r"|不对|不是|错了|算错|等等|等一下)"
)
# Both gaps are bounded, which keeps matching linear in the text.
_TAKEN_BACK = re.compile(
    rf"{_RESULT}[^\n=]{{0,20}}?[\s,，;；。.]\s{{0,3}}({_REFUSAL})"
    rf"|{_RESULT}[^\n=]{{0,20}}\n\s{{0,3}}({_REFUSAL})",
    re.IGNORECASE,
)
_FURTHER = re.compile(_RESULT)


def reconsiders(thinking: str) -> bool:
    """Whether a result is withdrawn and another one stated after it."""
    return any(_FURTHER.search(thinking, taken.end()) for taken in _TAKEN_BACK.finditer(thinking))


def turns(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each word that withdraws the result before it."""
    for taken in _TAKEN_BACK.finditer(text):
        yield taken.span(taken.lastindex or 0)
