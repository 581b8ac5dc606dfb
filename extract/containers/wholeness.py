"""Wholeness: what a walk along the outer structure of a video file found of parts that are gone."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Wholeness:
    """What the bytes of a file say.

    missing    bytes that the file lacks of what its own headers declare
    broken_at  the byte at which no element follows where one must be, None if there is no such place
    lost       what is known to be gone otherwise, in words
    lost_of    the same of one stream, by the number that FFmpeg has for the stream's id
    end        where the video ends and something else follows that is no part of it, 0 if that is not known
    empty      AVI: how many empty chunks each stream has; each stands for a frame that repeats the one before
    boxes      mp4 and mov: the names of the outermost boxes
    is_ts      whether it is an MPEG transport stream
    """

    missing: int = 0
    broken_at: int | None = None
    lost: str = ""
    lost_of: Mapping[int, str] = field(default_factory=dict)
    end: int = 0
    empty: Counter[int] = field(default_factory=Counter)
    boxes: frozenset[bytes] = frozenset()
    is_ts: bool = False


def damaged_at(place: int, size: int) -> str:
    """Return in words that a file of `size` bytes is damaged at a place."""
    return f"what stands at byte {place} of {size} is damaged"
