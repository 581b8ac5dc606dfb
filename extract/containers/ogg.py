"""Ogg: a walk along the pages of a file, which bear numbers and checksums (RFC 3533)."""

import zlib
from dataclasses import dataclass
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

CAPTURE = b"OggS"
HEAD = 27
FIRST, LAST = 2, 4  # flags of a page
CHECKSUM = slice(22, 26)

# The checksum is that of zlib with the bits of each byte, and of the result, in the other order.
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


@dataclass
class _Stream:
    """What was seen of one stream: its place among all, its last page, and whether a packet or the stream is open."""

    number: int
    page: int = -1
    has_begun: bool = False
    packet_is_open: bool = False
    is_open: bool = True
    lost: str = ""


def walk_ogg(content: mmap) -> Wholeness:
    """Walk along the pages; each stream counts its own.

    A jump behind the headers is that of a live recording. A cut behind the last pages of all streams took nothing.
    """
    streams: dict[int, _Stream] = {}
    place, size, missing, end, lost = 0, len(content), 0, 0, ""
    while place < size:
        head = content[place : place + HEAD]
        following = place + len(head)
        if len(head) == HEAD and head.startswith(CAPTURE):
            lengths = content[following : following + head[26]]
            following += head[26] + sum(lengths)
            if following <= size and _is_right(content[place:following]):
                _take(streams, head, lengths)
                place = following
                continue
        behind = content.find(CAPTURE, place + 1)
        if behind < 0:
            is_cut = head.startswith(CAPTURE[: len(head)])
            missing, end = (max(1, following - size), 0) if is_cut else (0, place)
            break
        stream = streams.get(int.from_bytes(head[14:18], "little")) if head.startswith(CAPTURE) else None
        if stream:
            stream.lost = stream.lost or damaged_at(place, size)
        else:
            lost = lost or damaged_at(place, size)
        place = behind
    for stream in streams.values():
        if stream.packet_is_open and stream.is_open and not stream.lost:
            stream.lost = f"its page behind page {stream.page} is not there"
    is_done = not any(stream.is_open for stream in streams.values())
    lost_of = {stream.number: stream.lost for stream in streams.values() if stream.lost}
    return Wholeness(0 if is_done else missing, lost=lost, lost_of=lost_of, end=end)


def _take(streams: dict[int, _Stream], head: bytes, lengths: bytes) -> None:
    """Note one page of a stream, and whether it follows the one before."""
    flags, time = head[5], int.from_bytes(head[6:14], "little")
    serial, page = int.from_bytes(head[14:18], "little"), int.from_bytes(head[18:22], "little")
    stream = streams.setdefault(serial, _Stream(len(streams), page - 1))
    if flags & FIRST:
        stream.page, stream.has_begun, stream.is_open = page - 1, False, True
    if page != stream.page + 1 and stream.has_begun and not stream.lost:
        stream.lost = f"its page {page} follows its page {stream.page}"
    stream.page = page
    stream.has_begun = stream.has_begun or time > 0
    stream.packet_is_open = lengths[-1:] == b"\xff"
    stream.is_open = stream.is_open and not flags & LAST


def _is_right(page: bytes) -> bool:
    """Say whether the checksum of a page is that of its bytes."""
    told = int.from_bytes(page[CHECKSUM], "little")
    bare = page[: CHECKSUM.start] + bytes(4) + page[CHECKSUM.stop :]
    found = zlib.crc32(bare.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{found:032b}"[::-1], 2) == told
