"""Packets: what demuxing a video file tells, and what follows for times and for where decoding may start."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from framebank.extract.containers.container import is_idr
from framebank.store.errors import DataError

Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Packets:
    """What demuxing alone tells about the video stream of a file.

    pts        (P,) int64, presentation times in ascending order, in units of `time_base`; empty if one is missing
    key_pts    (K,) int64, ascending, those of the key frames
    count      how many packets are to be shown
    stream     index of the video stream within the file
    container  name of the container, the first of those that FFmpeg gives it: mov for mp4, too
    codec      name of its codec, empty if PyAV has no decoder for it
    time_base  seconds per unit
    rate       frames per second, 0 if unknown
    doubt      why packets are not known to be frames one to one; empty where they are
    aspect     width of a pixel by its height, as the container or the codec tells before the first frame
    damage     what of the stream is gone, in words; empty if it is whole
    rivals     how many other video streams the file has, cover pictures among them
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
    aspect: Fraction = Fraction(1)
    damage: str = ""
    rivals: int = 0


class Packet(Protocol):
    """What is looked at in a packet of a video stream."""

    pts: int | None
    is_corrupt: bool
    is_discard: bool
    is_keyframe: bool

    def __bytes__(self) -> bytes: ...


class Scan:
    """What the packets of a stream tell, taken one by one.

    `whole` of them are whole, `shown` are the presentation times of those that are to be shown.
    """

    def __init__(self, *, container: str, codec: str, extradata: bytes) -> None:
        self.container, self.codec, self._extradata = container, codec, extradata
        self.exact = container in ("mov", "matroska") and codec in ("h264", "hevc")
        self.shown: list[int | None] = []
        self.key_pts: list[int] = []
        self.whole = self._hidden = self._open_keys = 0

    def take(self, packet: Packet) -> None:
        """Count one more packet."""
        self.whole += not packet.is_corrupt
        self._hidden += packet.is_discard
        if packet.is_discard:
            return
        self.shown.append(packet.pts)
        if self.exact and packet.is_keyframe and packet.pts is not None:
            self.key_pts.append(packet.pts)
            self._open_keys += not is_idr(bytes(packet), codec=self.codec, extradata=self._extradata)

    @property
    def pts(self) -> Indices:
        """The presentation times that are known, in ascending order."""
        return np.array(sorted(p for p in self.shown if p is not None), dtype=np.int64)

    def doubt(self) -> str:
        """Return why these packets are not known to be frames one to one; nothing where they are."""
        pts = self.pts
        codec = self.codec or "a codec not known here"
        doubts = {
            f"packets of {codec} in {self.container} are not known to be frames one to one": not self.exact,
            "an edit list hides some of its packets": self._hidden,
            "its presentation times are missing or repeated": len(np.unique(pts)) < len(self.shown),
            "some of its key frames may refer to earlier frames": self._open_keys,
            "it does not start with a key frame": (not self.key_pts or not self.shown[0] == self.key_pts[0] == pts[0]),
        }
        return next((doubt for doubt, holds in doubts.items() if holds), "")


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
