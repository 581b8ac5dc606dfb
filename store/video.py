"""Video: one row of the manifest, a whole video or the part of it between two times."""

import math
from dataclasses import dataclass
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.labels import class_text

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts",
    ".m2ts", ".mts", ".ogv", ".asf", ".vob", ".y4m",
))
# fmt: on
IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp"))
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
LABEL_SEPARATOR = ";"


@dataclass(frozen=True)
class Video:
    """One row of the manifest. An empty label or split is one that is not known.

    `path` is a video file, a folder of frames, or a tar joined with the name of its member. `label` may hold several
    names with ";" between them. `start` and `end` are seconds; None is the video's own beginning or end.
    """

    video_id: str
    path: Path
    label: str = ""
    split: str = ""
    start: float | None = None
    end: float | None = None

    def __post_init__(self) -> None:
        """Check the times and the label; DataError naming the video."""
        start = self.start or 0.0
        if not math.isfinite(start) or start < 0:
            raise DataError(f"the start of {self.video_id!r} is {self.start}; expected seconds from 0")
        if self.end is not None and not (math.isfinite(self.end) and self.end > start):
            raise DataError(f"the end of {self.video_id!r} is {self.end}; expected seconds after its start, {start}")
        if LABEL_SEPARATOR in self.label:
            texts = [class_text(name) for name in self.labels]
            if not all(texts):
                raise DataError(f"the label {self.label!r} of {self.video_id!r} has nothing beside a ';'")
            if len(set(texts)) < len(texts):
                raise DataError(f"the label {self.label!r} of {self.video_id!r} names a class twice")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names in the label, in their order; none where it is empty."""
        return tuple(name.strip() for name in self.label.split(LABEL_SEPARATOR)) if self.label else ()

    @property
    def span(self) -> str:
        """What of the file this is, in words: "seconds 1.5 to 4.0", or "the whole video"."""
        if not self.start and self.end is None:
            return "the whole video"
        return f"seconds {self.start or 0.0} to {'the end' if self.end is None else self.end}"


def split_and_label(folders: tuple[str, ...]) -> tuple[str, str]:
    """Return the split and the label of a video in these folders: a first one named train, val or test is its split.

    The label is the last of the other folders, "" where there is none.
    """
    split = SPLIT_NAMES.get(folders[0].lower(), "") if folders else ""
    others = folders[1:] if split else folders
    return split, others[-1] if others else ""
