"""Folders of images: frames that were taken out of a video before, read as the video they were."""

import itertools
import re
from pathlib import Path

import numpy as np

from framebank.extract.decoders.frames import Clip, Sample, Sink, refuse_beyond
from framebank.extract.decoders.images import read_image
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError
from framebank.store.files.walk import is_litter
from framebank.store.videos.video import IMAGE_SUFFIXES, RATE_NAME

DEFAULT_RATE = 25.0  # where no file RATE_NAME tells the frames per second of its folder


def read_folder(path: Path, sample: Sample, sink: Sink) -> Clip:
    """Put the sampled images of a folder into `sink`, upright in RGB; only those are opened.

    They are in the order of the numbers in their names, frame i at i / rate seconds. DataError if there is none,
    if names are of more than one pattern, where an image is damaged, and where `fps.txt` holds no rate.
    """
    images = list_images(path)
    times = np.arange(len(images)) / read_rate(path)
    indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=len(images))
    for index in np.unique(indices).tolist():
        sink.tick()
        sink.add(index, read_image(images[index]))
    return Clip(indices=indices, timestamps=times[indices], decoder="images")


def list_images(folder: Path) -> list[Path]:
    """Return the images of a folder by the numbers in their names, 2.jpg before 10.jpg; hidden files are left out.

    DataError if there is none, and where their names differ in more than numbers: flow beside frames, a cover.
    """
    there = (path for path in folder.iterdir() if not is_litter(path.name))
    images = [path for path in there if path.suffix.lower() in IMAGE_SUFFIXES]
    if not images:
        raise DataError(f"{folder}: holds no image; expected frames as {', '.join(IMAGE_SUFFIXES)}")
    images.sort(key=_numbers)
    patterns = {re.sub(r"[0-9]+", "#", path.stem): path.name for path in images}
    if len(patterns) > 1:
        first, second, *_ = sorted(patterns.values())
        raise DataError(f"{folder}: its images are not one sequence, it holds {first} and {second}")
    for one, other in itertools.pairwise(images):
        if _numbers(one) == _numbers(other):
            raise DataError(f"{folder}: two of its images are the same frame, {one.name} and {other.name}")
    return images


def read_rate(folder: Path) -> float:
    """Return the frames per second that `fps.txt` in the folder tells, else 25; DataError if it tells no rate."""
    path = folder / RATE_NAME
    if not path.is_file():
        return DEFAULT_RATE
    text = path.read_text(encoding="utf-8", errors="replace").strip()
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text) or not float(text):
        raise DataError(f"{path}: holds {text[:40]!r}; expected frames per second, such as 29.97")
    return float(text)


def _numbers(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"[0-9]+", path.stem)]
