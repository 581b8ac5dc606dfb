"""Drawing a figure: tapered limbs between its joints, dressed in an outfit."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from framebank.demo.pose import FAR_ARM, FAR_LEG, HEAD, HIP, NEAR_ARM, NEAR_LEG, NECK, Body, Floats

Colour: TypeAlias = tuple[int, int, int]

# Each part: its two joints, their radii in body heights, what it wears, and how much light falls on it.
Part: TypeAlias = tuple[int, int, float, float, str, float]


@dataclass(frozen=True)
class Outfit:
    """What the figure wears. Its colours include the light and are ready to be drawn."""

    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    shoes: Colour
    long_sleeves: bool
    long_trousers: bool


@dataclass(frozen=True, eq=False)
class Figure:
    """A figure's outlines in body heights: `outlines` (T, P, N, 2) in the order of `parts`, `head` (T, 2, 2)."""

    parts: tuple[Part, ...]
    outlines: Floats
    head: Floats
    front: bool
    radius: float

    @property
    def hands(self) -> int:
        """The number of parts behind the things that the hands hold."""
        return len(self.parts) - (6 if self.front else 3)


def figure(joints: Floats, *, body: Body, front: bool, outfit: Outfit) -> Figure:
    """Return the outlines of every frame's figure: joints (T, 17, 2)."""
    parts = _parts(body, front=front, outfit=outfit)
    start, end = joints[:, [p[0] for p in parts]], joints[:, [p[1] for p in parts]]
    radii = np.array([p[2:4] for p in parts])
    head = np.stack([joints[:, HEAD], joints[:, HEAD] - joints[:, NECK]], 1)
    return Figure(parts, _capsules(start, end, radii), head, front, body.head)


def draw_figure(
    canvas: ImageDraw.ImageDraw, drawn: Figure, *, frame: int, layer: slice, outfit: Outfit, to_pixels: Floats
) -> None:
    """Draw the parts in `layer` of one frame; `to_pixels` (2, 3) is the affine map from body heights to pixels."""
    scale, shift = to_pixels[:, :2], to_pixels[:, 2]
    pixels = drawn.outlines[frame, layer] @ scale.T + shift
    for (_, _, _, _, wears, light), outline in zip(drawn.parts[layer], pixels, strict=True):
        if wears == "head":
            _draw_head(canvas, drawn, frame=frame, outfit=outfit, scale=scale, shift=shift)
        else:
            canvas.polygon(outline.ravel().tolist(), fill=shade(getattr(outfit, wears), light))


def shade(colour: Colour, light: float) -> Colour:
    """Return the colour in `light` times as much light."""
    red, green, blue = (min(255, max(0, round(light * channel))) for channel in colour)
    return red, green, blue


def _parts(body: Body, *, front: bool, outfit: Outfit) -> tuple[Part, ...]:
    g = body.girth
    sleeve, leg = ("shirt" if outfit.long_sleeves else "skin"), ("trousers" if outfit.long_trousers else "skin")

    def arm(joint: tuple[int, ...], light: float) -> list[Part]:
        upper, elbow, hand = joint
        return [
            (elbow, hand, 0.027 * g, 0.022 * g, sleeve, light),
            (hand, hand, 0.027 * g, 0.027 * g, "skin", light),
            (upper, elbow, 0.036 * g, 0.029 * g, "shirt", light),
        ]

    def limb(joint: tuple[int, ...], light: float) -> list[Part]:
        hip, knee, ankle, toe = joint
        return [
            (knee, ankle, 0.036 * g, 0.026 * g, leg, light),
            (ankle, toe, 0.030, 0.024, "shoes", light),
            (hip, knee, 0.054 * g, 0.038 * g, "trousers", light),
        ]

    trunk: list[Part] = [
        (HIP, NECK, 0.066 * g, 0.058 * g, "shirt", 1.0),
        (HIP, HIP, 0.067 * g, 0.067 * g, "trousers", 1.0),
    ]
    if front:
        trunk = [
            (HIP, NECK, 0.070 * g, 0.080 * g, "shirt", 1.0),
            (NEAR_ARM[0], FAR_ARM[0], 0.036 * g, 0.036 * g, "shirt", 1.0),
            (NEAR_LEG[0], FAR_LEG[0], 0.064 * g, 0.064 * g, "trousers", 1.0),
        ]
    neck: list[Part] = [(NECK, HEAD, 0.032, 0.032, "skin", 0.9), (HEAD, HEAD, body.head, body.head, "head", 1.0)]
    if front:
        return (*limb(FAR_LEG, 0.96), *limb(NEAR_LEG, 0.96), *trunk, *neck, *arm(FAR_ARM, 0.9), *arm(NEAR_ARM, 0.9))
    return (*arm(FAR_ARM, 0.72), *limb(FAR_LEG, 0.76), *limb(NEAR_LEG, 0.98), *trunk, *neck, *arm(NEAR_ARM, 0.88))


_ARC = np.linspace(-np.pi / 2, np.pi / 2, 5)


def _capsules(start: Floats, end: Floats, radii: NDArray[np.float64]) -> Floats:
    """Outline the hull of two discs: start and end (T, P, 2), radii (P, 2) -> (T, P, 10, 2)."""
    along = end - start
    heading = np.arctan2(along[..., 1], along[..., 0])[..., None]  # (T, P, 1)
    tip, tail = heading + _ARC, heading + np.pi + _ARC
    tip_points = end[:, :, None] + radii[:, 1, None, None] * np.stack([np.cos(tip), np.sin(tip)], -1)
    tail_points = start[:, :, None] + radii[:, 0, None, None] * np.stack([np.cos(tail), np.sin(tail)], -1)
    return np.concatenate([tip_points, tail_points], axis=2)


_ROUND = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
_DISC = np.stack([np.cos(_ROUND), np.sin(_ROUND)], -1)
# Head ornaments in head radii, with the face to the right and the crown up.
_SIDE_HAIR = np.array(
    [(0.55, 0.9), (0.75, 0.5), (0.1, 0.45), (-0.25, -0.1), (-0.5, -0.75), (-0.95, -0.5)]
    + [(1.08 * np.cos(a), 1.08 * np.sin(a)) for a in np.linspace(3.5, 0.9, 8)]
)
_FRONT_HAIR = np.array(
    [(0.92, 0.1), (0.6, 0.5), (0.0, 0.62), (-0.6, 0.5), (-0.92, 0.1)]
    + [(1.08 * np.cos(a), 1.08 * np.sin(a)) for a in np.linspace(3.1, 0.04, 8)]
)
_NOSE = np.array([(0.9, 0.25), (1.3, -0.12), (0.9, -0.25)])
_DARK: Colour = (35, 28, 28)


def _draw_head(
    canvas: ImageDraw.ImageDraw, drawn: Figure, *, frame: int, outfit: Outfit, scale: Floats, shift: Floats
) -> None:
    centre, up = drawn.head[frame]
    up = up / np.linalg.norm(up)
    axes = drawn.radius * np.array([[up[1], up[0]], [-up[0], up[1]]])  # columns: face, crown
    turn, middle = scale @ axes, scale @ centre + shift

    def place(points: Floats) -> list[float]:
        return list((points @ turn.T + middle).ravel().tolist())

    if not drawn.front:
        canvas.polygon(place(_NOSE), fill=outfit.skin)
    canvas.polygon(place(_DISC), fill=outfit.skin)
    canvas.polygon(place(_FRONT_HAIR if drawn.front else _SIDE_HAIR), fill=outfit.hair)
    for eye in ((-0.38, 0.12), (0.38, 0.12)) if drawn.front else ((0.55, 0.12),):
        canvas.polygon(place(0.14 * _DISC + eye), fill=_DARK)
    mouth = ((-0.3, -0.45), (0.3, -0.45)) if drawn.front else ((0.45, -0.45), (0.85, -0.42))
    canvas.line(place(np.array(mouth)), fill=shade(outfit.skin, 0.55), width=2)
