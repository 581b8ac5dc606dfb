"""GIF: a walk along the blocks of an animated picture, up to its trailer."""

import re
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

EXTENSION, IMAGE, TRAILER = 0x21, 0x2C, 0x3B
NAME = b"GIF8"
COLOURS = 0x80  # a table of colours follows, its size in the last three bits

FILLED = re.compile(rb"\0+(?=[\x21\x2c\x3b])")  # zeros in front of a block

# What says how long a picture is shown stands in front of it.
CONTROL = re.compile(rb"\x21\xf9\x04.{4}\0", re.DOTALL)


def walk_gif(content: mmap) -> Wholeness:
    """Walk along the blocks; a picture that ends without its trailer is whole.

    A walk that lost its way finds back at the zeros around the next picture, which then lies within the one before.
    """
    size = len(content)
    place = _behind_header(content, 0)
    while place < size:
        filled = FILLED.match(content, place)
        place = filled.end() if filled else place
        kind = content[place]
        if kind == TRAILER and content[place + 1 : place + 5] == NAME:  # one picture behind the other
            place = _behind_header(content, place + 1)
            continue
        if kind == TRAILER and not CONTROL.search(content, place):
            return Wholeness(end=place + 1)
        if kind == EXTENSION:
            following = _behind_parts(content, place + 2)
        elif kind == IMAGE:
            following = _behind_parts(content, place + 11 + _colour_bytes(content[place + 9 : place + 10]))
        else:
            has_more = CONTROL.search(content, place)
            return Wholeness(lost=damaged_at(place, size)) if has_more else Wholeness(end=place)
        if kind == IMAGE and (within := CONTROL.search(content, place, following)):
            return Wholeness(lost=damaged_at(within.start(), size))
        if following > size:
            return Wholeness(lost=f"the file ends within the block at byte {place} of {size}")
        place = following
    return Wholeness()


def _behind_header(content: mmap, place: int) -> int:
    return place + 13 + _colour_bytes(content[place + 10 : place + 11])


def _colour_bytes(flags: bytes) -> int:
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & COLOURS else 0


def _behind_parts(content: mmap, place: int) -> int:
    """Return where the parts of a block end: each has its length in front, the last is empty."""
    while place < len(content):
        length = content[place]
        place += 1 + length
        if not length:
            return place
    return max(place, len(content) + 1)
