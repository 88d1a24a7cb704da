"""The format reward: are thinking and answer in their tags?"""

from collections.abc import Sequence
from typing import Any

from r1repro.text.tags import read


def format(completions: Sequence[str], **columns: Any) -> list[float]:
    """1 for thinking, an optional summary and an answer in their tags, else 0."""
    return [float(read(text).format_valid) for text in completions]
