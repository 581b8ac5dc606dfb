"""Images: one picture out of a file by PIL, upright in RGB."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from framebank.extract.decoders.frames import Clip, Sample, Sink, refuse_beyond
from framebank.extract.decoders.pixels import LARGEST_FRAME, refuse_large
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError

# The others hold palettes, greys or colours of 8 bits a channel; more bits would be cut off in silence.
DEEP_MODES = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file whose frames are no larger than LARGEST_FRAME.

    DataError if it is larger, has more than 8 bits a channel, or is damaged, also while it is read in the block.
    """
    if not path.is_file():  # a FIFO would be waited for without end
        raise DataError(f"{path}: is not a file that can be opened; expected an image")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # refuse_large has a limit of its own
            opened = Image.open(path)
        with opened as image:
            refuse_large(path, width=image.width, height=image.height)
            pages = getattr(image, "n_frames", 1)
            if image.format == "TIFF" and pages > 1:
                raise DataError(f"{path}: holds {pages} pages; expected one image in each file")
            if image.mode in DEEP_MODES:
                raise DataError(f"{path}: holds more than 8 bits a channel ({image.mode})")
            yield image
    except Image.DecompressionBombError as error:
        raise DataError(f"{path}: its frames have more than {LARGEST_FRAME} pixels") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        reason = str(error).replace(f" '{path}'", "")
        raise DataError(f"{path}: the image is damaged, or is of another kind than its name says: {reason}") from error


def read_image(path: Path) -> npt.NDArray[np.uint8]:
    """Return an image upright in RGB: (H, W, 3). DataError as `open_image`."""
    with open_image(path) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


def read_still(path: Path, sample: Sample, sink: Sink) -> Clip:
    """Put an image into `sink`, as a video of one frame, at 0 seconds; DataError as `open_image`."""
    times = np.zeros(1)
    indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=1)
    sink.add(0, read_image(path))
    return Clip(indices=indices, timestamps=times[indices], decoder="images")
