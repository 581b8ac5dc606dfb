"""Flash video: a walk along the tags of a file, each of which names its length, and again behind it."""

import re
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

HEADER = 9
HEAD = 11  # of a tag
TAGS = (8, 9, 18)  # audio, video, script data
FILTERED = 0x20

TAG = re.compile(rb"[\x08\x09\x12].{7}\0\0\0", re.DOTALL)  # the number of its stream is always 0


def walk_flash(content: mmap) -> Wholeness:
    """Walk along the tags; what follows the last one and holds no other is no part of the video."""
    size = len(content)
    tells = False  # whether lengths are told twice, which some writers leave out
    last, start = 0, 4 + (int.from_bytes(content[5:9]) or HEADER)
    while len(head := content[start : start + HEAD]) == HEAD:
        if head[0] & ~FILTERED not in TAGS or any(head[8:]):
            return Wholeness(lost=damaged_at(start, size)) if _has_tags(content, last + 1) else Wholeness(end=start)
        end = _end(content, start)
        if end > size:
            return Wholeness(missing=end - size)
        told = int.from_bytes(content[end : end + 4])
        tells = tells or told == end - start
        if told not in ((end - start,) if tells else (0, end - start)) and end + 4 <= size:
            return Wholeness(lost=damaged_at(start, size))
        last, start = start, end + 4
    is_cut = head and head[0] & ~FILTERED in TAGS
    return Wholeness(missing=HEAD - len(head) if is_cut else 0)


def _end(content: mmap, start: int) -> int:
    return start + HEAD + int.from_bytes(content[start + 1 : start + 4])


def _has_tags(content: mmap, place: int) -> bool:
    """Say whether a tag begins at a place or behind it, with its length told twice."""
    return any(
        int.from_bytes(content[end : end + 4]) == end - found.start()
        for found in TAG.finditer(content, place)
        if (end := _end(content, found.start()))
    )
