"""Settings of free text, such as paths and names, which are taken as typed.

Hydra's grammar for overrides would read quotes, commas, brackets, `#`, `=` and `~` in them.
"""

import re
from collections.abc import Mapping

from r1repro.errors import R1ReproError

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_INTERPOLATION = re.compile(r"(\\*)\$\{")


def as_typed(text: str, kinds: Mapping[str, tuple[type, ...]]) -> tuple[str, str | None] | None:
    """(key, value) of an override `key=value` of free text; None for every other override.

    kinds: the accepted types of every setting. null is None. A value that is quoted once more, as
    Hydra's grammar wants it, is unquoted. Raises R1ReproError for an empty value.
    """
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or str not in kinds.get(key, ()):
        return None
    if not value:
        none = f", or {key}=null for none" if type(None) in kinds[key] else ""
        raise R1ReproError(f"`{text}` has no value: write {key}=VALUE{none}")
    if value.lower() == "null":
        return key, None
    if _QUOTED.fullmatch(value):
        quote, value = value[0], value[1:-1]
        value = re.sub(rf"\\([\\{quote}])", r"\1", value)
    return key, value


def literal(text: str) -> str:
    """The text such that OmegaConf takes none of it for an interpolation `${...}`."""
    return _INTERPOLATION.sub(lambda found: 2 * found[1] + "\\${", text)
