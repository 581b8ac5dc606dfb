"""The contact sheet: a picture of what a search found, a row of frames for each video."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framebank.extract.decoders.decode import read_clip
from framebank.extract.sampling import read_sampling
from framebank.library.table import html_lines
from framebank.store.counts import counted
from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing

CELL, GAP, LINE = 96, 4, 20
WIDEST = 2  # times as wide as high a frame is shown at most
FRAMES = 6  # of each row
INK, PAPER, FAINT = (24, 26, 30), (255, 255, 255), (110, 116, 124)


@dataclass(frozen=True)
class Strip:
    """One row of a contact sheet: its frames (T, H, W, 3) uint8, of which there may be none, and a caption."""

    caption: str
    frames: np.ndarray


@dataclass(frozen=True)
class Section:
    """One search on a contact sheet: its question and the strips that answer it."""

    title: str
    strips: Sequence[Strip]


@dataclass(frozen=True, repr=False)
class Sheet:
    """A contact sheet that was written to `path`: `rows` of frames, and `failed`, why a video of a row has none."""

    path: Path
    rows: int
    failed: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return where it is and what is not on it, as plain values."""
        return {"path": str(self.path), "rows": self.rows, "failed": dict(self.failed)}

    def lines(self) -> list[str]:
        """Return how many rows it has, and where it is."""
        return [f"{counted(self.rows, 'row')} of frames -> {self.path}"]

    def faults(self) -> list[str]:
        """Return a line for each video that could not be read."""
        return [f"no frames of {video_id}: {reason}" for video_id, reason in self.failed.items()]

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), *self.faults()])

    def _repr_html_(self) -> str:
        return html_lines([*self.lines(), *self.faults()])


def strip_of(caption: str, path: Path, *, start: float | None = None, end: float | None = None) -> Strip:
    """Return six frames of a video, or of what it shows from `start` to `end` in seconds, with a caption.

    DataError where it cannot be read.
    """
    sampling = read_sampling(f"segments:{FRAMES}")
    try:
        return Strip(caption, read_clip(path, lambda times: sampling.rows(times, start=start, end=end)).data)
    except DataError as error:
        told = str(error)
        raise DataError(told if told.startswith(str(path)) else f"{path}: {told}") from error


def draw_sheet(sections: Sequence[Section], path: Path) -> None:
    """Draw the sections below each other and write them as a PNG.

    A frame is as high as CELL, and as wide as its shape asks, up to WIDEST times its height.
    """
    shown = [[_cells(strip) for strip in section.strips] for section in sections]
    width = max(6 * CELL, *(sum(cell.width + GAP for cell in strip) for strips in shown for strip in strips)) + 2 * GAP
    height = GAP + sum(2 * LINE + len(section.strips) * (CELL + LINE + GAP) for section in sections)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    title_font, caption_font = ImageFont.load_default(15), ImageFont.load_default(12)
    top = GAP
    for section, strips in zip(sections, shown, strict=True):
        pen.text((2 * GAP, top + LINE // 2), one_line(section.title), fill=INK, font=title_font)
        top += 2 * LINE
        for strip, cells in zip(section.strips, strips, strict=True):
            left = 2 * GAP
            for cell in cells:
                sheet.paste(cell, (left, top + (CELL - cell.height) // 2))
                left += cell.width + GAP
            pen.text((2 * GAP, top + CELL + 1), one_line(strip.caption), fill=FAINT, font=caption_font)
            top += CELL + LINE + GAP
    with replacing(path) as part:
        sheet.save(part, format="PNG")


def one_line(text: str) -> str:
    """Return a text as it can be drawn: in one line, without what UTF-8 cannot hold."""
    return " ".join(text.encode("utf-8", "replace").decode("utf-8").splitlines())


def _cells(strip: Strip) -> list[Image.Image]:
    """The frames of a strip as they are shown."""
    cells = []
    for frame in strip.frames:
        height, width = frame.shape[:2]
        scale = min(CELL / height, WIDEST * CELL / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        cells.append(Image.fromarray(frame).resize(size, Image.Resampling.BICUBIC))
    return cells


def write_sheet(title: str, rows: Sequence[tuple[str, str, Path, float | None, float | None]], path: Path) -> Sheet:
    """Write a contact sheet of rows of (video_id, caption, video, start, end), the last two in seconds.

    A video that cannot be read is a row without frames. DataError where there is no row, the name is none of a PNG, or
    the place cannot be written to.
    """
    require_name(path)
    if not rows:
        raise DataError(f"{path}: there is no hit to draw; expected one at least")
    strips: list[Strip] = []
    failed: dict[str, str] = {}
    for video_id, caption, video, start, end in rows:
        try:
            strips.append(strip_of(caption, video, start=start, end=end))
        except DataError as error:
            failed[video_id] = str(error)
            strips.append(Strip(f"{caption}  (cannot be read)", np.zeros((0, CELL, CELL, 3), np.uint8)))
    draw_sheet([Section(title, strips)], path)
    return Sheet(path, len(strips), failed)


def require_name(path: Path) -> None:
    """Raise DataError if a path has another ending than that of a PNG picture."""
    if path.suffix.lower() != ".png":
        raise DataError(f"{path}: does not have the name of a PNG picture; expected one that ends in .png")
