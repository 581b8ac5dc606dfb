"""Hit: one answer to a search: a video, or a stretch of it, and how near it is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Hit:
    """One neighbour: the video, its cosine similarity to the query, its label, and its seconds in a file.

    `enrolled` says whether it was added under its label later. `chance` is the share of the everyday names that fit it
    at least as well as the query does, or None if that is not known.
    """

    video_id: str
    score: float
    label: str
    start: float | None = None
    end: float | None = None
    enrolled: bool = False
    path: Path = Path()
    chance: float | None = None
