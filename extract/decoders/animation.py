"""Animated WebP pictures, which no decoder of videos reads: their frames by PIL."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from framebank.extract.decoders.frames import Clip, Sample, Sink, Times, refuse_beyond
from framebank.extract.decoders.images import open_image
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError

# Behind "RIFF", a length and "WEBP": the chunk of an extended file, and the bit in it that says it moves.
EXTENDED, MOVES = b"VP8X", 0x02


def is_animation(path: Path) -> bool:
    """Say whether a file is an animated WebP picture."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBP" + EXTENDED and bool(head[20] & MOVES)


def count_animation(path: Path) -> int:
    """Return how many frames it has. DataError as `read_animation`."""
    return len(_times(path))


def read_animation(path: Path, sample: Sample, sink: Sink) -> Clip:
    """Put the sampled frames into `sink`, what is transparent on black; DataError if the file is damaged."""
    times = _times(path, sink=sink)
    indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=len(times))
    wanted = set(indices.tolist())
    for index, image in _frames(path):
        sink.tick()
        if index in wanted:
            sink.add(index, np.array(image.convert("RGB")))
        if index == max(wanted):
            break
    return Clip(indices=indices, timestamps=times[indices], decoder="images")


def _times(path: Path, sink: Sink | None = None) -> Times:
    """Return the seconds of each frame after the first: (total,)."""
    _require_whole(path)
    durations = []
    for _, image in _frames(path):
        if sink:
            sink.tick()
        durations.append(image.info["duration"])  # milliseconds
    if len(durations) > 1 and not all(durations[:-1]):
        raise DataError(f"{path}: one of its frames lasts no time; expected the milliseconds that each is shown")
    return np.concatenate([[0], np.cumsum(durations[:-1])]) / 1000


def _require_whole(path: Path) -> None:
    with path.open("rb") as file:
        declared = 8 + int.from_bytes(file.read(8)[4:], "little")
    size = path.stat().st_size
    if size < declared:
        raise DataError(f"{path}: the file is cut short: {size} of at least {declared} bytes are there")


def _frames(path: Path) -> Iterator[tuple[int, Image.Image]]:
    with open_image(path) as image:
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            yield index, image
