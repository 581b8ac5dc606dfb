"""Structure: what the bytes of a video file say of its wholeness: bytes that are missing, a place where it breaks."""

import mmap
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from framebank.extract.matroska import MATROSKA, walk_matroska

ISO_FIRST_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}
# The boxes without which frames are gone. What else lies behind them may be cut, or be no box.
ISO_BOXES_OF_FRAMES = {b"moov", b"moof", b"mdat"}

TS_SYNC = 0x47
TS_SIZES = {188: 0, 192: 4, 204: 0}  # length of a packet -> where its sync byte is

LEAST_TS_PACKETS = 4

FLV_HEADER = 9
FLV_TAGS = (8, 9, 18)  # audio, video, script data

# What a writer of AVI leaves as a length that it could not go back to, as behind a pipe or when it was killed.
AVI_OPEN = (0, 0xFFFFFFFF)

AVI_CHUNK = re.compile(rb"\d\d(dc|db|wb)")  # pictures or sound

# A fragment of an mp4 file begins with its header.
FRAGMENT_START = re.compile(rb"moof.{4}mfhd", re.DOTALL)


@dataclass(frozen=True)
class Structure:
    """What a walk along the outer structure of a file found.

    missing    bytes that the file lacks of what its own headers declare
    broken_at  the byte at which no element follows where one must be, None where there is no such place
    lost       what is known to be gone otherwise, in words
    empty      AVI: how many empty chunks each stream has; each stands for a frame that repeats the one before
    boxes      mp4 and mov: the names of the outermost boxes
    is_ts      whether it is an MPEG transport stream
    """

    missing: int = 0
    broken_at: int | None = None
    lost: str = ""
    empty: Counter[int] = field(default_factory=Counter)
    boxes: frozenset[bytes] = frozenset()
    is_ts: bool = False


def read_structure(path: Path) -> Structure:
    """Walk along the outer structure of the file `path`; nothing is missing in a file of another kind.

    Missing bytes are the one trace that every file cut short keeps: Matroska tells no frame count, others a wrong one.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] == b"RIFF" and head[8:] == b"AVI ":
            return _walk_riff(file, size=size)
        if head[:4] == MATROSKA:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                missing, broken_at, lost = walk_matroska(content)
            return Structure(missing, broken_at, lost)
        if head[4:8] in ISO_FIRST_BOXES:
            return _walk_iso(file, size=size)
        if head[:3] == b"FLV":
            return _walk_flv(file, size=size)
        return _walk_ts(file, size=size)


def _walk_iso(file: BinaryIO, *, size: int) -> Structure:
    """Walk along the boxes (ISO 14496-12, 4.2); one that is not known and ends behind the file is no box."""
    start, missing = 0, 0
    boxes = set()
    while start < size and len(head := _read_at(file, start=start, count=16)) >= 8:
        name, length = head[4:8], int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length == 0 and name in ISO_BOXES_OF_FRAMES:  # up to the end of the file
            boxes.add(name)
            break
        if length < 8 or (start + length > size and name not in ISO_BOXES_OF_FRAMES):
            return Structure(missing, lost=_fragments_behind(file, start, size=size), boxes=frozenset(boxes))
        boxes.add(name)
        if name == b"moov" and start + length > size and _cuts_pictures(file, start + 8, size=size):
            return Structure(
                start + length - size, lost="its index (the box moov) is cut short", boxes=frozenset(boxes)
            )
        start += length
        missing = max(missing, start - size)
    return Structure(missing, boxes=frozenset(boxes))


def _cuts_pictures(file: BinaryIO, start: int, *, size: int) -> bool:
    """Whether the end of the file cuts a track within the box moov, other than one of sound."""
    while len(head := _read_at(file, start=start, count=8)) == 8:
        length = int.from_bytes(head[:4])
        if length < 8 or start + length > size:
            rest = _read_at(file, start=start, count=size - start)
            handler = rest.find(b"hdlr")
            return head[4:] == b"trak" and rest[handler + 12 : handler + 16] != b"soun"
        start += length
    return False


def _fragments_behind(file: BinaryIO, start: int, *, size: int) -> str:
    """Return in words that what stands at a place is damaged, where fragments follow behind it; otherwise nothing."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = FRAGMENT_START.search(content, start)
    return f"what stands at byte {start} of {size} is damaged" if found else ""


def _walk_riff(file: BinaryIO, *, size: int) -> Structure:
    """Walk along the chunks of an AVI file, into its lists of frames."""
    empty: Counter[int] = Counter()
    start, missing, broken_at, lost = 0, 0, None, ""
    while len(head := _read_at(file, start=start, count=12)) == 12 and head[:4] == b"RIFF":
        length = int.from_bytes(head[4:8], "little")
        end = size if length in AVI_OPEN else start + 8 + length
        missing = max(missing, end - size)
        if broken_at is None:
            broken_at = _walk_chunks(file, start + 12, min(end, size), empty=empty)
        if broken_at is not None and length in AVI_OPEN:  # its header promises nothing
            lost = _chunks_behind(file, broken_at, size=size)
            broken_at = None
        start = end + end % 2
    return Structure(max(0, missing), broken_at, lost, empty=empty)


def _chunks_behind(file: BinaryIO, start: int, *, size: int) -> str:
    """Return in words what is gone where chunks break at a place: nothing where no chunk begins there or behind it."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if AVI_CHUNK.match(content, start):
            return f"the file ends within the chunk at byte {start} of {size}"
        return f"what stands at byte {start} of {size} is damaged" if AVI_CHUNK.search(content, start) else ""


def _walk_chunks(file: BinaryIO, start: int, end: int, *, empty: "Counter[int]") -> int | None:
    """Walk along the chunks between two places and count those that are empty; return where they break."""
    while start + 8 <= end:
        head = _read_at(file, start=start, count=12)
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        if name == b"LIST" and head[8:] == b"movi" and length in AVI_OPEN:
            length = end - start - 8
        if not name.isascii() or not name.decode().isprintable() or start + 8 + length > end:
            return start
        if name == b"LIST" and head[8:] in (b"movi", b"rec "):
            broken_at = _walk_chunks(file, start + 12, start + 8 + length, empty=empty)
            if broken_at is not None:
                return broken_at
        elif length == 0 and name[:2].isdigit() and name[2:] in (b"dc", b"db"):
            empty[int(name[:2])] += 1
        start += 8 + length + length % 2
    return None


def _walk_flv(file: BinaryIO, *, size: int) -> Structure:
    """Walk along the tags of a Flash video; each names its length, and again behind it."""
    start = int.from_bytes(_read_at(file, start=5, count=4)) or FLV_HEADER
    while len(head := _read_at(file, start=start, count=15)) == 15:
        if head[4] & 0x1F not in FLV_TAGS or any(head[12:]):  # the number of its stream is always 0
            return Structure(broken_at=start)
        end = start + 15 + int.from_bytes(head[5:8])
        if end > size:
            return Structure(missing=end - size)
        if int.from_bytes(_read_at(file, start=end, count=4)) not in (0, end - start - 4) and end + 4 <= size:
            return Structure(broken_at=start)
        start = end
    return Structure()


def _walk_ts(file: BinaryIO, *, size: int) -> Structure:
    """Look for a last packet of a transport stream that is cut; it has nothing else that tells of its end."""
    for length, sync in TS_SIZES.items():
        places = range(sync, min(size, 8 * length), length)
        if len(places) >= LEAST_TS_PACKETS and all(_byte_at(file, place) == TS_SYNC for place in places):
            over = size % length
            cut = over > sync and _byte_at(file, size - over + sync) == TS_SYNC
            return Structure(missing=length - over if cut else 0, is_ts=True)
    return Structure()


def _read_at(file: BinaryIO, *, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _byte_at(file: BinaryIO, place: int) -> int:
    return int.from_bytes(_read_at(file, start=place, count=1))
