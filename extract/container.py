"""What the bytes of a video file say without decoding: whether its end is missing, where decoding may start."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from framebank.store.errors import DataError

# Real files tell one or two frames too many; what loses less than a tenth is still the same clip.
LEAST_SHARE = 0.9

MATROSKA = b"\x1a\x45\xdf\xa3"
ISO_FIRST_BOXES = {b"ftyp", b"styp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"}


def missing_bytes(path: Path) -> int:
    """Return how many bytes a file lacks of what its own outermost headers declare, 0 where they declare nothing.

    Boxes of the mp4 and mov family, RIFF chunks of AVI and the segment of Matroska and WebM carry their length. It is
    the one trace that every file cut short keeps: frame counts are absent from Matroska and may be wrong elsewhere.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if head[:4] == b"RIFF":
            ends = _riff_ends(file)
        elif head[:4] == MATROSKA:
            ends = _matroska_ends(file)
        elif head[4:8] in ISO_FIRST_BOXES:
            ends = _iso_ends(file)
        else:
            return 0
        return max(0, max(ends, default=0) - size)


def refuse_cut(path: Path, *, promised: int, found: int) -> None:
    """Raise DataError where bytes that `path` declares are missing, and frames with them.

    `promised` frames stand in its header, 0 where it names none; `found` packets are whole. A wrong count alone is no
    cut: headers lie, and an edit list may leave samples out. Missing bytes alone may hold an index or a note.
    """
    missing = missing_bytes(path)
    if not missing or 0 < promised <= found:
        return
    size = path.stat().st_size
    frames = f", {found} of {promised} frames" if promised else ""
    raise DataError(f"{path}: the file is cut short: {size} of at least {size + missing} bytes are there{frames}")


def refuse_loss(path: Path, *, promised: float, found: float, unit: str) -> None:
    """Raise DataError where less than nine tenths of what a header promises is found.

    Damage that makes a reader skip the rest of a file leaves no other trace. Headers are a little wrong more often.
    """
    if found < LEAST_SHARE * promised:
        raise DataError(f"{path}: a part of the video is lost: {found:g} of {promised:g} {unit} are there")


def tagged_seconds(metadata: dict[str, str]) -> float:
    """Return the duration that a Matroska track names in its tags, in seconds, 0 where it names none."""
    parts = metadata.get("DURATION", "").split(":")
    try:
        hours, minutes, seconds = map(float, parts)
    except ValueError:
        return 0.0
    return 3600 * hours + 60 * minutes + seconds


def _riff_ends(file: BinaryIO) -> Iterator[int]:
    """Yield where each top-level RIFF chunk says it ends."""
    start = 0
    while len(head := _read_at(file, start=start, count=8)) == 8 and head[:4] == b"RIFF":
        end = start + 8 + int.from_bytes(head[4:], "little")
        yield end
        start = end + end % 2


def _iso_ends(file: BinaryIO) -> Iterator[int]:
    """Yield where each top-level box (ISO 14496-12, 4.2) says it ends."""
    start = 0
    while len(head := _read_at(file, start=start, count=16)) >= 8 and head[4:8].isalnum():
        size = int.from_bytes(head[:4])
        if size == 1:
            size = int.from_bytes(head[8:16])
        if size < 8:
            return
        start += size
        yield start


def _matroska_ends(file: BinaryIO) -> Iterator[int]:
    """Yield where the EBML header and the segment behind it say they end; a live segment declares no length."""
    start = 0
    for id_length in (4, 4):
        field = _read_at(file, start=start + id_length, count=8)
        if not field or not field[0]:
            return
        length = 9 - field[0].bit_length()
        size = int.from_bytes(field[:length]) & ((1 << 7 * length) - 1)
        if size == (1 << 7 * length) - 1:
            return
        start += id_length + length + size
        yield start


def _read_at(file: BinaryIO, *, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def is_idr(packet: bytes, *, codec: str, extradata: bytes) -> bool:
    """Return whether a packet of an mp4, mov or Matroska file is an IDR picture, across which nothing refers back.

    Containers also flag recovery points and open groups of pictures as key frames; decoding that starts there is not
    bound to give what decoding from the first frame gives. `codec` is "h264" or "hevc", `extradata` its avcC or hvcC
    record, which holds the width of the length in front of each NAL unit (ISO 14496-15).
    """
    place = {"h264": 4, "hevc": 21}[codec]
    if len(extradata) <= place or extradata[0] != 1:
        return False
    width = (extradata[place] & 3) + 1
    start = 0
    while start + width < len(packet):
        first = packet[start + width]
        if (first & 31) == 5 if codec == "h264" else (first >> 1 & 63) in (19, 20):
            return True
        start += width + int.from_bytes(packet[start : start + width])
    return False
