"""The contact sheet: a picture of the results of searches, with a row of frames for each video."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from framebank.extract.decoders.decode import read_clip
from framebank.extract.sampling import segment_indices
from framebank.store.files.replacing import replacing

CELL, GAP, LINE = 96, 4, 20
INK, PAPER, FAINT = (24, 26, 30), (255, 255, 255), (110, 116, 124)


@dataclass(frozen=True)
class Strip:
    """One video of the sheet: its frames (T, H, W, 3) uint8 and a caption."""

    caption: str
    frames: np.ndarray


@dataclass(frozen=True)
class Section:
    """One search: its question and the strips that answer it."""

    title: str
    strips: Sequence[Strip]


def strip_of(caption: str, path: Path) -> Strip:
    """Return six frames of a video, with a caption. DataError if the video cannot be read."""
    return Strip(caption, read_clip(path, lambda times: segment_indices(len(times), 6)).data)


def draw_sheet(sections: Sequence[Section], path: Path) -> None:
    """Draw the sections below each other and write them as a PNG."""
    columns = max(len(strip.frames) for section in sections for strip in section.strips)
    width = 2 * GAP + columns * (CELL + GAP)
    height = GAP + sum(2 * LINE + len(section.strips) * (CELL + LINE + GAP) for section in sections)
    sheet = Image.new("RGB", (width, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    title_font, caption_font = ImageFont.load_default(15), ImageFont.load_default(12)
    top = GAP
    for section in sections:
        pen.text((2 * GAP, top + LINE // 2), section.title, fill=INK, font=title_font)
        top += 2 * LINE
        for strip in section.strips:
            for column, frame in enumerate(strip.frames):
                cell = Image.fromarray(frame).resize((CELL, CELL), Image.Resampling.BICUBIC)
                sheet.paste(cell, (2 * GAP + column * (CELL + GAP), top))
            pen.text((2 * GAP, top + CELL + 1), strip.caption, fill=FAINT, font=caption_font)
            top += CELL + LINE + GAP
    with replacing(path) as part:
        sheet.save(part, format="PNG")
