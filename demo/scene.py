"""A scene: one performance on its stage, rendered frame by frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from framebank.demo.backdrop import Bytes
from framebank.demo.figure import Colour, Figure, Outfit, draw_figure
from framebank.demo.motion import Motion
from framebank.demo.pose import Floats
from framebank.demo.props import draw_prop

SIZE = 128
CANVAS = 2 * SIZE  # Drawn at twice the size and averaged, which smooths the edges.
GROUND = round(0.88 * CANVAS)
HEIGHT = 0.64 * CANVAS  # pixels to a body height
MARGIN = round(0.19 * CANVAS)  # extra backdrop on each side, for the camera to pan and zoom


@dataclass(frozen=True, eq=False)
class Prop:
    """A thing at `at` (T, 2); `layer` 0 stands behind the figure, 1 is in its hands, 2 hides it."""

    kind: str
    at: Floats
    height: float
    colour: Colour
    layer: int


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a clip of T frames shows.

    `joints` (T, 17, 2) in body heights. `facts` are what a caption may state. `camera` (T, 3) is the shift of the
    picture in pixels and its zoom. `track` (T,) is how far the camera has followed the figure along the backdrop.
    """

    motion: Motion
    joints: Floats
    facts: dict[str, str]
    outfit: Outfit
    drawn: Figure
    props: tuple[Prop, ...]
    backdrop: Image.Image
    camera: Floats
    track: Floats
    mirrored: bool
    middle: float
    noise: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.joints)

    def render(self, frame: int) -> Bytes:
        """Return one frame as RGB -> (SIZE, SIZE, 3) uint8."""
        x, y, zoom = self.camera[frame]
        middle, reach = MARGIN + CANVAS / 2, CANVAS / 2 / zoom
        x, y = x + middle + self.track[frame], y + middle
        box = (x - reach, y - reach, x + reach, y + reach)
        image = self.backdrop.resize((CANVAS, CANVAS), Image.Resampling.NEAREST, box)
        canvas = ImageDraw.Draw(image)
        to_pixels = self.to_pixels(frame)
        self._draw_shadow(canvas, frame, to_pixels)
        hands = self.drawn.hands
        for layer, parts in enumerate((slice(0, hands), slice(hands, None), slice(0, 0))):
            for prop in self.props:
                if prop.layer == layer:
                    height, colour = prop.height, prop.colour
                    draw_prop(canvas, prop.kind, at=prop.at[frame], height=height, colour=colour, to_pixels=to_pixels)
            draw_figure(canvas, self.drawn, frame=frame, layer=parts, outfit=self.outfit, to_pixels=to_pixels)
        pixels = np.asarray(image.reduce(CANVAS // SIZE), dtype=np.int16)
        return (pixels + self.noise[frame % len(self.noise), :, :, None]).clip(0, 255).astype(np.uint8)

    def to_pixels(self, frame: int) -> Floats:
        """Return the affine map from body heights to pixels of the canvas -> (2, 3)."""
        x, y, zoom = self.camera[frame]
        side = -1.0 if self.mirrored else 1.0
        left = -(side * HEIGHT * self.middle + x) * zoom + CANVAS / 2
        top = (GROUND - CANVAS / 2 - y) * zoom + CANVAS / 2
        return np.array([[side * HEIGHT * zoom, 0.0, left], [0.0, -HEIGHT * zoom, top]])

    def _draw_shadow(self, canvas: ImageDraw.ImageDraw, frame: int, to_pixels: Floats) -> None:
        across = self.joints[frame, :, 0]
        corners = np.array([[across.min() - 0.05, 0.012], [across.max() + 0.05, -0.035]])
        (x0, y0), (x1, y1) = corners @ to_pixels[:, :2].T + to_pixels[:, 2]
        canvas.ellipse((min(x0, x1), y0, max(x0, x1), y1), fill=(60, 58, 56))
