"""HTML for notebooks, with tables; all text in it is escaped."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from markupsafe import Markup, escape


class Html(Markup):
    """HTML that a notebook renders; `format` escapes the text that it inserts."""

    def _repr_html_(self) -> str:
        return str(self)


class Shown(Protocol):
    """What a notebook shows as HTML."""

    def _repr_html_(self) -> str: ...


def joined(*parts: Shown | None) -> Html:
    """One piece of HTML after the other, without those that are None."""
    return Html("".join(part._repr_html_() for part in parts if part is not None))


def paragraphs(*sentences: str, style: str = "") -> Html | None:
    """A paragraph per sentence that is not "", None without any; text in backticks is code."""
    told = [re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(one))) for one in sentences if one]
    whole = Html("").join(Html(f"<p>{one}</p>") for one in told)
    return Html('<div class="{}">{}</div>').format(style, whole) if told else None


def folded(title: str, inside: Shown, opened: bool = False) -> Html:
    """HTML below a title that unfolds it."""
    start = "<details open>" if opened else "<details>"
    return Html(f"{start}<summary>{escape(title)}</summary>{inside._repr_html_()}</details>")


SHOWN = 5
"""Rows of a long table that a page shows before it is unfolded."""


@dataclass(frozen=True)
class Row:
    """A row of a table; a heading has no cells, and `context` is a row of the paper's figures.

    Lines of a label or cell after the first are small print.
    """

    label: str
    cells: tuple[str, ...] = ()
    context: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under named columns; a column whose name begins with "The paper" is set as context.

    A page folds a long table after SHOWN rows; a notebook shows all.
    """

    columns: tuple[str, ...]
    rows: Sequence[Row]
    first: str = "Measure"

    def _repr_html_(self) -> str:
        styles = [self._style(name, i) for i, name in enumerate(self.columns)]
        head = _EMPTY.join(
            Markup('<th scope="col" class="{}">{}</th>').format(*pair)
            for pair in zip(("", *styles), (self.first, *self.columns), strict=True)
        )
        body = [self._body(row, styles) for row in self.rows]
        rest = more = _EMPTY
        if len(body) >= SHOWN + 3:  # one or two rows are not worth folding
            rest = Markup('<tbody class="rest">{}</tbody>').format(_EMPTY.join(body[SHOWN:]))
            more = _MORE.format(len(body))
        shown = _EMPTY.join(body[:SHOWN] if rest else body)
        return _TABLE.format(head, shown, rest, more)

    def _style(self, name: str, place: int) -> str:
        if name.startswith("The paper"):
            return "context"
        cells = [row.cells[place] for row in self.rows if row.cells]
        return "num" if all(map(_NUMBER.match, cells)) else "text"

    def _body(self, row: Row, styles: Sequence[str]) -> Markup:
        if not row.cells:
            heading = Markup('<tr class="group"><th colspan="{}">{}</th></tr>')
            return heading.format(len(self.columns) + 1, row.label)
        cells = _EMPTY.join(
            Markup('<td class="{}">{}</td>').format(style, _written(text))
            for style, text in zip(styles, row.cells, strict=True)
        )
        return Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format(
            "context" if row.context else "", _written(row.label), cells
        )


_EMPTY = Markup("")
_TABLE = Markup(
    '<div class="rows"><div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody>{}'
    "</table></div>{}</div>"
)
_MORE = Markup('<label class="more" hidden><input type="checkbox"> all {} rows</label>')
_NUMBER = re.compile(r"[+−×]?\s?\d|–")


def _written(text: str) -> Markup:
    """The text of a cell, with its interval and the lines after the first in small print."""
    first, *more = text.split("\n")
    value, bracket, interval = first.partition(" [")
    small = Markup(" <small>[{}</small>").format(interval) if bracket else ""
    lines = _EMPTY.join(Markup("<br><small>{}</small>").format(one) for one in more)
    return escape(value) + small + lines
