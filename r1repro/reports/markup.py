"""Pieces of HTML that a notebook shows, tables among them; any text in them is escaped."""

import re
from collections.abc import Sequence
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
    """A block of paragraphs with a class of the page's style; None without a sentence.

    What stands between backticks is code.
    """
    told = Markup("").join(Markup("<p>{}</p>").format(_code(one)) for one in sentences if one)
    return Html(Markup('<div class="{}">{}</div>').format(style, told)) if told else None


def _code(sentence: str) -> Markup:
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def folded(title: str, inside: Shown, opened: bool = False) -> Html:
    """What a reader can unfold."""
    start = "<details open>" if opened else "<details>"
    return Html(f"{start}<summary>{escape(title)}</summary>{inside._repr_html_()}</details>")


SHOWN = 5
"""Rows of a long table that a report's page shows at first."""


@dataclass(frozen=True)
class Row:
    """A row of a table: one cell per column, or none in a heading between rows.

    Lines after the first of a label or cell are small print; context: whether these are the
    paper's figures.
    """

    label: str
    cells: tuple[str, ...] = ()
    context: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under named columns. A column is set as context if its name begins with the paper.

    A report's page shows the first five rows of a long table, and the others on demand; a notebook
    shows them all.
    """

    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    first: str = "Measure"

    def _repr_html_(self) -> str:
        styles = [self._style(name, i) for i, name in enumerate(self.columns)]
        head = Markup("").join(
            Markup('<th scope="col" class="{}">{}</th>').format(*pair)
            for pair in zip(("", *styles), (self.first, *self.columns), strict=True)
        )
        body = [self._body(row, styles) for row in self.rows]
        # One or two rows are not worth hiding.
        first = len(body) if len(body) < SHOWN + 3 else SHOWN
        table = _TABLE.format(head, Markup("").join(body[:first]))
        if first < len(body):
            table += _REST.format(Markup("").join(body[first:]))
        table += Markup("</table></div>")
        more = _MORE.format(len(body)) if first < len(body) else ""
        return Markup('<div class="rows">{}{}</div>').format(table, more)

    def _style(self, name: str, place: int) -> str:
        if name.startswith("The paper"):
            return "context"
        cells = [row.cells[place] for row in self.rows if row.cells]
        return "num" if all(map(_NUMBER.match, cells)) else "text"

    def _body(self, row: Row, styles: Sequence[str]) -> Markup:
        if not row.cells:
            heading = Markup('<tr class="group"><th colspan="{}">{}</th></tr>')
            return heading.format(len(self.columns) + 1, row.label)
        cells = Markup("").join(
            Markup('<td class="{}">{}</td>').format(style, _written(text))
            for style, text in zip(styles, row.cells, strict=True)
        )
        return Markup('<tr class="{}"><th scope="row">{}</th>{}</tr>').format(
            "context" if row.context else "", _written(row.label), cells
        )


_TABLE = Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody>')
_REST = Markup('<tbody class="rest">{}</tbody>')
_MORE = Markup('<label class="more" hidden><input type="checkbox"> all {} rows</label>')
_NUMBER = re.compile(r"[+−×]?\s?\d|–")


def _written(text: str) -> Markup:
    """The text of a cell, with its interval and the lines after the first in small print."""
    first, *more = text.split("\n")
    value, bracket, interval = first.partition(" [")
    found = escape(value)
    if bracket:
        found += Markup(" <small>[{}</small>").format(interval)
    return found + Markup("").join(Markup("<br><small>{}</small>").format(one) for one in more)
