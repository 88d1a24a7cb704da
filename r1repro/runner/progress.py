"""Progress of a stage, the estimated time left, and their display in terminals and notebooks."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

from r1repro import artifacts, cores
from r1repro.artifacts import Damaged
from r1repro.duration import duration
from r1repro.runner.workspace import Workspace

TELLING = 60.0
"""Estimated seconds of finished stages above which they calibrate this machine's speed."""

# Figures shown first; the others follow in the stage's order.
FIRST = ("pass@1", "format", "length", "tokens/s", "loss")
LABELS = {"pass_at_1": "pass@1", "format_valid": "format", "tokens_per_s": "tokens/s"}
SHARES = ("pass@1", "format")


@dataclass(frozen=True)
class Pace:
    """A running stage's steps, elapsed seconds and estimated seconds left (None if unknown)."""

    step: int
    total: int
    elapsed: float
    left: float | None


def pace(lines: Sequence[Mapping[str, Any]], now: float) -> Pace | None:
    """The pace from progress lines; the speed is that of the last session."""
    if not lines:
        return None
    last = lines[-1]
    session = [line for line in lines if line["started"] == last["started"]]
    steps = last["step"] - session[0]["step"]
    left = None
    if steps > 0:
        rate = (last["time"] - session[0]["time"]) / steps
        left = max(0.0, rate * (last["total"] - last["step"]) - (now - last["time"]))
    return Pace(last["step"], last["total"], worked(lines) + now - last["time"], left)


def worked(lines: Sequence[Mapping[str, Any]]) -> float:
    """Total seconds of work over all sessions in the progress lines."""
    ends = {line["started"]: line["time"] for line in lines}
    return float(sum(end - start for start, end in ends.items()))


def seconds_left(space: Workspace, name: str, now: float, scale: float = 1.0) -> float:
    """Estimated seconds left for an unfinished stage: by its pace, else `scale` times by size."""
    whole = space.find(name).seconds(space.config)
    found = pace(artifacts.read_progress(space.work(name), ends=True), now)
    if found is None:
        return scale * whole
    return whole * (1 - found.step / found.total) if found.left is None else found.left


def seconds_taken(space: Workspace, names: Sequence[str]) -> dict[str, float]:
    """Build time in seconds of the finished stages."""
    found = {}
    for name in names:
        with suppress(Damaged):
            if (result := space.load(name)) is not None:
                found[name] = float(result.manifest["seconds"])
    return found


def run_left(
    space: Workspace, names: Sequence[str], taken: Mapping[str, float], now: float
) -> float:
    """Estimated seconds left for these stages; `taken`: seconds of the finished ones.

    Estimates by size are scaled to this machine by the time that the finished stages took.
    """
    expected = sum(space.find(name).seconds(space.config) for name in taken)
    scale = sum(taken.values()) / expected if expected > TELLING else 1.0
    return sum(
        seconds_left(space, name, now, scale) / (cores.at_once() if space.find(name).half else 1)
        for name in names
        if name not in taken
    )


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
