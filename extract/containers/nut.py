"""NUT: a walk along the packets and frames of a file, whose main header says how frames begin."""

from dataclasses import dataclass
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

NAME = b"nut/multimedia container\0"
MAIN, SYNCPOINT = bytes.fromhex("4e4d7a561f5f04ad"), bytes.fromhex("4e4be4adeeca4569")
INDEX, STREAM, INFO = (bytes.fromhex(start) for start in ("4e58dd672f23e64e", "4e5311405bf2f9db", "4e49ab68b596ba78"))
STARTS = (MAIN, SYNCPOINT, INDEX, STREAM, INFO)
# Flags of a frame: which fields stand at its head.
CODED_PTS, STREAM_ID, SIZE, CHECKSUM, RESERVED = 8, 16, 32, 64, 128
MATCH_TIME, HEADER_INDEX, CODED, INVALID = 256, 1024, 4096, 8192

# Behind a header so long, a checksum of it stands.
LONG = 4096
MOST_HEAD = 40  # bytes of the head of a frame


@dataclass(frozen=True)
class _Code:
    """What the first byte of a frame stands for."""

    flags: int
    multiplier: int
    size: int
    reserved: int
    header: int


class _BrokenError(Exception):
    """Nothing that is known stands here."""


class _Cursor:
    """A place in the file that moves on behind each number read."""

    def __init__(self, content: mmap, place: int) -> None:
        self.content, self.place = content, place

    def number(self) -> int:
        """Return a number of any length: seven bits a byte, the high bit set where more follow."""
        value = 0
        for byte in self.content[self.place : self.place + 10]:
            self.place += 1
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise _BrokenError


def walk_nut(content: mmap) -> Wholeness:
    """Walk along the packets and frames up to the index, behind which no frame is.

    A frame of any length may follow the other, so that a walk that lost its way may find back: each syncpoint must lie
    as far behind an earlier one as it says.
    """
    place, size = len(NAME), len(content)
    codes: list[_Code] = []
    elided = [0]
    syncpoints: set[int] = set()
    try:
        while place < size:
            start = content[place : place + 8]
            if start in STARTS:
                body, following = _body(content, place + 8)
                if following <= size and start == MAIN:
                    codes, elided = _read_main(_Cursor(content, body))
                if following <= size and start == SYNCPOINT:
                    syncpoints.add(place >> 4)
                    _require_syncpoint(_Cursor(content, body), place, syncpoints=syncpoints)
                if start == INDEX and not _starts_behind(content, following):
                    return Wholeness(missing=max(0, following - size), end=following)
            else:
                following = _end_of_frame(_Cursor(content, place), codes=codes, elided=elided)
            if following <= place or (following > size and _starts_behind(content, place + 1)):
                raise _BrokenError
            place = following
    except (_BrokenError, IndexError):
        if place + MOST_HEAD < size:
            return Wholeness(lost=damaged_at(place, size))
        place = size + 1  # the head of a frame is cut
    return Wholeness(missing=place - size)


def _starts_behind(content: mmap, place: int) -> bool:
    """Say whether a packet that is no frame begins at a place or behind it."""
    return any(content.find(start, place) >= 0 for start in STARTS)


def _body(content: mmap, place: int) -> tuple[int, int]:
    """Return where the content of a packet begins and where the next packet does."""
    cursor = _Cursor(content, place)
    length = cursor.number()
    body = cursor.place + (4 if length > LONG else 0)
    return body, body + length


def _require_syncpoint(cursor: _Cursor, place: int, *, syncpoints: set[int]) -> None:
    cursor.number()  # its time
    back = cursor.number()
    if not {(place >> 4) - back, (place >> 4) - back - 1} & syncpoints:
        raise _BrokenError


def _read_main(cursor: _Cursor) -> tuple[list[_Code], list[int]]:
    """Return what each first byte of a frame stands for, and how many bytes each header takes that frames leave out."""
    number = cursor.number
    if number() > 3:
        number()
    number(), number()  # streams, the most bytes between two syncpoints
    for _ in range(2 * number()):  # units of time
        number()
    codes: list[_Code] = []
    multiplier, stream, header = 1, 0, 0
    while len(codes) < 256:
        flags, count = number(), number()
        fields = [number() for _ in range(count)]
        multiplier = fields[1] if count > 1 else multiplier
        stream = fields[2] if count > 2 else stream
        least = fields[3] if count > 3 else 0
        reserved = fields[4] if count > 4 else 0
        times = fields[5] if count > 5 else multiplier - least
        header = fields[7] if count > 7 else header
        for size in range(least, least + min(times, 256)):
            if len(codes) == ord("N"):
                codes.append(_Code(INVALID, 1, 0, 0, 0))
            codes.append(_Code(flags, multiplier, size, reserved, header))
        if not times:
            raise _BrokenError
    elided = [0]
    for _ in range(number()):
        elided.append(number())
        cursor.place += elided[-1]
    return codes[:256], elided


def _end_of_frame(cursor: _Cursor, *, codes: list[_Code], elided: list[int]) -> int:
    """Return where a frame ends."""
    number = cursor.number
    code = codes[cursor.content[cursor.place]]
    cursor.place += 1
    flags = code.flags
    if flags & CODED:
        flags ^= number()
    if flags & INVALID:
        raise _BrokenError
    for field in (STREAM_ID, CODED_PTS):
        if flags & field:
            number()
    size = code.size + (code.multiplier * number() if flags & SIZE else 0)
    if flags & MATCH_TIME:
        number()
    header = number() if flags & HEADER_INDEX else code.header
    for _ in range(number() if flags & RESERVED else code.reserved):
        number()
    if flags & CHECKSUM:
        cursor.place += 4
    return cursor.place + size - (0 if size > LONG else elided[header])
