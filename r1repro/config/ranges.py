"""What a setting may be: its type, and the range or the choices that stand beside it."""

from dataclasses import is_dataclass, replace
from numbers import Integral, Real
from typing import Annotated, Any, NamedTuple, Self, get_args, get_type_hints

from r1repro.errors import R1ReproError


def refused(key: str, value: object, accepted: str) -> R1ReproError:
    """The error for a value that a setting does not take."""
    return R1ReproError(f"{key}={value} is not accepted: {key} takes {accepted}")


class Within(NamedTuple):
    """The range of a number, and how an error says it."""

    low: float
    high: float
    said: str

    def accepts(self, value: float) -> bool:
        return self.low <= value <= self.high


class OneOf(NamedTuple):
    """The choices of a string."""

    names: tuple[str, ...]

    @property
    def said(self) -> str:
        return f"one of {', '.join(self.names)}"

    def accepts(self, value: str) -> bool:
        return value in self.names


SAID = {bool: "true or false", str: "a string", float: "a number", int: "a whole number"}
"""The types of settings, as an error says them."""


class Setting(NamedTuple):
    """The type of a setting, whether it may be null, and its range or choices."""

    kind: type
    optional: bool = False
    accepted: Any = None

    @classmethod
    def of(cls, hint: Any) -> Self:
        """The setting with this annotation, such as `Count | None`."""
        optional = type(None) in get_args(hint)
        inner = get_args(hint)[0] if optional else hint
        kind, *accepted = get_args(inner) or (inner,)
        return cls(kind, optional, *accepted)

    def checked(self, key: str, value: Any) -> Any:
        """The value in the setting's type. Raises R1ReproError for one that it does not take."""
        if value is None and self.optional:
            return None
        numbers = {int: Integral, float: Real}.get(self.kind)  # numpy's among them
        fits = type(value) is self.kind if numbers is None else isinstance(value, numbers)
        if not fits or (isinstance(value, bool) and self.kind is not bool):
            raise refused(key, value, SAID[self.kind])
        if self.accepted is not None and not self.accepted.accepts(value):
            raise refused(key, value, self.accepted.said)
        return self.kind(value)


def changed(node: Any, path: str, value: Any, key: str = "") -> Any:
    """The configuration with another value at a dotted path; key: the path in errors.

    Raises R1ReproError for a value that the setting does not take.
    """
    first, _, rest = path.partition(".")
    if rest:
        return replace(node, **{first: changed(getattr(node, first), rest, value, key or path)})
    hint = get_type_hints(type(node), include_extras=True)[first]
    if not is_dataclass(hint):
        value = Setting.of(hint).checked(key or path, value)
    elif not isinstance(value, hint):  # type: ignore[arg-type]
        raise refused(key or path, value, "a group of settings")
    return replace(node, **{first: value})


Count = Annotated[int, Within(1, 2**40, "a whole number of at least 1")]
Seed = Annotated[int, Within(0, 2**32 - 1, "a whole number from 0 to 4294967295")]
Fraction = Annotated[float, Within(0, 1, "from 0 to 1")]
Rate = Fraction
Temperature = Annotated[float, Within(1e-3, 100, "above zero")]
Weight = Annotated[float, Within(0, 1e6, "zero or more")]
