"""Shows a running stage: one line in a terminal, a progress bar with curves in a notebook."""

from html import escape
from typing import Any

from r1repro.duration import duration
from r1repro.stages.state import Pace

# Figures shown first; the others follow in the stage's order.
FIRST = ("pass@1", "format", "length", "tokens/s", "loss")
LABELS = {"pass_at_1": "pass@1", "format_valid": "format", "tokens_per_s": "tokens/s"}
SHARES = ("pass@1", "format")


def in_order(figures: dict[str, float]) -> dict[str, float]:
    """The figures by their labels, those of FIRST before the others."""
    figures = {LABELS.get(name, name): value for name, value in figures.items()}
    first = {name: figures[name] for name in FIRST if name in figures}
    return {**first, **figures}


def shown(name: str, value: float) -> str:
    """Format a figure's value."""
    if value != value:
        return "-"
    if name in SHARES:
        return f"{100 * value:.1f} %"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def line(
    name: str, found: Pace | None, figures: dict[str, float], left: float, since: float
) -> str:
    """One terminal line of a stage; the caller pads `name`.

    left: estimated time for the rest of the run; since: time since the stage began, shown until it
    reports progress. Both in seconds.
    """
    if found is None:
        return f"{name}     –  {duration(since):>9}  starting"
    values = "  ".join(
        f"{key.replace('_', ' ')} {shown(key, value)}"
        for key, value in list(in_order(figures).items())[:5]
    )
    share = found.step / max(1, found.total)
    rest = f"  (about {duration(left)} left in all)" if left >= 1 else ""
    return f"{name} {100 * share:3.0f} %  {duration(found.elapsed):>9}  {values}{rest}"


def page(name: str, lines: list[dict[str, Any]], found: Pace | None) -> str:
    """A progress bar and a small curve per figure, as self-contained HTML."""
    if found is None:
        return f"<p><b>{escape(name)}</b>: starting</p>"
    share = 100 * found.step / max(1, found.total)
    running = found.left is not None and found.step < found.total
    left = f", about {duration(found.left or 0)} left" if running else ""
    # By step, since steps repeated after a kill count once.
    steps = {entry["step"]: in_order(entry["figures"]) for entry in lines}
    names = list(steps[lines[-1]["step"]])[:6]
    curves = "".join(
        _curve(key, [(step, seen[key]) for step, seen in sorted(steps.items()) if key in seen])
        for key in names
    )
    return (
        f"<div><b>{escape(name)}</b>: {found.step:,} of {found.total:,}, "
        f"{duration(found.elapsed)}{left}"
        f'<div style="background:#ddd;height:6px;max-width:600px">'
        f'<div style="background:#0072b2;height:6px;width:{share:.1f}%"></div></div>{curves}</div>'
    )


def _curve(name: str, points: list[tuple[float, float]]) -> str:
    points = [(x, y) for x, y in points if y == y]
    if not points:
        return ""
    width, height = 180, 48
    xs, ys = [x for x, _ in points], [y for _, y in points]
    wide, high = (max(xs) - min(xs)) or 1, (max(ys) - min(ys)) or 1
    path = " ".join(
        f"{width * (x - min(xs)) / wide:.1f},{2 + (height - 4) * (1 - (y - min(ys)) / high):.1f}"
        for x, y in [*points[:: 1 + len(points) // 200], points[-1]]
    )
    return (
        '<figure style="display:inline-block;margin:6px 14px 0 0">'
        f'<svg width="{width}" height="{height}" role="img" aria-label="{escape(name)}">'
        f'<polyline points="{path}" fill="none" stroke="#0072b2" stroke-width="1.5"/></svg>'
        f'<figcaption style="font-size:12px">{escape(name.replace("_", " "))} '
        f"{shown(name, ys[0])} → {shown(name, ys[-1])}</figcaption></figure>"
    )
