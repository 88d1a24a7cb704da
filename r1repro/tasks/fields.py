"""Fields of other people's files: questions and answers in chats, golds in lists or objects."""

import json
import math
from decimal import Decimal
from typing import Any

USER, ASSISTANT = ("user", "human"), ("assistant", "gpt", "model")
"""Names of the speakers, in the forms role/content and from/value."""
_GOLD = ("ground_truth", "answer", "final_answer", "value", "gold", "target")
"""Names under which an object holds its gold answer."""


def turn(value: Any, speakers: tuple[str, ...]) -> str | None:
    """The text itself, or the last turn of one of the `speakers` in a chat.

    A chat is a list of turns, or JSON of one; a turn's content may be a list of text parts. None if
    there is no such text.
    """
    value = _parsed(value, dict)
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        return None
    turns = [one for one in value if isinstance(one, dict)]
    said = [
        _content(one.get("content", one.get("value")))
        for one in turns
        if one.get("role", one.get("from")) in speakers
    ]
    return said[-1] if said else None


def gold(value: Any) -> str | None:
    """A gold answer as text: a number without exponent, an object's answer, a list's with commas.

    None if there is none, such as for NaN.
    """
    value = _parsed(value, str)  # not "[1, 2]", which is an interval
    if isinstance(value, dict):
        names = [name for name in _GOLD if name in value]
        return gold(value[names[0]]) if names else None
    if isinstance(value, list | tuple):
        found = [gold(one) for one in value]
        return ", ".join(map(str, found)) if found and None not in found else None
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return str(int(value)) if value.is_integer() else f"{Decimal(repr(value)):f}"
    return None if value is None else str(value)


def _content(content: Any) -> str | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def _parsed(value: Any, kind: type) -> Any:
    """A list whose members are all a `kind`, for its JSON; any other value itself."""
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    whole = isinstance(found, list) and found and all(isinstance(one, kind) for one in found)
    return found if whole else value
