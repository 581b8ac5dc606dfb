"""Program streams: a walk along the packs and packets of an MPEG-PS file, also a VOB, one behind the other."""

import re
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

PACK, END = 0xBA, 0xB9
START = re.compile(rb"\0\0\x01[\xba-\xff]")  # of a pack or a packet
FILLED = re.compile(rb"\0*")  # what may lie in front of one


def walk_program(content: mmap) -> Wholeness:
    """Walk along the packets; what follows the last one and holds no other is no part of the video."""
    place, size, last = 0, len(content), -1
    while place < size:
        head = content[place : place + 14]
        if not (head.startswith(b"\0\0\1") and len(head) > 3 and head[3] >= END):
            filled = FILLED.match(content, place)
            behind = max(place, filled.end() - 2) if filled else place
            if behind > place and START.match(content, behind):
                place = behind
                continue
            has_more = START.search(content, last + 1)
            return Wholeness(lost=damaged_at(place, size)) if has_more else Wholeness(end=place)
        last = place
        if head[3] == END:
            place += 4
        elif head[3] == PACK:
            is_mpeg2 = len(head) > 4 and head[4] >> 6 == 1
            place += 14 + (head[13] & 7 if len(head) == 14 else 0) if is_mpeg2 else 12
        elif len(head) < 6 or any(head[4:6]):
            place += 6 + int.from_bytes(head[4:6])
        else:  # a length that is not told, as in what was a transport stream
            following = START.search(content, place + 6)
            place = following.start() if following else size
    return Wholeness(missing=place - size)
