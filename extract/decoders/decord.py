"""decord: the sampled frames of a video file, only where they are proven right; the door to the library."""

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from framebank.extract.decoders.frames import Clip, Image, Indices, Sample, Sink, UnsupportedError, refuse_beyond
from framebank.extract.decoders.packets import Packets, packet_times
from framebank.extract.decoders.pixels import READ, Reading, require_plain, to_square
from framebank.extract.decoders.pyav import first_frame, scan_packets
from framebank.extract.sampling import checked_indices
from framebank.store.counts import counted
from framebank.store.errors import DataError

# decord keeps times in single precision: a quarter of a millisecond at one hour.
CLOCK_SECONDS = 2e-3

# Frames that are held at once.
CHUNK = 32


def read_decord(path: Path, sample: Sample, sink: Sink, *, reading: Reading = READ) -> Clip:
    """Put the sampled frames into `sink`; DataError if decord is not proven right on this file.

    decord seeks by packet numbers: right where packets are frames one to one and groups of pictures are closed. Where
    PyAV lacks the codec that cannot be known, and decord reads without seeking. UnsupportedError if decord is not
    installed, or lacks the container or the codec itself or what `reading` asks, or where PyAV lacks the container.
    """
    try:
        import decord
    except ImportError as error:
        raise UnsupportedError(
            f"{path}: decord is not installed; decoder 'pyav' reads every file that decord reads"
        ) from error
    require_plain(path, reading, decoder="decord")
    packets = scan_packets(path, tick=sink.tick)
    doubt = packets.doubt if packets.codec else _walk_doubt(packets)
    if packets.rivals:
        doubt = "it holds other video streams, and decord may take one of them"
    if doubt:
        raise DataError(f"{path}: decord is not proven right on this file: {doubt}")
    times = packet_times(packets)
    indices = checked_indices(sample(times))
    refuse_beyond(path, indices=indices, total=packets.count)
    wanted = np.unique(indices)
    decord.logging.set_level(decord.logging.QUIET)
    try:
        reader = decord.VideoReader(str(path), num_threads=1)
    except decord.DECORDError as error:
        raise UnsupportedError(f"{path}: decord cannot open it: {_reason(error)}") from error
    try:
        if len(reader) != packets.count:
            raise DataError(f"{path}: decord counts {counted(len(reader), 'frame')}, the file has {packets.count}")
        seen = reader.get_frame_timestamp(np.append(wanted, 0))[:, 0].astype(np.float64)
        if np.abs(seen[:-1] - seen[-1] - times[wanted]).max() > CLOCK_SECONDS:
            raise DataError(f"{path}: decord gives other frame times than the file")
        images = _seek(reader, wanted) if packets.codec else _walk(reader, wanted)
        turned = packets.aspect != 1 and bool(packets.codec) and bool(first_frame(path).turns % 2)
        aspect = packets.aspect if reading.square else Fraction(1)
        for index, image in zip(wanted.tolist(), images, strict=True):
            sink.tick()
            sink.add(index, to_square(image, aspect, path=path, turned=turned))
    except decord.DECORDError as error:
        raise DataError(f"{path}: decord fails: {_reason(error)}") from error
    return Clip(indices=indices, timestamps=times[indices], decoder="decord")


def _walk_doubt(packets: Packets) -> str:
    """Return why reading in order is not known to be right; empty if it is."""
    if packets.container not in ("mov", "matroska"):
        return f"it is not known to begin with the first frame in {packets.container}"
    if not len(packets.pts) or not np.all(np.diff(packets.pts) > 0):
        return "its presentation times are missing or repeated"
    return ""


def _seek(reader: Any, wanted: Indices) -> Iterator[Image]:
    for part in np.split(wanted, range(CHUNK, len(wanted), CHUNK)):
        yield from reader.get_batch(part).asnumpy()  # (CHUNK, H, W, 3)


def _walk(reader: Any, wanted: Indices) -> Iterator[Image]:
    """Yield the wanted frames (H, W, 3) out of one decode from the start."""
    reader.seek(0)
    for index in range(int(wanted.max()) + 1):
        frame = reader.next()
        if index in wanted:
            yield frame.asnumpy()


def _reason(error: Exception) -> str:
    first = str(error).strip().splitlines()[0]
    return re.sub(r"^.*\.(cc|h):\d+: (Check failed: .*? \(\S+ vs\. \S+\) )?", "", first).rstrip(".")
