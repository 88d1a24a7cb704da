"""Model text in reports: chosen by a stated rule, escaped and bounded in length.

A model may write anything: markup, characters that reverse the order of the line, halves of
surrogate pairs, a hundred thousand digits in a row. All of it is shown as text.
"""

import re
from collections.abc import Iterable, Mapping

import pandas as pd
from markupsafe import Markup, escape

from r1repro.evaluation.answers import chosen, shown
from r1repro.evaluation.checkpoints import label_of
from r1repro.reports.markup import Html
from r1repro.tasks import countdown
from r1repro.text.visible import visible

LIMIT = 4_000
"""Most characters shown of a text; of longer ones the first three quarters and last quarter."""

LANGUAGES = {"en": "English", "zh": "Chinese"}

_COUNTDOWN = re.compile(r"\d{1,3}(?:,\d{1,3}){1,3}=\d{1,3}", re.ASCII)
"""Numbers and target of a countdown in the mini world's sizes, whose attempts can be listed."""
_TAG = re.compile(r"(</?(?:think|answer)>)")
_CSS = """
.r1t{font:14px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;
 margin:.6em 0;border:1px solid #d8dce1;border-radius:6px;padding:.4em .8em;max-width:60em}
.r1t pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0;font:13px/1.5 ui-monospace,
 Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;unicode-bidi:isolate}
.r1t .head{color:#5b6169}.r1t .tag{color:#8a5a00}.r1t .cut{background:#fff3d6;padding:0 .3em}
.r1t .right{color:#00664c}.r1t .wrong{color:#a33b00}
"""


def text_html(text: object, limit: int = LIMIT) -> Markup:
    """Any text as escaped HTML, tags of the R1 format marked, the middle cut beyond `limit`.

    The note on how much was cut is a separate element, which a text cannot forge.
    """
    whole = text if isinstance(text, str) else "" if text is None else str(text)
    if len(whole) <= limit:
        return _marked(whole)
    head, tail = whole[: limit * 3 // 4], whole[len(whole) - limit // 4 :]
    cut = len(whole) - len(head) - len(tail)
    note = f"… {cut:,} of {len(whole):,} characters are not shown here …"
    return _marked(head) + Markup('<span class="cut">{}</span>').format(note) + _marked(tail)


def _marked(text: str) -> Markup:
    # The split keeps the tags at odd indices.
    parts = _TAG.split(text)
    return Markup("").join(
        Markup('<span class="tag">{}</span>').format(part) if i % 2 else escape(visible(part))
        for i, part in enumerate(parts)
    )


def problems(answers: pd.DataFrame) -> list[dict[str, pd.Series]]:
    """Rows of `chosen` grouped by problem, as dicts {checkpoint: row}."""
    found: dict[tuple[str, ...], dict[str, pd.Series]] = {}
    for _, row in answers.iterrows():
        found.setdefault((row["problem_id"], row["language"]), {})[row["checkpoint"]] = row
    return list(found.values())


def over_training(completions: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """The first stored completion of up to `most` evenly spaced steps."""
    completions = completions if completions.empty else shown(completions)
    if completions.empty:
        return completions
    firsts = completions.drop_duplicates("step").sort_values("step").reset_index(drop=True)
    if len(firsts) <= most:
        return firsts
    return firsts.iloc[[round(i * (len(firsts) - 1) / (most - 1)) for i in range(most)]]


def show(rows: pd.DataFrame, limit: int = LIMIT) -> Html:
    """Rows of completions.parquet or evaluation.parquet as cards, for a notebook."""
    return cards(card(row, [_answer("", row)], limit) for _, row in rows.iterrows())


def side_by_side(
    evaluations: Mapping[str, pd.DataFrame], most: int | None = None, limit: int = LIMIT
) -> Html:
    """The same problems answered by each checkpoint, chosen by RULE, for a notebook."""
    return answered(chosen(evaluations), most, limit)


def answered(rows: pd.DataFrame, most: int | None = None, limit: int = LIMIT) -> Html:
    """Rows of `chosen` for a notebook; each problem but the first is folded."""
    made: list[Markup] = []
    for problem in problems(rows)[:most]:
        named = {label_of(name): row for name, row in problem.items()}
        first, *_ = named.values()
        texts = [_answer(name, row) for name, row in named.items()]
        marks = Markup("").join(
            Markup(' · <span class="{0}">{1} {0}</span>').format(_right(row), name)
            for name, row in named.items()
        )
        made.append(card(first, texts, limit, marks, opened=not made))
    return cards(made)


def _right(row: pd.Series) -> str:
    return "right" if row["correct"] else "wrong"


def _answer(name: str, row: pd.Series) -> tuple[Markup, object]:
    head = Markup('<b>{}</b> <span class="{}">{}</span>').format(name, _right(row), verdict(row))
    return head, row["text"]


def heading(row: pd.Series) -> str:
    """Heading of a row, such as "Arithmetic · English · level 3"."""
    place = [str(row["task"]).capitalize(), LANGUAGES.get(row["language"], str(row["language"]))]
    place += [f"level {row['level']}"] if "level" in row else []
    place = [f"step {row['step']}", *place] if "step" in row else place
    return " · ".join([str(row["seed"]), *place] if "seed" in row else place)


def card(
    row: pd.Series,
    texts: Iterable[tuple[str, object]],
    limit: int,
    marks: str = "",
    opened: bool = True,
) -> Markup:
    """A row as a card: heading and `marks`, question, gold answer, and texts with their heads."""

    def text(written: object) -> Markup:
        return Markup('<pre lang="{}">{}</pre>').format(row["language"], text_html(written, limit))

    start = Markup('<details class="r1t"{}><summary class="head">{} · {}{}</summary>')
    state = Markup(" open") if opened else ""
    parts = [start.format(state, heading(row), row["problem_id"], marks)]
    parts += [text(row["prompt"])] if "prompt" in row else []
    if "answer" in row:
        gold = Markup("<div>{}: <code>{}</code></div>")
        parts.append(gold.format(*_gold(row)))
    for head, written in texts:
        parts += [Markup("<div>{}</div>").format(head), text(written)]
    return Markup("").join(parts) + Markup("</details>")


def _gold(row: pd.Series) -> tuple[str, Markup]:
    """What stands before the gold answer, and it; a countdown's is one of several solutions."""
    answer = str(row["answer"])
    if row["task"] == "countdown" and _COUNTDOWN.fullmatch(answer):
        numbers, target = answer.split("=")
        tried = countdown.trials(tuple(map(int, numbers.split(","))), "+-*")
        solution = next((t.expression for t in tried if t.value == int(target)), None)
        if solution is not None:
            return "A solution", text_html(solution)
    return "Gold answer", text_html(answer)


def verdict(row: pd.Series) -> str:
    """The verdict on a response in words."""
    words = ["right" if row["correct"] else "wrong"]
    words.append("valid format" if row["format_valid"] else "format not valid")
    words.append(f"{row['tokens']} tokens" + ("" if row["finished"] else ", cut off"))
    return " · ".join(words)


def cards(made: Iterable[Markup]) -> Html:
    """Cards with their style, for a notebook."""
    return Html(Markup("<style>{}</style>").format(Markup(_CSS)) + Markup("").join(made))
