"""Matroska and WebM: a walk along the elements of a file, which tells whether all of its clusters are there."""

from collections.abc import Iterator
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness

MATROSKA = b"\x1a\x45\xdf\xa3"

EBML, SEGMENT, CLUSTER, CUES, VOID, CRC = 0x1A45DFA3, 0x18538067, 0x1F43B675, 0x1C53BB6B, 0xEC, 0xBF
SEEK_HEAD, INFO, TRACKS, ATTACHMENTS, CHAPTERS, TAGS = (
    0x114D9B74,
    0x1549A966,
    0x1654AE6B,
    0x1941A469,
    0x1043A770,
    0x1254C367,
)
IN_SEGMENT = frozenset((SEEK_HEAD, INFO, TRACKS, CLUSTER, CUES, ATTACHMENTS, CHAPTERS, TAGS, VOID, CRC))
# Its time, SilentTracks, Position, PrevSize, SimpleBlock, BlockGroup, EncryptedBlock.
IN_CLUSTER = frozenset((0xE7, 0x5854, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, VOID, CRC))
SIMPLE_BLOCK = 0xA3
CUE_POINT, CUE_TRACK_POSITIONS, CUE_CLUSTER_POSITION = 0xBB, 0xB7, 0xF1


class _BrokenError(Exception):
    """No element follows at this place, where one must be; `cut` where the bytes end within its head."""

    def __init__(self, place: int, *, cut: bool = False) -> None:
        self.place = place
        self.cut = cut


def walk_matroska(content: mmap) -> Wholeness:
    """Walk along the elements.

    A segment of known size must be there to its end, element by element, and each cluster block by block. What the
    index points at must be clusters. Bytes behind the segment mean nothing; of a segment whose size is not known, which
    is a live recording, neither do those in which no cluster and no block follows.
    """
    place, size = 0, len(content)
    while place < size:
        try:
            name, start, length = _element(content, place, size)
        except _BrokenError:
            break
        if name == SEGMENT:
            return _walk_segment(content, start, length)
        if name not in (EBML, VOID) or length is None:
            break
        place = start + length
    return Wholeness(missing=max(0, place - size))


def _walk_segment(content: mmap, start: int, length: int | None) -> Wholeness:
    size = len(content)
    end = size if length is None else min(size, start + length)
    missing = 0 if length is None else max(0, start + length - size)
    clusters: set[int] = set()
    cues: set[int] = set()
    place, inside = start, False  # whether it is in a cluster of known size
    try:
        while place < end:
            inside = False
            name, first, count = _element(content, place, end)
            inside = name == CLUSTER and count is not None
            last = end if count is None else first + count
            if name == CLUSTER:
                clusters.add(place - start)
                place = _walk_cluster(content, first, last, known=count is not None, end=end)
                missing = max(missing, place - size) if length is None else missing
            elif last > end and (missing or length is None):  # an index or a note is cut
                break
            elif name not in IN_SEGMENT and not _leads_on(content, last, end, to=IN_SEGMENT):
                raise _BrokenError(place)
            else:
                if name == CUES:
                    cues |= set(_cue_positions(content, first, last))
                place = last
    except _BrokenError as error:
        if missing or (error.cut and length is None and _begins_element(content[error.place : end])):
            return Wholeness(missing=max(missing, 1))
        if length is None and not inside and not _leads_to_blocks(content, error.place):
            return Wholeness()
        return Wholeness(broken_at=error.place)
    if place > end and length is not None and not missing:
        return Wholeness(broken_at=end)
    absent = len(cues - clusters)
    lost = f"its index names {absent} of {len(cues)} clusters that are not there" if absent and not missing else ""
    return Wholeness(missing, lost=lost)


def _leads_to_blocks(content: mmap, place: int) -> bool:
    """Say whether a cluster begins behind a place, or a block from which elements lead to the end of the file."""
    if content.find(CLUSTER.to_bytes(4), place) >= 0:
        return True
    size = len(content)
    while (place := content.find(SIMPLE_BLOCK.to_bytes(), place)) >= 0:
        following = place
        while following < size and _leads_on(content, following, size, to=IN_CLUSTER | IN_SEGMENT):
            _, first, length = _element(content, following, size)
            following = size + 1 if length is None else first + length
        if following == size:
            return True
        place += 1
    return False


def _begins_element(head: bytes) -> bool:
    """Say whether the last bytes of a file may be the head of an element that is known."""
    names = (name.to_bytes((name.bit_length() + 7) // 8) for name in IN_SEGMENT | IN_CLUSTER)
    return any(head.startswith(name) or name.startswith(head) for name in names)


def _walk_cluster(content: mmap, place: int, last: int, *, known: bool, end: int) -> int:
    """Walk along the blocks of a cluster and return where it ends, which may be behind the end of the file."""
    while place < min(last, end):
        name, first, length = _element(content, place, end)
        if not known and name in IN_SEGMENT - {VOID, CRC}:
            return place
        if length is None:
            raise _BrokenError(place)
        if name not in IN_CLUSTER and not _leads_on(content, first + length, last, to=IN_CLUSTER):
            raise _BrokenError(place)
        if known and first + length > last:
            raise _BrokenError(place)
        place = first + length
    return max(place, last) if known else place


def _leads_on(content: mmap, place: int, end: int, *, to: frozenset[int]) -> bool:
    """Say whether an element that is not known ends where one that is known begins, or where all end."""
    try:
        return place == end or (place < end and _element(content, place, end)[0] in to)
    except _BrokenError:
        return False


def _cue_positions(
    content: mmap, start: int, end: int, *, within: tuple[int, ...] = (CUE_POINT, CUE_TRACK_POSITIONS)
) -> Iterator[int]:
    """Yield where the index says that clusters begin, counted from the first byte in the segment."""
    while start < end:
        name, first, length = _element(content, start, end)
        start = end if length is None else first + length
        if name in within[:1]:
            yield from _cue_positions(content, first, start, within=within[1:])
        elif name == CUE_CLUSTER_POSITION:
            yield int.from_bytes(content[first:start])


def _element(content: mmap, place: int, end: int) -> tuple[int, int, int | None]:
    """Return the name of the element at `place`, where its content starts, and its length, None if not known."""
    if not content[place] & 0xF0:
        raise _BrokenError(place)
    start = place + 9 - content[place].bit_length()
    if start >= end:
        raise _BrokenError(place, cut=True)
    if not content[start]:
        raise _BrokenError(place)
    name = int.from_bytes(content[place:start])
    width = 9 - content[start].bit_length()
    if start + width > end:
        raise _BrokenError(place, cut=True)
    field = content[start : start + width]
    length = int.from_bytes(field) & ((1 << 7 * width) - 1)
    return name, start + width, None if length == (1 << 7 * width) - 1 else length
