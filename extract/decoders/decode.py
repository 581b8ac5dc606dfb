"""Frames of a video, exact to the index, by whichever decoder is right on it."""

from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np

from framebank.extract.decoders.animation import count_animation, is_animation, read_animation
from framebank.extract.decoders.decord import read_decord
from framebank.extract.decoders.folder import list_images, read_folder
from framebank.extract.decoders.frames import Clip, Frames, ImageSink, Indices, Sample, Sink, UnsupportedError
from framebank.extract.decoders.pixels import READ, Reading, resized
from framebank.extract.decoders.pyav import count_video, read_pyav
from framebank.extract.decoders.source import local_file
from framebank.extract.decoders.torchcodec import read_torchcodec, require_torchcodec
from framebank.store.errors import DataError


class Decoder(Protocol):
    """What reads video files."""

    def __call__(self, path: Path, sample: Sample, sink: Sink, *, reading: Reading) -> Clip:
        """Put the sampled frames, read as `reading` says, into `sink`; DataError if that cannot be done."""
        ...


def read_auto(path: Path, sample: Sample, sink: Sink, *, reading: Reading) -> Clip:
    """Put the sampled frames into `sink` by the first installed decoder of FALLBACKS that knows the file's codec.

    The next is asked only where one lacks the codec, never where one finds the file damaged: another
    decoder may conceal that.
    """
    reasons = []
    for name in (name for name in FALLBACKS if find_spec(LIBRARIES[name])):
        try:
            return DECODERS[name](path, sample, sink, reading=reading)
        except UnsupportedError as error:
            reasons.append(str(error).removeprefix(f"{path}: "))
            sink.clear()
    raise UnsupportedError(f"{path}: {'; '.join(dict.fromkeys(reasons))}")


# PyAV comes first: where the others are right they are no faster beyond the noise of measuring (docs/decoding.md).
DECODERS: dict[str, Decoder] = {
    "auto": read_auto,
    "pyav": read_pyav,
    "torchcodec": read_torchcodec,
    "decord": read_decord,
}
FALLBACKS = ("pyav", "torchcodec", "decord")
LIBRARIES = {"auto": "av", "pyav": "av", "torchcodec": "torchcodec", "decord": "decord"}


def decode_clip(path: Path, sample: Sample, sink: Sink, *, decoder: str = "auto", reading: Reading = READ) -> Clip:
    """Put the frames at `sample(times)` into `sink`, each once, ascending, where `times` are those of all frames.

    They are the frames that decoding `path` from its start gives at these indices. `path` is a video file, a member of
    a tar file, as `shard.tar/key.mp4`, or a folder of images or an animated WebP picture, which are read by PIL
    whatever `decoder` says. `reading` says what pixels they get. Frames may differ in size. No frame is kept here, so
    that the memory needed does not grow with the video. `sample` is called again where the first times, which the
    packets tell, prove wrong. Raises DataError if the file cannot be read, is cut short or damaged, where it has
    fewer frames than asked for, where a frame is larger than LARGEST_FRAME, and where the named decoder is not proven
    right on this file. See docs/decoding.md.
    """
    if decoder not in DECODERS:
        raise DataError(f"{decoder!r} is not a decoder; expected one of {', '.join(DECODERS)}")
    path = Path(path)
    if path.is_dir():
        return read_folder(path, sample, sink)
    with local_file(path) as local:
        if is_animation(local):
            return read_animation(local, sample, sink)
        return DECODERS[decoder](local, sample, sink, reading=reading)


def read_clip(path: Path, sample: Sample, *, decoder: str = "auto", reading: Reading = READ) -> Frames:
    """Return the frames at `sample(times)`, in that order, repeats allowed. Errors as `decode_clip`.

    Where their size changes within the video, all are resized to that of the earliest of them.
    """
    sink = ImageSink()
    clip = decode_clip(path, sample, sink, decoder=decoder, reading=reading)
    height, width = sink.images[min(sink.images)].shape[:2]
    images = [resized(sink.images[index], width=width, height=height) for index in clip.indices.tolist()]
    data = np.stack(images)  # (R, H, W, 3)
    return Frames(data=data, timestamps=clip.timestamps, indices=clip.indices, decoder=clip.decoder)


def read_frames(path: Path, indices: Indices, *, decoder: str = "auto", reading: Reading = READ) -> Frames:
    """Return the frames at `indices` (R,), in that order, repeats allowed. Sizes and errors as `read_clip`."""
    return read_clip(path, lambda _: indices, decoder=decoder, reading=reading)


def count_frames(path: Path) -> int:
    """Return how many frames decoding `path` from its start gives. Raises DataError as `decode_clip`."""
    path = Path(path)
    if path.is_dir():
        return len(list_images(path))
    with local_file(path) as local:
        return count_animation(local) if is_animation(local) else count_video(local)


def decoder_versions(*, decoder: str = "auto") -> str:
    """Return the name and version of the library that the named decoder reads with, as "pyav 18.1.0".

    "auto" is PyAV: the few videos that fell to another decoder bear its name. DataError if the library is missing.
    """
    if decoder not in DECODERS:
        raise DataError(f"{decoder!r} is not a decoder; expected one of {', '.join(DECODERS)}")
    if decoder == "torchcodec":
        require_torchcodec("--decoder torchcodec")
    name = {"auto": "pyav"}.get(decoder, decoder)
    try:
        return f"{name} {version(LIBRARIES[name])}"
    except PackageNotFoundError as error:
        raise DataError(f"decoder {name!r} needs a library that is not installed") from error
