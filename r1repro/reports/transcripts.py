"""Model text in reports: chosen by a stated rule, escaped and bounded in length.

A model may write anything: markup, characters that reverse the order of a line, halves of
surrogate pairs, a hundred thousand digits in a row. All of it is shown as text.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from markupsafe import Markup, escape

from r1repro.evaluation.checkpoints import label_of
from r1repro.evaluation.rows import whole_groups
from r1repro.evaluation.shown_answers import chosen, shown
from r1repro.reports.markup import Html
from r1repro.tasks import countdown
from r1repro.text import marked
from r1repro.text.turns import runs_on
from r1repro.text.visible import visible

LIMIT = 4_000
"""Most characters shown of a text: of a longer one the first 3,000 and the last 1,000."""

LANGUAGES = {"en": "English", "zh": "Chinese"}

_COUNTDOWN = re.compile(r"\d{1,3}(?:,\d{1,3}){1,3}=\d{1,3}", re.ASCII)
"""Numbers and target of a countdown that is small enough to try all expressions."""
_TAG = re.compile(r"</?(?:think|answer)>")
_CSS = """
.r1t{font:14px/1.5 system-ui,"Noto Sans CJK SC","PingFang SC","Microsoft YaHei",sans-serif;
 margin:.6em 0;border:1px solid #d8dce1;border-radius:6px;padding:.4em .8em;max-width:60em}
.r1t pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.3em 0;font:13px/1.5 ui-monospace,
 Menlo,Consolas,"DejaVu Sans Mono","Noto Sans Mono CJK SC",monospace;unicode-bidi:isolate}
.r1t .head{color:#5b6169}.r1t .tag{color:#8a5a00}.r1t .cut{background:#fff3d6;padding:0 .3em}
.r1t .right{color:#00664c}.r1t .wrong{color:#a33b00}
.r1k{font:13px/1.6 system-ui,sans-serif;color:#5b6169}
.r1t mark,.r1k mark{color:inherit;padding:0 .1em}
mark.false{background:#fde2dc;text-decoration:underline wavy #a33b00 1px}
mark.turn{background:#d6e6f8;font-weight:600}mark.foreign{background:#e9dff5}
"""


def text_html(text: object, language: str | None = None) -> Markup:
    """Any text as escaped HTML: tags of the R1 format are marked, the middle is cut beyond LIMIT.

    language: that of the question if the text is an answer, in which `marked.marks` are shown. The
    note on how much was cut is an element of its own, which no text can forge.
    """
    whole = "" if text is None else str(text)
    found = [(*tag.span(), _AS_TAG) for tag in _TAG.finditer(whole)]
    if language is not None:
        found += [(one.start, one.end, _MARKS[one.kind]) for one in marked.marks(whole, language)]
    found.sort()
    if len(whole) <= LIMIT:
        return _part(whole, 0, len(whole), found)
    first, last = LIMIT * 3 // 4, len(whole) - LIMIT // 4
    note = Markup('<span class="cut">… {:,} of {:,} characters are not shown here …</span>')
    return (
        _part(whole, 0, first, found)
        + note.format(last - first, len(whole))
        + _part(whole, last, len(whole), found)
    )


def _part(text: str, start: int, end: int, found: Sequence[tuple[int, int, Markup]]) -> Markup:
    """The text from `start` to before `end`; found: elements around parts of it, in order."""
    parts, at = [], start
    for first, last, around in found:
        first, last = max(first, at), min(last, end)
        if first < last:
            parts += [escape(visible(text[at:first])), around.format(visible(text[first:last]))]
            at = last
    return Markup("").join([*parts, escape(visible(text[at:end]))])


_AS_TAG = Markup('<span class="tag">{}</span>')
_MARKS = {kind: Markup(f'<mark class="{kind}">{{}}</mark>') for kind in marked.MEANS}


def problems(answers: pd.DataFrame) -> list[dict[str, pd.Series]]:
    """Rows of `chosen` as {checkpoint: row} of each problem."""
    found: dict[tuple[str, ...], dict[str, pd.Series]] = {}
    for _, row in answers.iterrows():
        found.setdefault((row["problem_id"], row["language"]), {})[row["checkpoint"]] = row
    return list(found.values())


def over_training(completions: pd.DataFrame, most: int = 12) -> pd.DataFrame:
    """The first stored completion of up to `most` evenly spaced steps."""
    if completions.empty:
        return completions
    firsts = shown(completions).drop_duplicates("step").sort_values("step").reset_index(drop=True)
    return firsts[firsts["step"].isin(spaced(firsts["step"], most))]


def spaced(steps: Iterable[int], most: int) -> list[int]:
    """Up to `most` of these steps, evenly spaced, with the first and the last."""
    steps = list(steps)
    if len(steps) <= most:
        return steps
    return [steps[round(i * (len(steps) - 1) / max(1, most - 1))] for i in range(most)]


def groups(completions: pd.DataFrame, most: int = 4) -> Html | None:
    """Whole groups of up to `most` steps, with rewards and advantages; None without any.

    completions: all rows of completions.parquet. Every group but the first is folded.
    """
    made: list[Markup] = []
    rows = whole_groups(completions)
    for step in spaced(sorted(set(rows["step"])), most):
        group = rows[rows["step"] == step].sort_values("reward", ascending=False, kind="stable")
        right = f"{group['correct'].sum()} of {len(group)} right"
        marks = Markup(" · <b>{}</b>").format(right)
        texts = [_answer(_paid(row), row) for _, row in group.iterrows()]
        made.append(card(group.iloc[0], texts, marks, opened=not made))
    return cards(made) if made else None


def _paid(row: pd.Series) -> str:
    """The reward of a completion, and its advantage if all its tokens have the same."""
    told = f"reward {row['reward']:.2f}"
    if "advantage" in row:
        told += f", advantage {row['advantage']:+.2f}"
    return told.replace("-", "−")


def show(rows: pd.DataFrame) -> Html:
    """Rows of completions.parquet or evaluation.parquet as cards."""
    return cards(card(row, [_answer("", row)]) for _, row in rows.iterrows())


def side_by_side(evaluations: Mapping[str, pd.DataFrame], most: int | None = None) -> Html:
    """Up to `most` problems with the answers of each checkpoint, chosen by `shown_answers.RULE`."""
    return answered(chosen(evaluations), most)


def answered(rows: pd.DataFrame, most: int | None = None) -> Html:
    """Rows of `chosen` as cards; every problem but the first is folded."""
    made: list[Markup] = []
    for problem in problems(rows)[:most]:
        named = {label_of(name): row for name, row in problem.items()}
        texts = [_answer(name, row) for name, row in named.items()]
        marks = Markup("").join(
            Markup(' · <span class="{0}">{1} {0}</span>').format(_right(row), name)
            for name, row in named.items()
        )
        made.append(card(next(iter(named.values())), texts, marks, opened=not made))
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
    row: pd.Series, texts: Iterable[tuple[str, object]], marks: str = "", opened: bool = True
) -> Markup:
    """A row as a card: heading and `marks`, question, gold answer, and (head, text) of answers."""
    language = str(row["language"])
    head, written = Markup("<div>{}</div>"), Markup('<pre lang="{}">{}</pre>')
    start = Markup('<details class="r1t"{}><summary class="head">{} · {}{}</summary>')
    state = Markup(" open") if opened else ""
    parts = [start.format(state, heading(row), row["problem_id"], marks)]
    if "prompt" in row:
        parts.append(written.format(language, text_html(row["prompt"])))
    if "answer" in row:
        parts.append(Markup("<div>{}: <code>{}</code></div>").format(*_gold(row)))
    for said, text in texts:
        parts += [head.format(said), written.format(language, text_html(text, language))]
    return Markup("").join(parts) + Markup("</details>")


def _gold(row: pd.Series) -> tuple[str, Markup]:
    """The gold answer and its name; a countdown's is one of several solutions."""
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
    words = [_right(row), "valid format" if row["format_valid"] else "format not valid"]
    words.append(f"{row['tokens']} tokens" + ("" if row["finished"] else ", cut off"))
    known = row.get("false_check")  # missing for an answer that was not judged
    words += ["affirms what is false"] if not pd.isna(known) and known else []
    words += ["runs on after its answer"] if runs_on(str(row["text"])) else []
    return " · ".join(words)


def cards(made: Iterable[Markup]) -> Html:
    """Cards with their style and a key to their marks."""
    whole = Markup("").join(made)
    there = [kind for kind in marked.MEANS if f'<mark class="{kind}"' in whole]
    meant = Markup(" · ").join(_MARKS[kind].format(marked.MEANS[kind]) for kind in there)
    key = Markup('<div class="r1k">Marked: {}</div>').format(meant) if there else ""
    return Html(f"<style>{_CSS}</style>{key}{whole}")
