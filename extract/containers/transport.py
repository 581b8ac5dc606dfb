"""Transport streams: the packets of an MPEG-TS file, which each stream counts from 0 to 15 (ISO 13818-1)."""

from collections import Counter
from collections.abc import Iterator
from mmap import mmap

import numpy as np
import numpy.typing as npt

from framebank.extract.containers.wholeness import Wholeness, damaged_at

Packets = npt.NDArray[np.uint8]
Rows = npt.NDArray[np.int64]

SYNC = 0x47  # the letter G
SIZES = {188: 0, 192: 4, 204: 0}  # length of a packet -> where its sync byte is
LEAST_PACKETS = 4  # that tell a transport stream
BLOCK = 50_000  # packets looked at together
ALIKE = 0.9  # of the bytes of a packet that is there twice; its clock may differ
PAT, NOTHING = 0, 0x1FFF  # the streams that list the programs, and that fill
MOST_JUMPS = 0.5  # of the packets of a stream; where more of them jump, it does not count


def walk_transport(content: mmap) -> Wholeness:
    """Look for packets that are not there, of each stream by its own counter, and for a last one that is cut.

    A jump is none if the stream says so, and where recordings were joined: a frame begins there, and the list of
    programs starts to count again before it.
    """
    size = len(content)
    length = next((length for length in SIZES if _is_grid(content, SIZES[length], length, least=LEAST_PACKETS)), 0)
    if not length:
        return Wholeness()
    sync, counters = SIZES[length], _Counters(SIZES[length])
    place = 0
    for packets in _runs(content, length=length, sync=sync):
        counters.take(packets, place)
        place += packets.size
    over = size - place
    if over < length and content[place + sync : place + sync + 1] == b"G":
        return Wholeness(length - over, lost_of=counters.lost(size), is_ts=True)
    lost = damaged_at(place, size) if _has_packets(content, place - length + 1, length) else ""
    return Wholeness(lost=lost, lost_of=counters.lost(size), end=0 if lost else place, is_ts=True)


def _is_grid(content: mmap, first: int, length: int, *, least: int) -> bool:
    """Say whether packets stand from the sync byte `first` on, eight or as many as there are, and at least so many."""
    syncs = content[first : first + 7 * length + 1 : length]
    return len(syncs) >= least and set(syncs) == {SYNC}


def _has_packets(content: mmap, place: int, length: int) -> bool:
    """Say whether packets follow behind a place where they break: some, or two with which the file ends."""
    while (place := content.find(b"G", place)) >= 0:
        ends_here = (len(content) - place + SIZES[length]) % length == 0
        if _is_grid(content, place, length, least=2 if ends_here else 6):
            return True
        place += 1
    return False


def _runs(content: mmap, *, length: int, sync: int) -> Iterator[Packets]:
    """Yield the packets (P, length) that follow each other without a break, at the most BLOCK at once."""
    for place in range(0, len(content), BLOCK * length):
        part = content[place : place + BLOCK * length]
        packets = np.frombuffer(part, np.uint8, len(part) // length * length).reshape(-1, length)
        breaks = np.flatnonzero(packets[:, sync] != SYNC)
        yield packets[: breaks[0]] if len(breaks) else packets
        if len(breaks):
            return


class _Counters:
    """The counters of all streams, by the number of each, as packets come."""

    def __init__(self, sync: int) -> None:
        self._sync = sync
        self._last: dict[int, int] = {}
        self._packets: Counter[int] = Counter()
        self._jumps: Counter[int] = Counter()
        self._places: dict[int, int] = {}  # of the first packet behind a jump

    def take(self, packets: Packets, place: int) -> None:
        """Look at packets (P, length) that begin at a place in the file."""
        heads = packets[:, self._sync : self._sync + 6].astype(np.int64)  # (P, 6)
        streams = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
        counts = heads[:, 3] & 15
        breaks = np.flatnonzero((heads[:, 3] & 0x20 > 0) & (heads[:, 4] > 0) & (heads[:, 5] & 0x80 > 0))
        programs = np.flatnonzero(streams == PAT)
        last = np.concatenate(([self._last.get(PAT, -1)], counts[programs]))[:-1]
        restarts = programs[(counts[programs] == 0) | ((counts[programs] - last) % 16 != 1)]
        for stream in np.unique(streams).tolist():
            rows = np.flatnonzero((streams == stream) & (heads[:, 3] & 0x10 > 0))  # those with content
            if stream == NOTHING or not len(rows):
                continue
            before = np.concatenate(([-1], rows[:-1]))
            last = np.concatenate(([self._last.get(stream, counts[rows[0]] - 1)], counts[rows[:-1]]))
            step = (counts[rows] - last) % 16
            twice = np.flatnonzero((step == 0) & (before >= 0))
            alike = (packets[rows[twice]] == packets[before[twice]]).mean(axis=1) >= ALIKE
            jumps = step > 1
            jumps[twice[~alike]] = True
            jumps &= ~_lies_between(breaks[streams[breaks] == stream], before, rows)
            jumps &= ~(_lies_between(restarts, before, rows) & (heads[rows, 1] & 0x40 > 0))
            jumps |= heads[rows, 1] & 0x80 > 0  # damaged before it was recorded
            if jumps.any():
                self._places.setdefault(stream, place + int(rows[jumps][0]) * packets.shape[1])
            self._jumps[stream] += int(jumps.sum())
            self._packets[stream] += len(rows)
            self._last[stream] = int(counts[rows[-1]])

    def lost(self, size: int) -> dict[int, str]:
        """Return in words what of each stream is gone, by its number."""
        return {
            stream: f"packets in front of byte {place} of {size} are missing"
            for stream, place in self._places.items()
            if self._jumps[stream] <= MOST_JUMPS * self._packets[stream]
        }


def _lies_between(rows: Rows, first: Rows, last: Rows) -> npt.NDArray[np.bool_]:
    """Say whether one of `rows` lies behind `first` and not behind `last`, for each pair of them."""
    between: npt.NDArray[np.bool_] = np.searchsorted(rows, last, "right") > np.searchsorted(rows, first, "right")
    return between
