"""Video: one row of the manifest: a whole video, or the part of it between two times."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from framebank.store.errors import DataError
from framebank.store.formats.text import is_text
from framebank.store.videos.labels import class_text

# fmt: off
VIDEO_SUFFIXES = frozenset((
    ".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts",
    ".m2ts", ".mts", ".ogv", ".asf", ".vob", ".y4m",
))
# fmt: on
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
RATE_NAME = "fps.txt"  # beside the frames of a video: how many of them a second has
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validate", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
LABEL_SEPARATOR = ";"


@dataclass(frozen=True)
class Video:
    """One row of the manifest. An empty label or split is unknown.

    `path` is a video file, a folder of frames, or a tar joined with the name of its member. `label` may hold several
    names with ";" between them. `start` and `end` are seconds; None is the video's own beginning or end. Videos of one
    `group` come from one source, such as one recording: they are never on both sides of a draw. If it is empty, other
    rules decide (`framebank.store.videos.groups`). `extra` holds the cells that
    the list of the user has in columns of its own, as pairs of column and text, sorted, without empty ones.
    """

    video_id: str
    path: Path
    label: str = ""
    split: str = ""
    start: float | None = None
    end: float | None = None
    group: str = ""
    extra: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Check the times and the label; DataError that names the video."""
        start = self.start or 0.0
        if not math.isfinite(start) or start < 0:
            raise DataError(f"the start of {self.video_id!r} is {self.start}; expected seconds from 0")
        if self.end is not None and not (math.isfinite(self.end) and self.end > start):
            raise DataError(f"the end of {self.video_id!r} is {self.end}; expected seconds after its start, {start}")
        if LABEL_SEPARATOR in self.label:
            texts = [class_text(name) for name in self.labels]
            if not all(texts):
                raise DataError(f"{self.path}: its label {self.label!r} has nothing on one side of a ';'")
            if len(set(texts)) < len(texts):
                raise DataError(f"the label {self.label!r} of {self.video_id!r} names a class twice")

    @property
    def labels(self) -> tuple[str, ...]:
        """The names in the label, in their order; none if it is empty."""
        return labels_in(self.label)

    @property
    def span(self) -> str:
        """The part of the file, in words: "seconds 1.5 to 4.0", or "the whole video"."""
        if not self.start and self.end is None:
            return "the whole video"
        return f"seconds {self.start or 0.0} to {'the end' if self.end is None else self.end}"


def labels_in(label: str) -> tuple[str, ...]:
    """Return the names in a label, in their order; none if it is empty."""
    return tuple(name.strip() for name in label.split(LABEL_SEPARATOR)) if label else ()


def require_own_ids(videos: Iterable[Video]) -> None:
    """Refuse two videos with one video_id, and names that are not UTF-8: DataError that names them."""
    by_id: dict[str, Video] = {}
    for video in videos:
        extra = "".join(name + cell for name, cell in video.extra)
        if not is_text(f"{video.video_id}{video.path}{video.label}{video.split}{video.group}{extra}"):
            if not is_text(str(video.path)):
                raise DataError(f"{str(video.path)!r}: its name is not UTF-8; rename it")
            what = "label, split or group" if is_text(video.video_id) else "video_id"
            raise DataError(f"{video.path}: the {what} of {video.video_id!r} is not UTF-8 or holds a NUL; change it")
        other = by_id.setdefault(video.video_id, video)
        if other is not video and other.path == video.path:
            raise DataError(f"{video.path}: the video_id {video.video_id!r} stands for two videos; each needs its own")
        if other is not video:
            raise DataError(
                f"the video_id {video.video_id!r} stands for two videos, {other.path} and {video.path}; "
                "each needs its own (a manifest CSV can give it)"
            )
