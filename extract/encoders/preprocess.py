"""Preprocessing: the model's own evaluation transform, up to bytes.

Every byte is that of open_clip's transform, which resizes with Pillow as well. No torch is loaded, so that processes
which only decode start fast.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from framebank.extract.encoders.views import VIEWS, view_names
from framebank.store.errors import DataError

# open_clip resizes with the first two; "random" is for its training and means bicubic here.
FILTERS = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "random": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

# A resized frame of more pixels is not made: only the part that is cut out is resized, which gives the same picture
# except for rounding. At the 224 pixels of most models this needs a frame more than eighty times as long as wide.
LARGEST_RESIZED = 1 << 22

RESIZE_MODES = ("shortest", "longest", "squash")


@dataclass(frozen=True)
class Preprocessing:
    """Cut the views of a frame at the size that the encoder takes, as bytes; its fields are those of open_clip.

    `size` is (height, width) in pixels. A model may resize a frame to a larger one, `scaled`, before it cuts the
    centre; `fill_color` the grey 0-255 of padding, `mean` and `std` are those of each
    channel on the scale 0-1. DataError for a resize mode, an interpolation or a view that is not known.
    """

    size: tuple[int, int]
    resize_mode: str
    interpolation: str
    fill_color: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    views: tuple[str, ...] = ("centre",)
    scaled: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.resize_mode not in RESIZE_MODES:
            raise DataError(f"the resize mode {self.resize_mode!r} is not known; expected {', '.join(RESIZE_MODES)}")
        if self.interpolation not in FILTERS:
            raise DataError(f"the interpolation {self.interpolation!r} is not known; expected {', '.join(FILTERS)}")
        unknown = [name for name in self.views if name not in VIEWS]
        if unknown or not self.views:
            raise DataError(f"the views {self.views} are not known; expected one or more of {', '.join(VIEWS)}")

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """Return the views (V, S_h, S_w, 3) uint8 of one frame (H, W, 3) uint8 RGB."""
        resized: dict[str, np.ndarray] = {}
        pictures = np.empty((len(self.views), *self.size, 3), dtype=np.uint8)
        for picture, view in zip(pictures, (VIEWS[name] for name in self.views), strict=True):
            whole, resample = self._plan((image.shape[0], image.shape[1]), view.resize)
            if _is_wasteful(whole, self.size):
                cut = _resize_part(image, whole, self.size, at=view.at, resample=resample)
            else:
                if view.resize not in resized:
                    resized[view.resize] = _resize(image, whole, resample)
                cut = _cut(resized[view.resize], self.size, at=view.at, fill=self._fill(view.resize))
            picture[:] = cut[:, ::-1] if view.mirrored else cut
        return pictures

    def _plan(self, size: tuple[int, int], way: str) -> tuple[tuple[int, int], Image.Resampling]:
        """The height and width to which one of the ways of a View resizes a frame of `size`, and by which filter."""
        mode = self.resize_mode if way == "model" else "longest" if way == "letterbox" else "shortest"
        target = (-(-self.size[0] * 8 // 7), -(-self.size[1] * 8 // 7)) if way == "larger" else self.size
        target = self.scaled if way == "model" and self.scaled else target
        # open_clip forgets the interpolation in this one case
        forgotten = mode == "shortest" and target[0] != target[1]
        resample = Image.Resampling.BICUBIC if forgotten else FILTERS[self.interpolation]
        return _resized_size(size, target, mode=mode), resample

    def _fill(self, way: str) -> tuple[int, ...]:
        """The colour of padding: that which the model knows, or else the mean, which is zero once normalised."""
        if way == "letterbox" and self.resize_mode != "longest":
            return tuple(round(255 * mean) for mean in self.mean)
        return (self.fill_color,) * 3


def read_preprocessing(config: dict[str, Any], *, view: str = "centre") -> Preprocessing:
    """Return the preprocessing of an open_clip `preprocess_cfg` for the views of a spec such as "centre+flip".

    DataError for a view that is not known, and for a config that open_clip itself would not take.
    """
    return Preprocessing(
        size=_pair(config["size"]),
        resize_mode=config.get("resize_mode") or "shortest",
        interpolation=config.get("interpolation") or "bicubic",
        fill_color=int(config.get("fill_color") or 0),
        mean=_channels(config["mean"]),
        std=_channels(config["std"]),
        views=view_names(view),
        scaled=_pair(config["scaled"]) if config.get("scaled") else None,
    )


def _pair(size: int | Sequence[int]) -> tuple[int, int]:
    height, width = (size, size) if isinstance(size, int) else (size[0], size[-1])
    return int(height), int(width)


def _channels(values: float | Sequence[float]) -> tuple[float, ...]:
    return (float(values),) * 3 if isinstance(values, int | float) else tuple(values)


def _resized_size(size: tuple[int, int], target: tuple[int, int], *, mode: str) -> tuple[int, int]:
    """The height and width that a frame of `size` is resized to; each mode rounds in its own way."""
    height, width = size
    if mode == "squash":
        return target
    if mode == "shortest" and target[0] == target[1]:
        long = int(target[0] * max(size) / min(size))
        return (long, target[1]) if width <= height else (target[0], long)
    ratios = (height / target[0], width / target[1])
    ratio = max(ratios) if mode == "longest" else min(ratios)
    return max(1, round(height / ratio)), max(1, round(width / ratio))


def _is_wasteful(whole: tuple[int, int], part: tuple[int, int]) -> bool:
    """Say whether a resized frame is too large to be made for a part of it."""
    return whole[0] * whole[1] > LARGEST_RESIZED and whole[0] >= part[0] and whole[1] >= part[1]


def _resize(image: np.ndarray, size: tuple[int, int], resample: Image.Resampling) -> np.ndarray:
    """Resize a frame (H, W, 3) to a height and a width."""
    if size == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize(size[::-1], resample))


def _resize_part(
    image: np.ndarray,
    resized: tuple[int, int],
    size: tuple[int, int],
    *,
    at: tuple[float, float],
    resample: Image.Resampling,
) -> np.ndarray:
    """Return the part (S_h, S_w, 3) that `_cut` would cut out of the frame resized to `resized`, and no more.

    That is no smaller than the part on either side.
    """
    height, width = image.shape[:2]
    top, left = _corner(resized, size, at=at)
    rows = (top * height / resized[0], (top + size[0]) * height / resized[0])
    columns = (left * width / resized[1], (left + size[1]) * width / resized[1])
    box = (columns[0], rows[0], min(width, columns[1]), min(height, rows[1]))
    return np.asarray(Image.fromarray(image).resize(size[::-1], resample, box))


def _corner(have: tuple[int, int], want: tuple[int, int], *, at: tuple[float, float]) -> tuple[int, int]:
    """Where a part is cut, down and across."""
    top, left = (round((has - wants) * part) for has, wants, part in zip(have, want, at, strict=True))
    return top, left


def _cut(image: np.ndarray, size: tuple[int, int], *, at: tuple[float, float], fill: tuple[int, ...]) -> np.ndarray:
    """Cut (S_h, S_w, 3) out of an image (H, W, 3), which is first padded on both sides where it is too small."""
    missing = [max(0, want - have) for want, have in zip(size, image.shape[:2], strict=True)]
    if any(missing):
        top, left = (less // 2 for less in missing)
        height, width = image.shape[:2]
        padded = np.empty((height + missing[0], width + missing[1], 3), dtype=np.uint8)
        padded[:] = fill
        padded[top : top + height, left : left + width] = image
        image = padded
    top, left = _corner((image.shape[0], image.shape[1]), size, at=at)
    return image[top : top + size[0], left : left + size[1]]
