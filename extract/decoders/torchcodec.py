"""torchcodec: the sampled frames of a video file, held against PyAV where PyAV reads it; the door to the library."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from framebank.extract.decoders.frames import Clip, Image, Indices, Sample, Sink, Times, UnsupportedError, refuse_beyond
from framebank.extract.decoders.pixels import READ, Reading, require_plain, to_square
from framebank.extract.decoders.pyav import check_video
from framebank.extract.sampling import checked_indices
from framebank.store.errors import DataError
from framebank.store.lazy import require

# torchcodec tells times in double precision.
CLOCK_SECONDS = 1e-6

NO_FFMPEG = (
    "torchcodec finds no FFmpeg: it needs the shared libraries of FFmpeg 4 to 9 (libavcodec and its kin) where the "
    "system looks for libraries, and the version of torch that it was built for"
)


def read_torchcodec(path: Path, sample: Sample, sink: Sink, *, reading: Reading = READ) -> Clip:
    """Put the sampled frames into `sink`: from key frames where that is proven exact, else one after the other.

    torchcodec does not tell that a frame is damaged, so PyAV decodes the same frames before, without their colours; the
    two must agree on times and sizes. Only where PyAV lacks the container or the codec, torchcodec is alone: it then
    decodes the whole file in order, twice. DataError if the two differ, where the file is damaged or cut short;
    UnsupportedError if torchcodec cannot be loaded, lacks the container or the codec itself, or what `reading` asks.
    """
    require_torchcodec(path)
    require_plain(path, reading, decoder="torchcodec")
    sizes = _SizeSink(sink)
    try:
        packets, clip, told = check_video(path, sample, sizes)
    except UnsupportedError:
        return _read_alone(path, sample, sink, reading=reading)
    wanted = np.unique(clip.indices)
    expected = dict(zip(wanted.tolist(), told, strict=True))
    visited = np.arange(wanted.max() + 1) if packets.doubt else wanted
    for index, (image, moment) in _walk(path, _open(path, stream=packets.stream), visited):
        sink.tick()
        if index not in expected:
            continue
        shown = expected[index]
        if not abs(moment - shown.seconds) <= CLOCK_SECONDS:  # which NaN is not
            raise DataError(f"{path}: torchcodec has frame {index} at {moment:g} s, PyAV at {shown.seconds:g} s")
        if image.shape[:2] != sizes.sizes[index]:
            sizes_told = [f"{width}x{height}" for height, width in (image.shape[:2], sizes.sizes[index])]
            raise DataError(f"{path}: torchcodec gives frame {index} as {sizes_told[0]}, PyAV as {sizes_told[1]}")
        if reading.square:
            image = to_square(image, shown.aspect, path=path, turned=bool(shown.turns % 2))
        sink.add(index, image)
    return Clip(indices=clip.indices, timestamps=clip.timestamps, decoder="torchcodec")


def require_torchcodec(source: object) -> None:
    """Raise UnsupportedError, which begins with `source`, where torchcodec cannot be loaded."""
    try:
        torchcodec = require("torchcodec", extra="torchcodec", what=source)
    except DataError as error:
        raise UnsupportedError(str(error)) from error
    except Exception as error:  # some versions raise RuntimeError, with pages of text
        raise UnsupportedError(f"{source}: {NO_FFMPEG}") from error
    # Others load without FFmpeg, for the sake of images, and fail at the first video.
    if torchcodec.ffmpeg_major_version is None:
        raise UnsupportedError(f"{source}: {NO_FFMPEG}")


def _read_alone(path: Path, sample: Sample, sink: Sink, *, reading: Reading) -> Clip:
    """Read a file that PyAV cannot: the times of all frames come from a first pass, the pictures from a second."""
    moments = []
    for _, (_, moment) in _walk(path, reader := _open(path, stream=None), np.arange(len(reader))):
        sink.tick()
        moments.append(moment)
    # Where it cannot seek back to the beginning after its look at the packets, as in MPEG-TS, it begins in the middle.
    if not moments or abs(moments[0] - reader.metadata.begin_stream_seconds) > CLOCK_SECONDS:
        raise DataError(f"{path}: torchcodec does not begin with the first frame")
    times: Times = np.array(moments) - moments[0]
    if not np.all(np.diff(times) > 0):
        raise DataError(f"{path}: torchcodec gives frames out of the order of their times")
    indices: Indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=len(times))
    wanted = set(indices.tolist())
    told = reader.metadata.pixel_aspect_ratio if reading.square else None
    aspect = Fraction(told) if told and told > 0 else Fraction(1)
    turned = bool(round((reader.metadata.rotation or 0) / 90) % 2)
    for index, (image, _) in _walk(path, _open(path, stream=None), np.arange(max(wanted) + 1)):
        sink.tick()
        if index in wanted:
            sink.add(index, to_square(image, aspect, path=path, turned=turned))
    return Clip(indices=indices, timestamps=times[indices], decoder="torchcodec")


def _open(path: Path, *, stream: int | None) -> Any:
    """Open a video stream, the first in FFmpeg's own order where none is named; every packet is looked at."""
    from torchcodec.decoders import VideoDecoder

    try:
        return VideoDecoder(
            f"file:{path}", stream_index=stream, dimension_order="NHWC", device="cpu", seek_mode="exact"
        )
    except (RuntimeError, ValueError) as error:
        raise UnsupportedError(f"{path}: torchcodec cannot open it: {_reason(error)}") from error


def _walk(path: Path, reader: Any, indices: Indices) -> Iterator[tuple[int, tuple[Image, float]]]:
    """Yield (index, (image (H, W, 3), seconds)) of ascending indices; those from 0 on without a gap need no seeking."""
    for index in indices.tolist():
        try:
            frame = reader.get_frame_at(index)
        except (RuntimeError, IndexError) as error:
            raise DataError(f"{path}: torchcodec fails at frame {index}: {_reason(error)}") from error
        yield index, (np.ascontiguousarray(frame.data.numpy()), float(frame.pts_seconds))


def _reason(error: Exception) -> str:
    """Return what went wrong without the place in the source, which torchcodec puts before it, and without the path."""
    return re.sub(r"^.*\.cpp:\d+, |: file:\S*", "", str(error).splitlines()[0]).rstrip(". ")


class _SizeSink:
    """A sink that keeps the sizes (H, W) of the pictures by index."""

    def __init__(self, sink: Sink) -> None:
        self.sizes: dict[int, tuple[int, ...]] = {}
        self.tick = sink.tick

    def add(self, index: int, image: Image) -> None:
        self.sizes[index] = image.shape[:2]

    def clear(self) -> None:
        self.sizes.clear()
