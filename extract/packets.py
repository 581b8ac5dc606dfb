"""Packets: what demuxing a video file tells, and what follows for times and for where decoding may start."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from framebank.store.errors import DataError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packets:
    """What demuxing alone tells about the video stream of a file.

    pts        (P,) int64, presentation times in ascending order, in units of `time_base`; empty where one is missing
    key_pts    (K,) int64, ascending, those of the key frames
    count      how many packets are to be shown
    stream     index of the video stream within the file
    container  name of the container, the first of those that FFmpeg gives it: mov for mp4, too
    codec      name of its codec, empty where PyAV has no decoder for it
    time_base  seconds per unit
    rate       frames per second, 0 where unknown
    doubt      why packets are not known to be frames one to one; empty where they are
    """

    pts: Indices
    key_pts: Indices
    count: int
    stream: int
    container: str
    codec: str
    time_base: Fraction
    rate: Fraction
    doubt: str


def plan_visits(packets: Packets, *, indices: Indices) -> list[tuple[int, int]]:
    """Return the runs of frames (start, stop) to decode: each from a key frame to the last wanted frame behind it."""
    keys = np.searchsorted(packets.pts, packets.key_pts)  # (K,)
    run = np.searchsorted(keys, indices, side="right") - 1  # (T,)
    return [(int(keys[k]), int(indices[run == k].max()) + 1) for k in np.unique(run)]


def packet_times(packets: Packets) -> npt.NDArray[np.float64]:
    """Return the seconds of each packet after the first shown: (P,)."""
    seconds: npt.NDArray[np.float64] = (packets.pts - packets.pts[0]) * float(packets.time_base)
    return seconds


def guessed_times(packets: Packets) -> npt.NDArray[np.float64]:
    """Return what the seconds of each frame after the first will be if each packet is a frame: (P,), ascending."""
    if len(packets.pts) == packets.count and np.all(np.diff(packets.pts) > 0):
        return packet_times(packets)
    return np.arange(packets.count) / float(packets.rate or 1)


def frame_times(path: Path, *, pts: list[int | None], packets: Packets) -> npt.NDArray[np.float64]:
    """Return the seconds of each frame after the first: (total,).

    AVI stores no presentation times and those derived for it may swap neighbours (packed B-frames): sorted, the times
    of its packets are right. Where packets and frames differ in number too, the frame rate is all there is.
    """
    known = np.array([p for p in pts if p is not None], dtype=np.int64)
    if len(known) == len(pts) and np.all(np.diff(known) > 0):
        return np.asarray((known - known[0]) * float(packets.time_base))
    if len(packets.pts) == len(pts) and np.all(np.diff(packets.pts) > 0):
        return packet_times(packets)
    if not packets.rate:
        raise DataError(f"{path}: the file has neither presentation times nor a frame rate")
    return np.arange(len(pts)) / float(packets.rate)
