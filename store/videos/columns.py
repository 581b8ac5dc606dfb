"""VideoColumns: videos as columns of texts and times; a Video is made of a row when it is asked for."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from framebank.store.videos.video import LABEL_SEPARATOR, Video, require_own_ids


@dataclass(frozen=True, eq=False, repr=False)
class VideoColumns(Sequence[Video]):
    """The videos of a list, a column for each field. `times`, `groups` and `extra` are None if no video has any.

    `extra` has the columns that the list of the user has beside the others, by name, with "" for an empty cell.
    `durations` (V,) are the seconds of each video, None where they are not known; a list of videos has none, an index
    takes them from the rows of its store (`durations.py`).
    A list of 240,000 videos takes a fraction of a second and 60 MB as columns, and ten times that as objects.
    """

    ids: Sequence[str]
    paths: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    times: Sequence[tuple[float | None, float | None]] | None = None
    groups: Sequence[str] | None = None
    extra: Mapping[str, Sequence[str]] | None = None
    durations: Sequence[float | None] | None = None

    @classmethod
    def of(cls, videos: Sequence[Video]) -> "VideoColumns":
        """Return the columns of videos."""
        if isinstance(videos, cls):
            return videos
        timed = any(video.start is not None or video.end is not None for video in videos)
        return cls(
            [video.video_id for video in videos],
            [str(video.path) for video in videos],
            [video.label for video in videos],
            [video.split for video in videos],
            [(video.start, video.end) for video in videos] if timed else None,
            [video.group for video in videos] if any(video.group for video in videos) else None,
            _extra_of(videos),
        )

    @property
    def extra_names(self) -> tuple[str, ...]:
        """The names of the columns of the user."""
        return tuple(self.extra or ())

    def require_valid(self) -> None:
        """Refuse what no Video may be, and a video_id that stands for two videos; DataError as they say it.

        The texts are taken to be Unicode without NUL, as what was decoded from a file is.
        """
        if len(set(self.ids)) < len(self.ids):
            require_own_ids(self)
        several = [label for label in set(self.labels) if LABEL_SEPARATOR in label]
        if self.times is None and not several:
            return
        odd = set(several)
        for row, label in enumerate(self.labels):
            if label in odd or (self.times and self.times[row] != (None, None)):
                odd.discard(label)
                _ = self[row]

    def __len__(self) -> int:
        return len(self.ids)

    @overload
    def __getitem__(self, row: int) -> Video: ...

    @overload
    def __getitem__(self, row: slice) -> "VideoColumns": ...

    def __getitem__(self, row: "int | slice") -> "Video | VideoColumns":
        if isinstance(row, slice):
            return self.select(range(*row.indices(len(self))))
        start, end = self.times[row] if self.times else (None, None)
        group = self.groups[row] if self.groups else ""
        return Video(
            self.ids[row],
            Path(self.paths[row]),
            self.labels[row],
            self.splits[row],
            start,
            end,
            group,
            self._extra(row),
        )

    def extra_rows(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """Yield what each video has in the columns of the user."""
        if not self.extra:
            return itertools.repeat((), len(self))
        return map(self._extra, range(len(self)))

    def _extra(self, row: int) -> tuple[tuple[str, str], ...]:
        return tuple((name, cells[row]) for name, cells in self.extra.items() if cells[row]) if self.extra else ()

    def __iter__(self) -> Iterator[Video]:
        return (self[row] for row in range(len(self)))

    def select(self, rows: Iterable[int]) -> "VideoColumns":
        """Return the videos of some rows, in their order."""
        rows = list(rows)
        return VideoColumns(
            [self.ids[row] for row in rows],
            [self.paths[row] for row in rows],
            [self.labels[row] for row in rows],
            [self.splits[row] for row in rows],
            [self.times[row] for row in rows] if self.times else None,
            [self.groups[row] for row in rows] if self.groups else None,
            {name: [cells[row] for row in rows] for name, cells in self.extra.items()} if self.extra else None,
            [self.durations[row] for row in rows] if self.durations else None,
        )

    def replaced(self, videos: Mapping[str, Video]) -> "VideoColumns":
        """Return the videos with others in place of those with some video_ids."""
        timed = self.times or any(video.start is not None or video.end is not None for video in videos.values())
        grouped = self.groups or any(video.group for video in videos.values())
        extra = {name: list(cells) for name, cells in (self.extra or {}).items()}
        for name in dict(pair for video in videos.values() for pair in video.extra):
            extra.setdefault(name, [""] * len(self))
        found = VideoColumns(
            list(self.ids),
            list(self.paths),
            list(self.labels),
            list(self.splits),
            list(self.times or [(None, None)] * len(self)) if timed else None,
            list(self.groups or [""] * len(self)) if grouped else None,
            extra or None,
            self.durations,
        )
        for row, video_id in enumerate(self.ids):
            if video_id in videos:
                found._put(row, videos[video_id])
        return found

    def _put(self, row: int, video: Video) -> None:
        texts = (self.ids, video.video_id), (self.paths, str(video.path)), (self.labels, video.label)
        times = (self.times, (video.start, video.end)), (self.groups, video.group)
        for column, value in (*texts, (self.splits, video.split), *times):
            if isinstance(column, list):
                column[row] = value
        given = dict(video.extra)
        for name, cells in (self.extra or {}).items():
            if isinstance(cells, list):
                cells[row] = given.get(name, "")

    def __repr__(self) -> str:
        return f"VideoColumns({len(self)} videos)"


def _extra_of(videos: Sequence[Video]) -> dict[str, list[str]] | None:
    """Return the columns of the user, sorted by name; None if there are none."""
    names = sorted({name for video in videos for name, _ in video.extra})
    if not names:
        return None
    rows = [dict(video.extra) for video in videos]
    return {name: [row.get(name, "") for row in rows] for name in names}
