"""Pieces of HTML that a notebook shows; any text in them is escaped."""

from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup, escape


@dataclass(frozen=True)
class Html:
    """HTML that a notebook renders."""

    text: str

    def _repr_html_(self) -> str:
        return self.text


class Shown(Protocol):
    """What a notebook shows as HTML."""

    def _repr_html_(self) -> str: ...


def joined(*parts: Shown | None) -> Html:
    """Pieces of HTML one after the other; those that are None are left out."""
    return Html("".join(part._repr_html_() for part in parts if part is not None))


def paragraphs(*sentences: str, style: str = "") -> Html | None:
    """A block of paragraphs with a class of the page's style; None without a sentence."""
    told = Markup("").join(Markup("<p>{}</p>").format(one) for one in sentences if one)
    return Html(Markup('<div class="{}">{}</div>').format(style, told)) if told else None


def folded(title: str, inside: Shown, opened: bool = False) -> Html:
    """What a reader can unfold."""
    start = "<details open>" if opened else "<details>"
    return Html(f"{start}<summary>{escape(title)}</summary>{inside._repr_html_()}</details>")
