"""Records: walks along files that are a header and frames, each of a length that is known (YUV4MPEG, IVF, DV, RM)."""

import re
from mmap import mmap

from framebank.extract.containers.wholeness import Wholeness, damaged_at

# Chroma of a YUV4MPEG file -> how much narrower and lower its two planes are, 0 if there are none.
CHROMA = {"420": (2, 2), "422": (2, 1), "411": (4, 1), "444": (1, 1), "mono": (0, 0)}
FRAME = b"FRAME"


def walk_yuv4mpeg(content: mmap) -> Wholeness:
    """Walk along the frames of a YUV4MPEG file, each behind a line of its own."""
    place = last = content.find(b"\n") + 1
    size = len(content)
    frame = _frame_bytes(content[:place].decode("latin-1"))
    while place < size and frame and place:
        line = content.find(b"\n", place, place + 256) + 1
        if content[place : place + 5] != FRAME or not line:
            if FRAME.startswith(content[place : place + 5]):
                return Wholeness(missing=frame)
            behind = content.find(FRAME, last + len(FRAME))
            return Wholeness(end=place) if behind < 0 else Wholeness(lost=damaged_at(place, size))
        last, place = place, line + frame
    return Wholeness(missing=max(0, place - size) if frame else 0)


def _frame_bytes(header: str) -> int:
    """Return how many bytes a frame takes, 0 if its chroma is not known here."""
    told = {field[0]: field[1:] for field in header.split()[1:]}
    form = re.match(r"(420|422|411|444|mono)(jpeg|mpeg2|paldv|alpha|)(p?\d+|)", told.get("C", "420jpeg"))
    if form is None or form[0] != told.get("C", "420jpeg") or not (told.get("W", "") + told.get("H", "")).isdecimal():
        return 0
    width, height, (narrower, lower) = int(told["W"]), int(told["H"]), CHROMA[form[1]]
    planes = width * height * (2 if form[2] == "alpha" else 1)
    if narrower:
        planes += 2 * -(-width // narrower) * -(-height // lower)
    depth = int(form[3].lstrip("p") or 8)
    return planes * (1 if depth == 8 else 2)


def walk_ivf(content: mmap) -> Wholeness:
    """Walk along the frames of an IVF file: a length, a time that grows, and the frame."""
    size, count, before = len(content), 0, -1
    place = int.from_bytes(content[6:8], "little")
    promised = int.from_bytes(content[24:28], "little")
    while place < size:
        head = content[place : place + 12]
        length, time = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
        is_frame = before <= time < before + (1 << 24) and (length or time > before)
        if len(head) == 12 and not is_frame:
            return Wholeness(end=place) if count >= promised else Wholeness(lost=damaged_at(place, size))
        following = place + 12 + length
        if following > size:
            return Wholeness(end=place) if 0 < promised <= count else Wholeness(missing=following - size)
        place, before, count = following, time, count + 1
    return Wholeness()
