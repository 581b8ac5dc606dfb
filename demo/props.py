"""Things beside the figure: chair, box, cup, barbell, plant, and the post that hides some of it."""

from typing import TypeAlias

import numpy as np
from PIL import ImageDraw

from framebank.demo.figure import Colour, shade
from framebank.demo.pose import Floats

BOX = 0.095


def draw_prop(
    canvas: ImageDraw.ImageDraw, kind: str, *, at: Floats, height: float, colour: Colour, to_pixels: Floats
) -> None:
    """Draw a prop whose reference point is `at` (2,), in body heights.

    Chair: middle of the seat's front part on the ground, `height` that of the seat. Box: centre. Cup: hand. Plant and
    post: foot. Barbell: middle of the bar.
    """
    for outline, light in _OUTLINES[kind](height):
        pixels = (np.asarray(outline) + at) @ to_pixels[:, :2].T + to_pixels[:, 2]
        canvas.polygon(pixels.ravel().tolist(), fill=shade(colour, light))


Outlines: TypeAlias = list[tuple[list[tuple[float, float]], float]]


def _bar(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def _chair(height: float) -> Outlines:
    seat = height - 0.035
    return [
        (_bar(0.07, 0.0, 0.10, seat), 0.7),
        (_bar(-0.13, 0.0, -0.10, seat), 0.7),
        (_bar(-0.155, 0.0, -0.12, height + 0.32), 1.0),
        (_bar(-0.155, seat - 0.02, 0.12, height), 1.0),
    ]


def _box(_: float) -> Outlines:
    return [
        (_bar(-BOX, -BOX, BOX, BOX), 1.0),
        (_bar(-BOX, 0.55 * BOX, BOX, BOX), 1.15),
        (_bar(-0.18 * BOX, -BOX, 0.18 * BOX, BOX), 0.8),
    ]


def _cup(_: float) -> Outlines:
    return [(_bar(-0.03, -0.035, 0.035, 0.055), 1.0), (_bar(-0.03, 0.035, 0.035, 0.055), 0.75)]


def _barbell(_: float) -> Outlines:
    plates: Outlines = [(_bar(s * 0.30 - 0.035, -0.11, s * 0.30 + 0.035, 0.11), 1.0) for s in (-1.0, 1.0)]
    return [(_bar(-0.38, -0.014, 0.38, 0.014), 1.6), *plates]


def _plant(height: float) -> Outlines:
    leaves: Outlines = [
        ([(0.0, 0.1), (x - 0.05, y * height), (x, (y + 0.12) * height), (x + 0.05, y * height)], light)
        for x, y, light in ((-0.13, 0.6, 0.85), (0.13, 0.6, 0.85), (0.0, 0.85, 1.0))
    ]
    return [*leaves, ([(-0.055, 0.0), (0.055, 0.0), (0.075, 0.13), (-0.075, 0.13)], 0.45)]


def _post(height: float) -> Outlines:
    return [(_bar(-0.5 * height, -1.0, 0.5 * height, 2.5), 1.0), (_bar(0.2 * height, -1.0, 0.5 * height, 2.5), 0.8)]


_OUTLINES = {"chair": _chair, "box": _box, "cup": _cup, "barbell": _barbell, "plant": _plant, "post": _post}
