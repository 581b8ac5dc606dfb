"""Playing: the frames of one stretch of a video, small, with how long each is shown, and several as one animation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from framebank.extract.decoders.decode import decode_clip
from framebank.extract.sampling import read_sampling
from framebank.library.searching.sheet import one_line
from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing

HEIGHT, WIDEST = 192, 2  # pixels of a frame, and how many times as wide as high it is at most
LINE = 20  # pixels of the line below it
FPS = 8  # frames of a second that are shown
LEAST_MS = 20  # that a frame is shown; browsers slow down what is faster
QUALITY = 70  # of WebP
INK, PAPER = (24, 26, 30), (255, 255, 255)

Times = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True, eq=False)
class Playing:
    """A stretch of a video: its `frames` (T), their `times` (T,) in seconds of the video, and how long each is shown.

    `shown` (T,) are milliseconds. A stretch of more frames than were asked for is shown faster.
    """

    caption: str
    frames: tuple[Image.Image, ...]
    times: Times
    shown: Indices

    def __post_init__(self) -> None:
        """Check that the parts agree."""
        if not len(self.frames) == len(self.times) == len(self.shown) > 0:
            raise ValueError(f"{len(self.frames)} frames, times {self.times.shape}, shown {self.shown.shape}")

    def __repr__(self) -> str:
        return f"Playing({self.caption!r}: {len(self.frames)} frames, {self.shown.sum()} ms)"


def read_playing(
    caption: str, path: Path, *, start: float | None = None, end: float | None = None, most: int
) -> Playing:
    """Return what a video shows from `start` on and before `end`, in seconds: FPS frames of a second, `most` in all.

    The frames are those that decoding from the start gives at their times. If there are more than `most`, as many are
    spread evenly over the stretch, and it plays in the time of `most` frames. DataError if it cannot be read.
    """
    dense, spread = read_sampling(f"fps:{FPS}"), read_sampling(f"segments:{most}")
    last = [0.0]  # when the last frame of the stretch is over, if the hit does not say

    def sample(times: Times) -> Indices:
        rows = dense.rows(times, start=start, end=end)
        last[0] = float(times[-1] + (times[-1] - times[0]) / max(1, len(times) - 1))
        return rows if len(rows) <= most else np.unique(spread.rows(times, start=start, end=end))

    sink = _SmallSink()
    try:
        clip = decode_clip(path, sample, sink)
    except DataError as error:
        told = str(error)
        raise DataError(told if told.startswith(str(path)) else f"{path}: {told}") from error
    over = last[0] if end is None else min(end, last[0])
    seconds = np.diff(clip.timestamps, append=max(over, float(clip.timestamps[-1])))
    speed = max(1.0, float(seconds.sum()) * FPS / most)
    shown = np.maximum(np.round(1000 * seconds / speed), LEAST_MS).astype(np.int64)
    return Playing(caption, tuple(sink.images[index] for index in clip.indices.tolist()), clip.timestamps, shown)


class _SmallSink:
    """A sink that keeps the frames as small pictures: `images` by index."""

    def __init__(self) -> None:
        self.images: dict[int, Image.Image] = {}

    def add(self, index: int, image: npt.NDArray[np.uint8]) -> None:
        """Keep a frame (H, W, 3), at most HEIGHT high and WIDEST times as wide."""
        height, width = image.shape[:2]
        scale = min(1.0, HEIGHT / height, WIDEST * HEIGHT / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        self.images[index] = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)

    def clear(self) -> None:
        """Forget all frames."""
        self.images.clear()

    def tick(self) -> None:
        """Nobody watches."""


def write_animation(playings: Sequence[Playing], path: Path) -> None:
    """Write stretches, one after the other, as one animated WebP that repeats. A file that is there is replaced.

    Below each frame stand the caption and the second of the video. DataError if the place cannot be written to.
    """
    every = [frame for one in playings for frame in one.frames]
    width, height = (max(getattr(frame, side) for frame in every) for side in ("width", "height"))
    font = ImageFont.load_default(12)
    pages = [
        _page(frame, f"{second:.2f} s", caption, (width, height), font)
        for one in playings
        for caption in [_fitting(one.caption, font, width - 8)]
        for frame, second in zip(one.frames, one.times.tolist(), strict=True)
    ]
    shown = [milliseconds for one in playings for milliseconds in one.shown.tolist()]
    first, *rest = pages
    more = {"save_all": True, "append_images": rest, "duration": shown, "loop": 0}
    with replacing(path) as part:
        first.save(part, format="WEBP", quality=QUALITY, **more)


def _page(
    frame: Image.Image,
    clock: str,
    caption: str,
    size: tuple[int, int],
    font: Font,
) -> Image.Image:
    width, height = size
    page = Image.new("RGB", (width, height + 2 * LINE), PAPER)
    page.paste(frame, ((width - frame.width) // 2, (height - frame.height) // 2))
    pen = ImageDraw.Draw(page)
    pen.text((4, height + 2), caption, fill=INK, font=font)
    pen.text((4, height + LINE + 2), clock, fill=INK, font=font)
    return page


def _fitting(caption: str, font: Font, width: int) -> str:
    """What of a caption fits into so many pixels, in one line."""
    told = one_line(caption)
    while told and font.getlength(told) > width:
        told = told[:-1]
    return told
