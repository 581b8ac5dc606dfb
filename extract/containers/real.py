"""RealMedia: a walk along the chunks of a file and the packets of its data."""

from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

DATA_HEAD = 18  # of the chunk DATA, in front of its packets


def walk_real(content: mmap) -> Wholeness:
    """Walk along the chunks; behind the number of packets that the data tell, or its end, no frame is."""
    place, size = 0, len(content)
    while place + 10 <= size:
        name, length = content[place : place + 4], int.from_bytes(content[place + 4 : place + 8])
        if name == b"DATA":
            promised = int.from_bytes(content[place + 10 : place + 14])
            found = _walk_packets(content, place + DATA_HEAD, promised=promised)
            cut = place + length - size
            return Wholeness(missing=cut) if cut > DATA_HEAD and not found.missing and not found.lost else found
        if length < 10:
            return Wholeness(lost=damaged_at(place, size))
        place += length
    return Wholeness(missing=max(0, place - size))


def _walk_packets(content: mmap, place: int, *, promised: int) -> Wholeness:
    size, count = len(content), 0
    while place + 4 <= size and (count < promised or not promised):
        version, length = int.from_bytes(content[place : place + 2]), int.from_bytes(content[place + 2 : place + 4])
        if version > 1 or length < 12:
            return Wholeness(lost=damaged_at(place, size)) if promised else Wholeness()
        place, count = place + length, count + 1
    return Wholeness(missing=max(0, place - size))
