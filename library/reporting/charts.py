"""Charts: small pictures in SVG that take their colours from the page, so that they are right in light and dark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 520, 260
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 42  # margins around the field


@dataclass(frozen=True)
class Curve:
    """Points (x, y) of one line of a chart, with a name; `kind` is a class of the style sheet, such as "a" or "b"."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: str = "a"
    dots: bool = True


@dataclass(frozen=True)
class Axis:
    """One side of a chart: its title and its ends. `percent` says how the numbers are written."""

    title: str
    low: float
    high: float
    percent: bool = False

    def __post_init__(self) -> None:
        """Check that the axis has a length."""
        if not self.high > self.low:
            raise ValueError(f"an axis goes from {self.low} to {self.high}; expected two ends")

    def ticks(self, count: int = 5) -> list[float]:
        """Return the places of the marks, at round numbers."""
        step = _round_step((self.high - self.low) / count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]

    def shown(self, value: float) -> str:
        """Return a number as it stands at a mark."""
        return f"{100 * value:.10g}" if self.percent else f"{round(value, 10):,.10g}"


def _round_step(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least - 1e-12)


def curve_chart(curves: Sequence[Curve], x: Axis, y: Axis, *, told: str, diagonal: bool = False) -> str:
    """Return lines in a field with axes. `told` says in words what they show; `diagonal` is where x equals y."""
    parts = [_frame(x, y)]
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(_line([(low, low), (high, high)], x, y, kind="even"))
    for curve in curves:
        parts.append(_line(curve.points, x, y, kind=f"line {curve.kind}"))
        for value in curve.points if curve.dots else ():
            left, top = _place(value, x, y)
            told_here = f"{curve.name}: {x.shown(value[0])}, {y.shown(round(value[1], 4))}"
            parts.append(
                f'<circle class="dot {curve.kind}" cx="{left:.1f}" cy="{top:.1f}" r="3.5">'
                f"<title>{escape(told_here)}</title></circle>"
            )
    return _svg(parts, told=told)


def histogram(edges: Sequence[float], counts: Sequence[int], x: Axis, *, of: str, told: str) -> str:
    """Return bars of `counts` (N,) of videos, say (`of`), between `edges` (N + 1,)."""
    y = Axis(of, 0, max(1, *counts) * 1.05)
    parts = [_frame(x, y)]
    for low, high, count in zip(edges, edges[1:], counts, strict=False):
        left, top = _place((low, count), x, y)
        right, floor = _place((high, 0), x, y)
        parts.append(
            f'<rect class="bar" x="{left + 0.5:.1f}" y="{top:.1f}" width="{max(0.5, right - left - 1):.1f}" '
            f'height="{max(0.0, floor - top):.1f}"><title>{x.shown(round(low, 3))} to {x.shown(round(high, 3))}: '
            f"{count:,}</title></rect>"
        )
    return _svg(parts, told=told)


def range_bar(value: float, interval: tuple[float, float] | None, other: float | None = None) -> str:
    """Return a share from 0 to 1 as a dot on a line, its interval as a band, and another share as a ring."""
    low, high = interval or (value, value)
    ring = f'<circle class="ring" cx="{4 + 112 * other:.1f}" cy="8" r="3.2"/>' if other is not None else ""
    return (
        '<svg class="range" viewBox="0 0 120 16" width="120" height="16" aria-hidden="true">'
        '<line class="track" x1="4" x2="116" y1="8" y2="8"/>'
        f'<line class="band" x1="{4 + 112 * low:.1f}" x2="{4 + 112 * high:.1f}" y1="8" y2="8"/>'
        f'{ring}<circle class="value" cx="{4 + 112 * value:.1f}" cy="8" r="3.2"/></svg>'
    )


def share_bar(share: float) -> str:
    """Return a share from 0 to 1 as a filled bar."""
    return (
        '<svg class="range" viewBox="0 0 120 16" width="120" height="16" aria-hidden="true">'
        f'<rect class="trough" x="0" y="5" width="120" height="6" rx="3"/>'
        f'<rect class="fill" x="0" y="5" width="{max(1.0, 120 * share):.1f}" height="6" rx="3"/></svg>'
    )


def score_lines(times: Sequence[float], curves: Sequence[Curve], *, told: str) -> str:
    """Return probabilities over the seconds of a video as thin lines, to stand below its frames."""
    x = Axis("seconds", times[0], max(times[-1], times[0] + 1e-3))
    width, height = 600.0, 56.0
    parts = [f'<line class="grid" x1="0" x2="600" y1="{at}" y2="{at}"/>' for at in (2, 28, 54)]
    for curve in curves:
        places = [
            ((when - x.low) / (x.high - x.low) * width, 2 + (1 - value) * (height - 4)) for when, value in curve.points
        ]
        if len(places) == 1:
            places = [(0.0, places[0][1]), (width, places[0][1])]
        line = " ".join(f"{left:.1f},{top:.1f}" for left, top in places)
        parts.append(f'<polyline class="line {curve.kind}" points="{line}"/>')
    return (
        f'<svg class="scores" viewBox="0 0 600 56" preserveAspectRatio="none" role="img" aria-label="{escape(told)}">'
        f"{''.join(parts)}</svg>"
    )


def _frame(x: Axis, y: Axis) -> str:
    """The grid, the numbers at its lines and the titles of the axes."""
    parts = []
    for value in y.ticks():
        _, top = _place((x.low, value), x, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{top:.1f}" y2="{top:.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{top + 4:.1f}" text-anchor="end">{y.shown(value)}</text>')
    for value in x.ticks():
        left, _ = _place((value, y.low), x, y)
        parts.append(
            f'<text class="tick" x="{left:.1f}" y="{HEIGHT - 22}" text-anchor="middle">{x.shown(value)}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text class="title" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
        f"{escape(x.title)}</text>"
        f'<text class="title" x="12" y="{middle}" text-anchor="middle" transform="rotate(-90 12 {middle})">'
        f"{escape(y.title)}</text>"
    )
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]], x: Axis, y: Axis, *, kind: str) -> str:
    places = " ".join(f"{left:.1f},{top:.1f}" for left, top in (_place(point, x, y) for point in points))
    return f'<polyline class="{kind}" points="{places}"/>'


def _place(point: tuple[float, float], x: Axis, y: Axis) -> tuple[float, float]:
    across = (point[0] - x.low) / (x.high - x.low)
    up = (point[1] - y.low) / (y.high - y.low)
    return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def _svg(parts: Sequence[str], *, told: str) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(told)}">'
        f"{''.join(parts)}</svg>"
    )
