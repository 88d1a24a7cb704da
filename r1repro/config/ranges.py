"""What a number or a string of the configuration may be, as stands beside its type."""

from typing import Annotated, NamedTuple


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


Count = Annotated[int, Within(1, 2**40, "a whole number of at least 1")]
Seed = Annotated[int, Within(0, 2**32 - 1, "a whole number from 0 to 4294967295")]
Fraction = Annotated[float, Within(0, 1, "from 0 to 1")]
Rate = Fraction
Temperature = Annotated[float, Within(1e-3, 100, "above zero")]
Weight = Annotated[float, Within(0, 1e6, "zero or more")]
