"""Pixels: how frames are read from a video file, what shape their pixels have, and how large a frame may be."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from framebank.extract.decoders.frames import UnsupportedError
from framebank.store.errors import DataError

# Pixels of the largest frame that is read, 16384 x 8192: in RGB it takes 400 MB.
LARGEST_FRAME = 1 << 27

SQUARE, CODED, DEINTERLACED = "square", "coded", "deinterlaced"


@dataclass(frozen=True)
class Reading:
    """How the frames of a video file are read.

    square       pixels that are shown wider or narrower than high are brought to square ones, as a player does
    deinterlace  the two fields of an interlaced frame become one picture of one moment
    use_damaged  of a damaged video the frames that are not damaged are used, instead of none
    """

    square: bool = True
    deinterlace: bool = False
    use_damaged: bool = False

    @property
    def pixels(self) -> str:
        """What a store's spec says of it, as "square" or "square+deinterlaced"."""
        return (SQUARE if self.square else CODED) + (f"+{DEINTERLACED}" if self.deinterlace else "")


# What is read where nothing else is asked for.
READ = Reading()


def read_pixels(pixels: str, *, use_damaged: bool = False) -> Reading:
    """Return the reading that a spec's `pixels` names; DataError if it names none."""
    shape, _, rest = pixels.partition("+")
    if shape not in (SQUARE, CODED) or rest not in ("", DEINTERLACED):
        raise DataError(
            f"the pixels {pixels!r} are not known; expected {SQUARE} or {CODED}, with or without +{DEINTERLACED}"
        )
    return Reading(square=shape == SQUARE, deinterlace=bool(rest), use_damaged=use_damaged)


def reading_for(pixels: str, *, deinterlace: bool = False, use_damaged: bool = False) -> Reading:
    """Return how videos are read for a store whose spec says `pixels`; empty is a new one, which gets square pixels.

    DataError if the store holds frames that were read otherwise than `deinterlace` asks for.
    """
    reading = read_pixels(pixels or SQUARE + f"+{DEINTERLACED}" * deinterlace, use_damaged=use_damaged)
    if deinterlace and not reading.deinterlace:
        raise DataError("the frames of this store were not deinterlaced; --deinterlace needs another store")
    return reading


def refuse_large(path: Path, *, width: int, height: int) -> None:
    """Raise DataError if a frame has more pixels than LARGEST_FRAME."""
    if width * height > LARGEST_FRAME:
        raise DataError(
            f"{path}: its frames are {width}x{height}, {width * height} pixels; at most {LARGEST_FRAME} are read"
        )


def require_plain(path: Path, reading: Reading, *, decoder: str) -> None:
    """Raise UnsupportedError if a reading asks for what PyAV alone gives."""
    if reading.deinterlace or reading.use_damaged:
        what = "frames are deinterlaced" if reading.deinterlace else "damaged videos are used"
        raise UnsupportedError(f"{path}: {what} only by PyAV, not by {decoder}; expected the decoder auto or pyav")


def to_square(
    image: npt.NDArray[np.uint8], aspect: Fraction, *, path: Path, turned: bool = False
) -> npt.NDArray[np.uint8]:
    """Return a frame (H, W, 3) with square pixels: W * aspect wide, rounded down as FFmpeg does.

    `aspect` is the width of a coded pixel by its height. `turned` says that the frame was turned by a quarter already,
    so that its height changes. DataError if the result is larger than LARGEST_FRAME.
    """
    if aspect == 1:
        return image
    height, width = image.shape[:2]
    if turned:
        height = max(1, int(height * aspect))
    else:
        width = max(1, int(width * aspect))
    refuse_large(path, width=width, height=height)
    return resized(image, width=width, height=height)


def resized(image: npt.NDArray[np.uint8], *, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Return a frame (H, W, 3) at another size: (height, width, 3)."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))
