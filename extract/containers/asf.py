"""ASF and WMV: a walk along the objects of a file and the packets in its data object, all of one length."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
DATA_HEAD = 50  # of the data object, in front of its packets

# How packets begin that say how to correct them.
PACKET = re.compile(rb"\x82\0\0[\0-\x7f][\0-\xff]")
WIDTHS = (0, 1, 2, 4)  # of a field, by the two bits that tell it


def walk_asf(content: mmap) -> Wholeness:
    """Walk along the objects; of a live recording, whose lengths are not known, the data reach to the end."""
    place, size = 0, len(content)
    is_live, packet = False, 0
    while len(head := content[place : place + 24]) == 24:
        length = int.from_bytes(head[16:], "little")
        if head.startswith(HEADER):
            is_live, packet = _file_properties(content[place : place + length])
        if head.startswith(DATA):
            end = size if is_live or length <= DATA_HEAD else place + length
            return _walk_packets(content, place + DATA_HEAD, end, length=packet)
        if length < 24:
            break
        place += length
    return Wholeness(missing=max(0, place - size))


def _file_properties(header: bytes) -> tuple[bool, int]:
    """Return whether a file is a live recording, and the length of its packets, 0 if they differ."""
    place = header.find(FILE_PROPERTIES)
    flags, least, most = (int.from_bytes(header[place + at : place + at + 4], "little") for at in (88, 92, 96))
    return bool(flags & 1), least if place >= 0 and least == most else 0


def _walk_packets(content: mmap, start: int, end: int, *, length: int) -> Wholeness:
    """Read the heads of all packets, where they are of one length, and follow the objects of each stream."""
    size = len(content)
    objects = _Objects()
    for place in range(start, min(end, size) if length else start, length or 1):
        if place + length > size:
            is_tail = end == size and content[place] != content[start]
            return Wholeness(0 if is_tail else max(end, place + length) - size, lost_of=objects.lost)
        try:
            for payload in _payloads(content[place : place + length]):
                objects.take(payload, place=place, size=size)
        except (_BrokenError, IndexError):
            if (
                end == size and content[start] & 0x80 and not PACKET.search(content, place)
            ):  # what stands behind a live recording
                return Wholeness(lost_of=objects.lost, end=place)
            return Wholeness(lost=damaged_at(place, size))
    return Wholeness(missing=max(0, end - size), lost_of=objects.lost)


class _BrokenError(Exception):
    """The head of a packet does not fit its length."""


@dataclass(frozen=True)
class _Payload:
    """A part of an object, which is a frame: its stream, the object's number, where the part lies in it, its length.

    `whole` is the length of the object, `numbers` how many numbers there are before they begin again, and `is_key`
    whether it is a key frame.
    """

    stream: int
    number: int
    offset: int
    length: int
    whole: int
    numbers: int
    is_key: bool


class _Objects:
    """What each stream must go on with."""

    def __init__(self) -> None:
        self.lost: dict[int, str] = {}
        self._next: dict[int, tuple[int, int]] = {}

    def take(self, payload: _Payload, *, place: int, size: int) -> None:
        """Note a payload; one that is not the next of its stream says that something is gone.

        A key frame behind a whole frame may have any number, as where recordings were joined.
        """
        here = (payload.number, payload.offset)
        following = self._next.get(payload.stream, here)
        is_joined = payload.is_key and not payload.offset and not following[1]
        if following != here and not is_joined:
            self.lost.setdefault(payload.stream, f"packets in front of byte {place} of {size} are missing")
        behind = payload.offset + payload.length
        is_done = behind >= payload.whole
        number = (payload.number + is_done) % payload.numbers
        self._next[payload.stream] = (number, 0 if is_done else behind)


def _payloads(packet: bytes) -> Iterator[_Payload]:
    """Yield the payloads of a packet, but those that hold several objects; _BrokenError where they do not fit it."""
    place = 1 + (packet[0] & 15) if packet[0] & 0x80 else 0
    flags, widths = packet[place], packet[place + 1]
    place += 2
    fields = []
    for shift in (5, 1, 3):  # length of the packet, its place in a sequence, length of what fills it
        width = WIDTHS[flags >> shift & 3]
        fields.append(int.from_bytes(packet[place : place + width], "little"))
        place += width
    if packet[0] & 0xE0 in (0xA0, 0xC0, 0xE0) or flags & 0x80 or not widths or fields[0] > len(packet):
        raise _BrokenError
    place += 6  # when it is sent, and for how long
    end = (fields[0] or len(packet)) - fields[2]
    several = flags & 1
    count, width = (packet[place] & 0x3F, WIDTHS[packet[place] >> 6]) if several else (1, 0)
    place += several
    for _ in range(count):
        stream, is_key = packet[place] & 0x7F, packet[place] > 0x7F
        place += 1
        told = []
        for shift in (4, 2, 0):  # number of the object, place in it, length of what describes it
            size = WIDTHS[widths >> shift & 3]
            told.append(int.from_bytes(packet[place : place + size], "little"))
            place += size
        number, offset, described = told
        whole = int.from_bytes(packet[place : place + 4], "little")
        place += described
        length = int.from_bytes(packet[place : place + width], "little") if several else end - place
        place += width
        if length < 0 or place + length > end or not stream:
            raise _BrokenError
        place += length
        if described >= 8:
            yield _Payload(stream, number, offset, length, whole, 1 << 8 * WIDTHS[widths >> 4 & 3], is_key)
