"""Results that a text states and then takes back, as in the paper's "aha moment".

R1 v1, Table 3 (v2, Table 2) shows one completion that stops, says "Wait" and evaluates anew. Here a
result is a calculation's "= number"; it is taken back where a word of refusal follows it within the
same line, or opens the next one. In a search that is the plain verdict on a failed attempt.
"""

import re

_RESULT = r"=\s*-?\d+"
_REFUSAL = (
    r"(?:(?:no|not|wrong|wait|mistake|incorrect|actually|hmm)(?![A-Za-z])"
    r"|不对|不是|错了|算错|等等|等一下)"
)
# Both gaps are bounded, so that no text takes more than linear time.
_TAKEN_BACK = re.compile(
    rf"{_RESULT}[^\n=]{{0,20}}?[\s,，;；。.]\s{{0,3}}{_REFUSAL}|{_RESULT}[^\n=]{{0,20}}\n\s{{0,3}}{_REFUSAL}",
    re.IGNORECASE,
)
_FURTHER = re.compile(_RESULT)


def withdrawals(thinking: str) -> int:
    """How many stated results are taken back."""
    return sum(1 for _ in _TAKEN_BACK.finditer(thinking))


def reconsiders(thinking: str) -> bool:
    """Whether a result is taken back and another one is stated after that."""
    return any(_FURTHER.search(thinking, taken.end()) for taken in _TAKEN_BACK.finditer(thinking))
