"""What the bytes of a video file say without decoding: whether a part of it is gone, where decoding may start."""

from pathlib import Path

from framebank.extract.containers.structure import read_structure
from framebank.extract.containers.wholeness import damaged_at
from framebank.store.counts import counted

# Boxes of an mp4 file that has its frames in fragments, each with an index of its own.
FRAGMENT = b"moof"


def find_loss(path: Path, *, family: str, stream: int, number: int, promised: int, found: int, last_byte: int) -> str:
    """Return what of the video stream is gone, in words; nothing if the file is whole.

    The stream has the index `stream`, and a `number` in its container, FFmpeg's id of it. `found` packets are whole.
    `promised` frames stand in a header, 0 if it names none, and `last_byte` is where the last packet ends that the
    demuxer's index lists, 0 if it has none.

    A promise alone is no loss: headers lie, tags are stale, and an edit list may leave samples out. It counts where the
    structure of the file breaks too. Missing bytes alone may hold an index or a note, where every frame that was
    promised is there.
    """
    structure = read_structure(path)
    size = path.stat().st_size
    found += structure.empty[stream]
    promised = promised if promised <= size else 0  # more frames than bytes: a writer's "not known"
    missing = structure.missing
    if family == "mov" and FRAGMENT not in structure.boxes and last_byte:
        missing = 0  # where every frame lies stands in the index
    missing = max(missing, last_byte - size)
    if missing > 0 and not 0 < promised <= found:
        frames = f", {found} of {promised} frames" if promised else ""
        return f"the file is cut short: {size} of at least {size + missing} bytes are there{frames}"
    if lost := structure.lost or structure.lost_of.get(number):
        return f"a part of the video is lost: {lost}"
    broken_at = structure.broken_at
    if broken_at is not None and family == "matroska":
        return f"a part of the video is lost: {damaged_at(broken_at, size)}"
    if broken_at is not None and found < promised:
        return f"a part of the video is lost: {found} of {promised} frames are there"
    if broken_at is not None and found > promised > 0:
        return f"{damaged_at(broken_at, size)}, and {found} frames are there where {promised} were promised"
    return ""


def end_of_video(path: Path) -> int:
    """Return the byte where the video ends, where something follows that is no part of it; 0 where nothing does."""
    end = read_structure(path).end
    return end if end < path.stat().st_size else 0


def format_of(path: Path) -> str | None:
    """Return FFmpeg's name of a container that it may not recognise in a very short file, None if there is none."""
    return "mpegts" if read_structure(path).is_ts else None


def why_unreadable(path: Path) -> str:
    """Return why no container is recognised in a file, as far as its bytes tell."""
    structure = read_structure(path)
    if structure.missing:
        verb = "is" if structure.missing == 1 else "are"
        return f"the file is cut short, {counted(structure.missing, 'byte')} {verb} missing"
    if b"mdat" in structure.boxes and b"moov" not in structure.boxes:
        return "its index (the box moov) is missing, as where a recording was broken off"
    return "not a video"


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
