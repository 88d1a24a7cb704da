"""The language consistency reward: does the model think in the language of the question?"""

import math
from collections.abc import Sequence
from typing import Any

from r1repro.text.language import language_share
from r1repro.text.tags import thinking


def language(completions: Sequence[str], **columns: Any) -> list[float]:
    """Share of the thinking's words in the language of the question (R1 v2, Eq. 7).

    Thinking without words, such as bare equations, gets 1.
    """
    shares = [
        language_share(thinking(text), asked)
        for text, asked in zip(completions, columns["language"], strict=True)
    ]
    return [1.0 if math.isnan(share) else share for share in shares]
