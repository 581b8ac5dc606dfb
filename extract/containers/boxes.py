"""Boxes: a walk along those of an mp4 or mov file (ISO 14496-12, 4.2)."""

import re
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

FIRST_BOXES = (b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
# The boxes without which frames are gone. What else lies behind them may be cut, or be no box.
BOXES_OF_FRAMES = {b"moov", b"moof", b"mdat"}

# A fragment begins with its header, and its frames follow; behind the last may be a list of all.
FRAGMENT = b"moof"
FRAGMENT_PART = re.compile(rb"moof.{4}mfhd|mdat|mfra.{4}tfra", re.DOTALL)


def walk_boxes(content: mmap) -> Wholeness:
    """Walk along the boxes; one that is not known and ends behind the file is no box.

    Without fragments the index tells where every frame lies, wherever boxes break.
    """
    start, last, missing, size = 0, 0, 0, len(content)
    boxes = set()
    while start < size and len(head := content[start : start + 16]) >= 8:
        name, length = head[4:8], int.from_bytes(head[:4])
        if length == 1:
            length = int.from_bytes(head[8:16])
        if length == 0 and name in BOXES_OF_FRAMES:  # up to the end of the file
            boxes.add(name)
            break
        if length < 8 or (start + length > size and name not in BOXES_OF_FRAMES):
            is_open = content[last + 4 : last + 8] == FRAGMENT  # without the frames that must follow
            has_more = is_open or (FRAGMENT in boxes and FRAGMENT_PART.search(content, last + 8))
            lost = damaged_at(start, size) if has_more else ""
            return Wholeness(missing, lost=lost, boxes=frozenset(boxes))
        boxes.add(name)
        if name == b"moov" and start + length > size and _cuts_pictures(content, start + 8):
            lost = "its index (the box moov) is cut short"
            return Wholeness(start + length - size, lost=lost, boxes=frozenset(boxes))
        last, start = start, start + length
        missing = max(missing, start - size)
    return Wholeness(missing, boxes=frozenset(boxes))


def _cuts_pictures(content: mmap, start: int) -> bool:
    """Whether the end of the file cuts a track within the box moov, other than one of sound."""
    while len(head := content[start : start + 8]) == 8:
        length = int.from_bytes(head[:4])
        if length < 8 or start + length > len(content):
            rest = content[start:]
            handler = rest.find(b"hdlr")
            return head[4:] == b"trak" and rest[handler + 12 : handler + 16] != b"soun"
        start += length
    return False
