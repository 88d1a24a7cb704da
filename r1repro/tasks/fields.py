"""Fields of other people's files: questions and answers, as values of any type and as chats."""

import json
import math
from contextlib import suppress
from typing import Any

from r1repro.errors import R1ReproError
from r1repro.text.escapes import mended

USER, ASSISTANT = ("user", "human"), ("assistant", "gpt", "model")
"""Names of the speakers, in the forms role/content and from/value."""


def turn(value: Any, speakers: tuple[str, ...]) -> str | None:
    """The text itself, or the last turn of one of the `speakers` in a chat.

    A chat is a list of turns, or JSON of one; a turn's content may be a list of text parts. None if
    there is no such text.
    """
    value = _parsed(value)
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


def _content(content: Any) -> str | None:
    if not isinstance(content, list):
        return content if isinstance(content, str) else None
    parts = [part.get("text") if isinstance(part, dict) else part for part in content]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(parts) else None


def _parsed(value: Any) -> Any:
    """A list of turns, for its JSON; any other value itself."""
    if not (isinstance(value, str) and value.lstrip().startswith("[")):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        return value
    whole = isinstance(found, list) and found and all(isinstance(one, dict) for one in found)
    return found if whole else value


def gold_text(value: Any, place: str) -> str | None:
    """A gold answer as text; None where the row has none (null, NaN, an empty text or list).

    A list is its answers, joined by commas; also one written as JSON in a string. Raises
    R1ReproError for an object, which has to be named by its inner field.
    """
    if isinstance(value, str) and value.strip().startswith('["'):
        with suppress(ValueError):
            value = json.loads(value)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, dict):
        names = " or ".join(map(str, value)) or "none"
        raise R1ReproError(
            f"{place} is an object, not an answer: name the field inside it after a dot, such as "
            f"{place.rsplit(', ', 1)[-1]}.{next(iter(value), 'answer')} (its fields: {names})"
        )
    if isinstance(value, list | tuple):
        parts = [gold_text(one, place) for one in value]
        return ", ".join(part for part in parts if part is not None) or None
    text = mended(str(value)).strip()
    return None if text.casefold() in ("", "nan") else text


def completion_text(value: Any, name: str, place: str) -> str | None:
    """A completion as text; None for null. Of a list of messages the last of the assistant.

    Raises R1ReproError for a list of samples or another type.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        said = [one for one in value if one.get("role", one.get("from")) in ASSISTANT]
        content = said[-1].get("content", said[-1].get("value")) if said else None
        if isinstance(content, list):
            content = "".join(
                str(part.get("text", "")) for part in content if isinstance(part, dict)
            )
        if isinstance(content, str):
            return content
        raise R1ReproError(f"{place}: {name} holds no text of the assistant: give its messages")
    if isinstance(value, list):
        raise R1ReproError(
            f"{place}: {name} is a list of {len(value)} samples: write one row for each"
        )
    kind = type(value).__name__
    raise R1ReproError(f"{place}: {name} is {kind}: it must be a string or a list of messages")
