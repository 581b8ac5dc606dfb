"""RIFF: a walk along the chunks of an AVI file, into its lists of frames."""

import re
from collections import Counter
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

# What a writer leaves as a length that it could not go back to, as behind a pipe or when it was killed.
OPEN = (0, 0xFFFFFFFF)

LISTS = (b"movi", b"rec ")  # the second within the first
CHUNK = re.compile(rb"\d\d(dc|db|wb)")  # pictures or sound


def walk_riff(content: mmap) -> Wholeness:
    """Walk along the chunks of an AVI file; an open length reaches to the end of the file."""
    empty: Counter[int] = Counter()
    start, missing, broken_at, lost, size = 0, 0, None, "", len(content)
    while len(head := content[start : start + 12]) == 12 and head[:4] == b"RIFF":
        length = int.from_bytes(head[4:8], "little")
        end = size if length in OPEN else start + 8 + length
        missing = max(missing, end - size)
        if broken_at is None:
            broken_at = _walk_chunks(content, start + 12, min(end, size), empty=empty)
        if broken_at is not None and length in OPEN:  # its header promises nothing
            lost = _chunks_behind(content, broken_at)
            broken_at = None
        start = end + end % 2
    return Wholeness(max(0, missing), broken_at, lost, empty=empty)


def _chunks_behind(content: mmap, start: int) -> str:
    """Return in words what is gone where chunks break at a place: nothing if no chunk begins there or behind it."""
    if CHUNK.match(content, start):
        return f"the file ends within the chunk at byte {start} of {len(content)}"
    return damaged_at(start, len(content)) if CHUNK.search(content, start) else ""


def _walk_chunks(content: mmap, start: int, end: int, *, empty: "Counter[int]", depth: int = 0) -> int | None:
    """Walk along the chunks between two places and count those that are empty; return where they break."""
    while start + 8 <= end:
        head = content[start : start + 12]
        name, length = head[:4], int.from_bytes(head[4:8], "little")
        if name == b"LIST" and head[8:] == b"movi" and length in OPEN:
            length = end - start - 8
        if not name.isascii() or not name.decode().isprintable() or start + 8 + length > end:
            return start
        if name == b"LIST" and head[8:] in LISTS[depth:]:
            broken_at = _walk_chunks(content, start + 12, start + 8 + length, empty=empty, depth=depth + 1)
            if broken_at is not None:
                return broken_at
        elif length == 0 and name[:2].isdigit() and name[2:] in (b"dc", b"db"):
            empty[int(name[:2])] += 1
        start += 8 + length + length % 2
    return None
