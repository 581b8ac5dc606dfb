"""The picture behind the figure: a wall or hills, a floor, and the light on them."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from framebank.demo.figure import Colour, shade

BACKDROPS = ("plain wall", "brick wall", "striped wall", "checked wall", "hills")

Bytes: TypeAlias = NDArray[np.uint8]
Size: TypeAlias = tuple[int, int]


def draw_backdrop(
    kind: str, *, size: Size, ground: int, light: NDArray[np.float64], rng: np.random.Generator
) -> Image.Image:
    """Paint a backdrop of `size` (width, height), its floor from row `ground` on; `light` (3,) scales its colours."""
    wall: Colour = _pale(rng)
    image = Image.new("RGB", size, wall)
    _PAINTERS[kind](ImageDraw.Draw(image), wall, size, ground, rng)
    return _lit(image, light, rng)


def _pale(rng: np.random.Generator) -> Colour:
    base = rng.uniform(130, 215)
    red, green, blue = (round(float(x)) for x in np.clip(base + rng.normal(0, 14, 3), 90, 235))
    return red, green, blue


def _floor(canvas: ImageDraw.ImageDraw, size: Size, ground: int, rng: np.random.Generator) -> None:
    floor = shade(_pale(rng), rng.uniform(0.6, 0.85))
    width, height = size
    canvas.rectangle((0, ground, width, height), fill=floor)
    canvas.rectangle((0, ground - height // 60, width, ground), fill=shade(floor, 0.75))
    if rng.random() < 0.5:
        for row in range(ground + height // 24, height, height // 16):
            canvas.line((0, row, width, row), fill=shade(floor, 0.88), width=2)


def _plain(
    canvas: ImageDraw.ImageDraw, wall: Colour, size: tuple[int, int], ground: int, rng: np.random.Generator
) -> None:
    if rng.random() < 0.5:
        left, top, width = size[1] * rng.uniform([0.1, 0.15, 0.1], [0.7, 0.3, 0.2])
        canvas.rectangle((left, top, left + width, top + width), fill=_pale(rng), outline=shade(wall, 0.5), width=4)
    _floor(canvas, size, ground, rng)


def _brick(
    canvas: ImageDraw.ImageDraw, wall: Colour, size: tuple[int, int], ground: int, rng: np.random.Generator
) -> None:
    red, green, blue = (int(x) for x in rng.integers([150, 95, 80], [200, 130, 105]))
    height = round(size[1] / rng.uniform(20, 28))
    for number, top in enumerate(range(0, ground, height)):
        for left in range(-(number % 2) * height, size[0], 2 * height):
            tone = shade((red, green, blue), rng.uniform(0.9, 1.08))
            canvas.rectangle((left, top, left + 2 * height - 3, top + height - 3), fill=tone)
    _floor(canvas, size, ground, rng)


def _striped(
    canvas: ImageDraw.ImageDraw, wall: Colour, size: tuple[int, int], ground: int, rng: np.random.Generator
) -> None:
    stripe, width = shade(_pale(rng), 0.75), round(size[1] / rng.uniform(18, 30))
    for left in range(rng.integers(0, 2 * width), size[0], 2 * width):
        canvas.rectangle((left, 0, left + width, ground), fill=stripe)
    _floor(canvas, size, ground, rng)


def _checked(
    canvas: ImageDraw.ImageDraw, wall: Colour, size: tuple[int, int], ground: int, rng: np.random.Generator
) -> None:
    check, width = shade(_pale(rng), 0.8), round(size[1] / rng.uniform(16, 24))
    for row, top in enumerate(range(0, ground, width)):
        for left in range((row % 2) * width, size[0], 2 * width):
            canvas.rectangle((left, top, left + width, min(top + width, ground)), fill=check)
    _floor(canvas, size, ground, rng)


def _hills(
    canvas: ImageDraw.ImageDraw, wall: Colour, size: tuple[int, int], ground: int, rng: np.random.Generator
) -> None:
    width, height = size
    canvas.rectangle((0, 0, width, ground), fill=(150 + int(rng.integers(0, 30)), 195 + int(rng.integers(0, 25)), 235))
    for depth, green in ((0.28, (120, 165, 125)), (0.16, (95, 150, 95))):
        along = np.linspace(0, 2 * np.pi, 40)
        swell = np.sin(rng.integers(1, 4) * along + rng.uniform(0, 6)) + 0.5 * np.sin(5 * along + rng.uniform(0, 6))
        ridge = ground - height * depth * (0.6 + 0.25 * swell)
        outline = [*np.stack([along / (2 * np.pi) * width, ridge], -1).ravel().tolist(), width, ground, 0, ground]
        canvas.polygon(outline, fill=shade(green, rng.uniform(0.9, 1.1)))
    canvas.rectangle((0, ground, width, height), fill=shade((120, 170, 85), rng.uniform(0.85, 1.05)))


_PAINTERS = {
    "plain wall": _plain,
    "brick wall": _brick,
    "striped wall": _striped,
    "checked wall": _checked,
    "hills": _hills,
}


def _lit(image: Image.Image, light: NDArray[np.float64], rng: np.random.Generator) -> Image.Image:
    # Light gets weaker across the picture, as from a window or a lamp.
    across, down = np.meshgrid(np.linspace(-1.0, 1.0, 8), np.linspace(-1.0, 1.0, 8))
    fall = 1.0 + rng.uniform(-0.15, 0.15) * across + rng.uniform(-0.15, 0.05) * down
    shadow = Image.fromarray((255.0 * fall / fall.max()).astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    levels = np.arange(256.0)[None] * (light * fall.max())[:, None]  # (3, 256)
    bright = image.point(np.minimum(levels, 255.0).round().astype(int).ravel().tolist())
    return ImageChops.multiply(bright, Image.merge("RGB", (shadow, shadow, shadow)))
