"""MXF: a walk along the keys, lengths and values of a file (SMPTE 377)."""

from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

KEY = bytes.fromhex("060e2b34")  # how every key begins
PARTITION = bytes.fromhex("060e2b34020501010d0102010102")  # header, body (03) and footer (04) have their own next byte
MOST_BYTES = 1 << 56  # of a value; a longer one is a length that was damaged
PARTITIONS = (2, 3, 4)
THIS, FOOTER = slice(8, 16), slice(24, 32)  # the places that a partition names, of itself and of the footer


def walk_mxf(content: mmap) -> Wholeness:
    """Walk along the keys. Behind the place where the footer begins no frame is; a partition tells its own place."""
    place, size, footer, last = 0, len(content), 0, -1
    while place < size:
        first, length = _length(content, place + 16)
        following = first + length
        is_key = content[place : place + 4] == KEY and length < MOST_BYTES
        if not is_key or (following > size and content.find(KEY, first) >= 0):
            is_tail = footer <= place and not KEY.startswith(content[place : place + 4])
            if not is_key and is_tail and content.find(KEY, last + 1) < 0:
                return Wholeness(end=place)
            return Wholeness(lost=damaged_at(place, size))
        key = content[place : place + 16]
        if key[:7] == PARTITION[:7] and key[8:13] == PARTITION[8:13] and key[13] in PARTITIONS:
            pack = content[first : first + 64]
            footer = max(footer, int.from_bytes(pack[FOOTER]))
            if int.from_bytes(pack[THIS]) != place and len(pack) > THIS.stop:
                return Wholeness(lost=f"its partition of byte {int.from_bytes(pack[THIS])} stands at byte {place}")
        if following > size:
            behind_frames = 0 < footer <= place
            return Wholeness(missing=0 if behind_frames else max(following, footer) - size)
        last, place = place, following
    return Wholeness(missing=max(0, footer - size))


def _length(content: mmap, place: int) -> tuple[int, int]:
    """Return where the value behind a length begins, and that length (BER)."""
    first = content[place : place + 1]
    if not first or first[0] < 0x80:
        return place + 1, int.from_bytes(first)
    count = first[0] & 0x7F
    return place + 1 + count, int.from_bytes(content[place + 1 : place + 1 + count])
