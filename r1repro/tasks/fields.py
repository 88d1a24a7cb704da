"""Fields of other people's files: questions and answers in chats of several forms."""

import json
from typing import Any

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
